package sigma

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// events makes a batch of lines of name=value words; a name that is no column is
// an attribute, and ~ stands for a space. at=90s is the time; times=5 makes five
// events of a line, a second apart, in which {n} is 0 to 4.
func events(t testing.TB, lines string) *tokenwatch.Batch {
	var b tokenwatch.Builder
	var row tokenwatch.Row
	for _, line := range repeated(t, lines) {
		row.Reset()
		row.SetInt(tokenwatch.ColTime, time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC).UnixNano())
		for _, word := range strings.Fields(line) {
			name, value, _ := strings.Cut(word, "=")
			value = strings.ReplaceAll(value, "~", " ")
			c, ok := tokenwatch.ColumnByName(name)
			switch {
			case name == "at":
				d, err := time.ParseDuration(value)
				must(t, err)
				row.SetInt(tokenwatch.ColTime, row.Int(tokenwatch.ColTime)+int64(d))
			case !ok || c.String() != name:
				row.AddAttr([]byte(name), []byte(value))
			case c.Kind() == tokenwatch.KindInt:
				n, err := strconv.ParseInt(value, 10, 64)
				must(t, err)
				row.SetInt(c, n)
			case c.Kind() == tokenwatch.KindAddr:
				row.SetAddr(netip.MustParseAddr(value))
			default:
				row.SetText(c, []byte(value))
			}
		}
		b.Append(&row)
	}
	return b.Batch()
}

// repeated writes out lines with times=.
func repeated(t testing.TB, lines string) (out []string) {
	for line := range strings.Lines(lines) {
		before, after, ok := strings.Cut(line, " times=")
		if !ok {
			out = append(out, line)
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(after))
		must(t, err)
		for i := range n {
			out = append(out, strings.ReplaceAll(before, "{n}", strconv.Itoa(i))+fmt.Sprintf(" at=%ds", i))
		}
	}
	return out
}

// TestGolden shows rules and what they match: the documents, a line of =, events.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "../../testdata/sigma", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			docs, lines, _ := strings.Cut(d.Input, "\n===\n")
			l := Loader{Placeholders: map[string][]string{"admins": {"root", "adm*"}}}
			l.Load("rule.yml", []byte(docs))
			pack := l.Compile()
			var out strings.Builder
			for _, p := range pack.Problems {
				fmt.Fprintln(&out, p.Error())
			}
			if lines == "" {
				return out.String()
			}
			v := NewView(events(t, lines))
			matches := map[string][]int{}
			for _, r := range pack.Rules {
				matches[r.Key()] = r.Match(v)
				if !r.Silent {
					fmt.Fprintf(&out, "%s %s: %v\n", r.Title, r.Level, matches[r.Key()])
				}
			}
			f := Follow(pack)
			f.Take(v, matches, func(row int) tokenwatch.EventRef {
				return tokenwatch.EventRef{Millis: v.batch.Int(tokenwatch.ColTime, row) / 1e6, Tie: uint32(row), Row: uint32(row)}
			}, func(int) tokenwatch.Entity { return tokenwatch.Entity{} })
			for _, x := range f.Fired() {
				var rows []uint32
				for _, e := range x.Events {
					rows = append(rows, e.Row)
				}
				last := len(rows) - 1
				fmt.Fprintf(&out, "%s %s: %q at %d after %v\n", x.By.Title, x.By.Level, strings.ReplaceAll(x.Group, "\x00", "/"), rows[last], rows[:last])
			}
			return out.String()
		})
	})
}

// FuzzLoad: whatever the document, it is a rule or a problem, and rules can look at
// events.
func FuzzLoad(f *testing.F) {
	f.Add("title: t\nlogsource: {category: webserver}\ndetection:\n  s:\n    cs-method|contains|all: [a, b]\n  condition: 1 of s* and not (s or s)\n")
	f.Add("title: t\nlogsource: {product: aws, service: cloudtrail}\ndetection:\n  k: [x, '*y?']\n  condition: k | count(a) by b > 3\n  timeframe: 5m\n")
	f.Add("title: c\ncorrelation:\n  type: temporal\n  rules: [c]\n  timespan: 5m\n---\ntitle: f\nfilter:\n  rules: any\n  s: {a|re: 'x+'}\n  condition: s\n")
	b := events(f, "format=combined method=GET path=/a?b\nformat=cloudtrail action=s3:Get user_name=x\n")
	f.Fuzz(func(t *testing.T, doc string) {
		var l Loader
		l.Load("f", []byte(doc))
		for _, r := range l.Compile().Rules {
			r.Match(NewView(b))
		}
	})
}
