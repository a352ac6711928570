package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// example is a finding of a token that works by day and was used a lot at night.
func example() tokenwatch.Finding {
	s := &tokenwatch.Series{Start: start, Step: 1, AsOf: start.Add(23 * time.Hour)}
	for i := range 26 {
		h := (9 + i) % 24
		low, median, high, seen := uint32(0), uint32(0), uint32(0), uint32(0)
		if h >= 8 && h < 18 {
			low, median, high, seen = 31, 55, 88, uint32(40+7*h%30)
		}
		failed := uint32(0)
		if i >= 24 {
			low, median, high, seen, failed = 31, 55, 88, 1480-uint32(i-24)*900, 210
		}
		s.Low, s.Median, s.High = append(s.Low, low), append(s.Median, median), append(s.High, high)
		s.Observed, s.Failed = append(s.Observed, seen), append(s.Failed, failed)
	}
	return tokenwatch.Finding{
		EntityKind: tokenwatch.EntityToken, Entity: "tkw_x", Aliases: []tokenwatch.Alias{{Kind: tokenwatch.NameAccessKeyID, Value: "AKIAIOSFODNN7EXAMPLE"}},
		Severity: tokenwatch.SeverityHigh, Score: 86, Kind: "volume",
		Summary: "This token made 1480 requests in one hour, where 55 would be expected at that time; and came from AS64999 in NL, not seen before; so odd an hour is expected of an honest one once in 600 weeks.",
		Window:  tokenwatch.Window{Start: start.Add(24 * time.Hour), End: start.Add(26 * time.Hour)},
		Series:  s,
		Evidence: []tokenwatch.Event{
			{Time: start.Add(24*time.Hour + 11*time.Minute), Action: "s3:GetObject", SrcIP: "192.0.2.7"},
			{Time: start.Add(25*time.Hour + 40*time.Minute), Action: "s3:ListBuckets", SrcIP: "192.0.2.7"},
		},
	}
}

func week() tokenwatch.Series {
	s := tokenwatch.Series{Start: start.Truncate(24 * time.Hour), Step: 1, AsOf: start}
	for i := range 7 * 24 {
		h := i % 24
		n := uint32(10 + h*(24-h))
		s.Low, s.Median, s.High = append(s.Low, n/2), append(s.Median, n), append(s.High, 2*n)
		s.Observed, s.Failed = append(s.Observed, n+uint32(i*37%29)), append(s.Failed, uint32(i%5))
	}
	return s
}

func TestGolden(t *testing.T) {
	bare := example()
	bare.Series.Low, bare.Series.Median, bare.Series.High = nil, nil, nil
	empty := example()
	empty.Series = nil
	example := example()
	for name, got := range map[string][]byte{
		"finding": Finding(&example), "no_baseline": Finding(&bare), "no_series": Finding(&empty),
		"token": Token("AKIAIOSFODNN7EXAMPLE", week(), []tokenwatch.Finding{example}),
	} {
		wellFormed(t, got)
		file := "../../testdata/plot/" + name + ".svg"
		if *rewrite {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from %s: look at both, then go test ./api/plot -rewrite", name, file)
		}
	}
}

// wellFormed reads a document, and holds it to what the package promises.
func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, svg)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch e.Name.Local {
		case "svg", "title", "desc", "style", "rect", "path", "text", "g":
		default:
			t.Errorf("element %s", e.Name.Local)
		}
		for _, a := range e.Attr {
			if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" || strings.Contains(a.Value, "url(") {
				t.Errorf("attribute %s=%q", a.Name.Local, a.Value)
			}
		}
	}
}

// TestHostile: whatever stands in a finding, the document is one, and nothing of it
// is taken for more than text.
func TestHostile(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	texts := []string{`<script>alert(1)</script>`, `"><g onload="x"/>`, "]]>", "a\x00b\u202ec\xff", "&lt;", strings.Repeat("long ", 400), strings.Repeat("x", 4000), ""}
	text := func() string { return texts[rng.IntN(len(texts))] }
	for range 2000 {
		f := example()
		f.Entity, f.Summary, f.Kind, f.Severity = text(), text(), text(), tokenwatch.Severity(text())
		f.Aliases[0].Value, f.Evidence[0].Action, f.Evidence[1].SrcIP = text(), text(), text()
		f.Evidence[0].Time = start.Add(time.Duration(rng.Int64N(int64(90*time.Hour))) - 20*time.Hour)
		f.Window.Start = start.Add(time.Duration(rng.IntN(60)-20) * time.Hour)
		f.Window.End = f.Window.Start.Add(time.Duration(rng.IntN(30)) * time.Hour)
		s := f.Series
		s.Observed, s.Failed, s.High = s.Observed[:rng.IntN(27)], s.Failed[:rng.IntN(27)], s.High[:rng.IntN(27)]
		s.Low, s.Median = s.Low[:len(s.High)], s.Median[:len(s.High)]
		for i := range s.Observed {
			s.Observed[i] = uint32(rng.Uint64() >> rng.IntN(64))
		}
		got := Finding(&f)
		wellFormed(t, got)
		if bytes.Contains(got, []byte("NaN")) || bytes.Contains(got, []byte("Inf")) {
			t.Fatalf("a number that is none:\n%s", got)
		}
		if !bytes.Equal(got, Finding(&f)) {
			t.Fatal("two pictures of one finding")
		}
	}
}
