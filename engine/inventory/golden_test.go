package inventory

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
)

// start is where the cases' time begins; times are so long after it.
var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// TestGolden shows what is known of tokens. The commands of a file share an
// inventory:
//
//	log            a batch, one line a row or a name of a token:
//	               1h use token=a ip=10.0.0.1 action=x scope=s source=edge
//	               2h fact created token=a lineage=L owner=ann scopes=s,t expires=never
//	               name a sha256_prefix=0123456789abcdef
//	import at=1h   tokens of an inventory, one a line, in the same manner
//	link           same a b, follows a b or apart a b
//	token name=a at=3h
//	tokens at=3h   id and state of all
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "../../testdata/inventory", func(t *testing.T, path string) {
		v := New("t")
		offset := tokenwatch.Offset(0)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			offset++
			now := int64(0)
			for _, arg := range d.CmdArgs {
				if arg.Key == "at" {
					now = at1(t, arg.Vals[0])
				}
			}
			switch d.Cmd {
			case "log":
				v.Take(batch(t, d.Input), offset, nil)
			case "import":
				v.Import(table(t, d.Input, offset), now, int32(now/int64(time.Hour)), offset)
			case "link":
				words := strings.Fields(d.Input)
				v.Link(&tokenwatch.Link{A: tokenwatch.TokenID(words[1]), B: tokenwatch.TokenID(words[2]), Kind: words[0], Confidence: 100, By: "key_1"}, now, int32(now/int64(time.Hour)), offset)
			case "token":
				var name string
				d.ScanArgs(t, "name", &name)
				r, ok := v.Token(name, now)
				if !ok {
					return "not found\n"
				}
				b, err := json.MarshalIndent(r, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				return string(b) + "\n"
			case "tokens":
				var out strings.Builder
				for r := range v.Tokens("", now) {
					fmt.Fprintf(&out, "%s %s", r.ID, r.State)
					if len(r.SameAs) > 0 {
						fmt.Fprintf(&out, " same as %s", r.SameAs)
					}
					if r.Lineage != "" {
						fmt.Fprintf(&out, " lineage %s", r.Lineage)
					}
					if r.RotatedFrom != "" {
						fmt.Fprintf(&out, " after %s", r.RotatedFrom)
					}
					out.WriteByte('\n')
				}
				return out.String()
			default:
				d.Fatalf(t, "no command %s", d.Cmd)
			}
			return again(t, &v)
		})
	})
}

// again stores the inventory and goes on with what is read back.
func again(t *testing.T, v **Inventory) string {
	t.Helper()
	type pair struct{ key, value []byte }
	var kept []pair
	for _, r := range (*v).records { // all of it, not what has changed
		(*v).touch(r)
	}
	(*v).kept = 0
	(*v).Changed(func(key, value []byte) { kept = append(kept, pair{key, value}) })
	back := New("t")
	for _, kind := range []byte{storedImport, storedToken, storedFact} {
		for _, p := range kept {
			if p.key[0] != kind {
				continue
			}
			if err := back.Load(p.key, p.value); err != nil {
				t.Fatal(err)
			}
		}
	}
	*v = back
	return ""
}

func at1(t *testing.T, text string) int64 {
	t.Helper()
	if text == "never" {
		return tokenwatch.Never
	}
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		days, rest = "0", text
	}
	var n int
	if _, err := fmt.Sscan(days, &n); err != nil {
		t.Fatal(err)
	}
	d := time.Duration(0)
	if rest != "" {
		var err error
		if d, err = time.ParseDuration(rest); err != nil {
			t.Fatal(err)
		}
	}
	return start.Add(time.Duration(n)*24*time.Hour + d).UnixNano()
}

func batch(t *testing.T, input string) *tokenwatch.Batch {
	var b tokenwatch.Builder
	for line := range strings.Lines(input) {
		words := strings.Fields(line)
		if words[0] == "name" {
			kind, value, _ := strings.Cut(words[2], "=")
			value, issuer, _ := strings.Cut(value, "@")
			b.AddName(tokenwatch.Naming{Token: tokenwatch.TokenID(words[1]), Alias: tokenwatch.Alias{Kind: tokenwatch.NameKind(kind), Value: value}, Issuer: issuer})
			continue
		}
		var row tokenwatch.Row
		row.SetInt(tokenwatch.ColTime, at1(t, words[0]))
		row.SetString(tokenwatch.ColSource, "edge")
		f := &tokenwatch.Fact{}
		if words[1] == "fact" {
			f.Kind = tokenwatch.FactKind(words[2])
			words = words[1:]
			row.SetString(tokenwatch.ColSource, "audit")
		}
		for _, word := range words[2:] {
			name, value, _ := strings.Cut(word, "=")
			if f.Kind != "" && name != "by" && name != "id" {
				setFact(t, f, name, value)
				continue
			}
			switch name {
			case "ip":
				row.SetAddr(netip.MustParseAddr(value))
			case "by":
				row.SetString(tokenwatch.ColActor, value)
			case "id":
				row.SetString(tokenwatch.ColRequestID, value)
			default:
				c, ok := tokenwatch.ColumnByName(name)
				if !ok {
					t.Fatalf("no column %s", name)
				}
				row.SetString(c, value)
			}
		}
		b.Append(&row)
		if f.Kind != "" {
			b.AddFact(*f)
		}
	}
	return b.Batch()
}

func setFact(t *testing.T, f *tokenwatch.Fact, name, value string) {
	switch name {
	case "token":
		f.Token = tokenwatch.TokenID(value)
	case "previous":
		f.Previous = tokenwatch.TokenID(value)
	case "lineage":
		f.Lineage = value
	case "owner":
		f.Owner = value
	case "type":
		f.TokenType = value
	case "scopes":
		f.Scopes = strings.Split(value, ",")
	case "removed":
		f.Removed = strings.Split(value, ",")
	case "expires":
		f.Expires = at1(t, value)
	case "until":
		f.Until = at1(t, value)
	case "place":
		f.Place = value
	default:
		t.Fatalf("a fact has no %s", name)
	}
}

func table(t *testing.T, input string, offset tokenwatch.Offset) *tokenwatch.Table {
	out := &tokenwatch.Table{Name: tokenwatch.TableInventory, Part: 1, Digest: [32]byte{byte(offset)}}
	for line := range strings.Lines(input) {
		var in tokenwatch.InventoryToken
		for _, word := range strings.Fields(line) {
			name, value, _ := strings.Cut(word, "=")
			switch name {
			case "token":
				in.Keys = append(in.Keys, tokenwatch.InventoryKey{Token: tokenwatch.TokenID(value)})
			case "lineage":
				in.Lineage = value
			case "owner":
				in.Owner = value
			case "left":
				in.OwnerLeft = true
			case "created":
				in.Created = at1(t, value)
			case "used":
				in.LastUsed = at1(t, value)
			case "expires":
				in.Expires = at1(t, value)
			case "scopes":
				in.Scopes = strings.Split(value, ",")
			default:
				t.Fatalf("an inventory has no %s", name)
			}
		}
		out.Tokens = append(out.Tokens, in)
	}
	return out
}
