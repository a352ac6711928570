package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenwatch/tokenwatch"
)

// reference walks a record as walker does, but with the tokens of jsontext and
// without remembering fields from one record to the next.
type reference struct {
	*walker
	dec   *jsontext.Decoder
	path  []byte
	whole []byte
}

// newReference returns a parser that differs from p only in how it reads JSON.
func newReference(t testing.TB, p Parser) func(record []byte, row *tokenwatch.Row) error {
	t.Helper()
	switch p := p.(type) {
	case *jsonParser:
		r := &reference{walker: &p.walker}
		return func(record []byte, row *tokenwatch.Row) error {
			if err := r.walk(record, row); err != nil {
				return err
			}
			return p.finish()
		}
	case *cloudTrail:
		r := &reference{walker: &p.walker}
		return func(record []byte, row *tokenwatch.Row) error {
			if err := r.walk(record, row); err != nil {
				return err
			}
			return p.complete()
		}
	}
	t.Fatalf("%T reads no JSON", p)
	return nil
}

func (r *reference) walk(record []byte, row *tokenwatch.Row) error {
	if firstByte(record) != '{' {
		return malformed("not a JSON object")
	}
	r.begin(record, row)
	r.path, r.whole = nil, nil
	r.dec = jsontext.NewDecoder(bytes.NewReader(record), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err := r.value(0); err != nil {
		if _, ok := errors.AsType[*tokenwatch.Rejection](err); ok {
			return err
		}
		return malformed("not JSON behind byte " + strconv.FormatInt(r.dec.InputOffset(), 10))
	}
	if _, err := r.dec.ReadToken(); err != io.EOF {
		return malformed("more than one JSON value")
	}
	return nil
}

func (r *reference) value(depth int) error {
	switch r.dec.PeekKind() {
	case '{':
		return r.container(depth+1, '}', func(int) error {
			name, err := r.dec.ReadValue()
			if err != nil {
				return err
			}
			if len(r.path) > 0 {
				r.path, r.whole = append(r.path, '.'), append(r.whole, '.')
			}
			decoded := unquoted(name)
			r.path, r.whole = appendFolded(r.path, decoded), append(r.whole, decoded...)
			return r.value(depth + 1)
		})
	case '[':
		return r.container(depth+1, ']', func(i int) error {
			r.whole = strconv.AppendInt(append(r.whole, '.'), int64(i), 10)
			return r.value(depth + 1)
		})
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		return err
	}
	if r.fields++; r.fields > maxFields && !r.lenient {
		return reject(tokenwatch.ReasonTooManyField, "more than 256 fields")
	}
	f := &field{path: bytes.Clone(r.path), full: bytes.Clone(r.whole)}
	switch kind := raw.Kind(); kind {
	case 'n':
	case '"':
		r.leaf(f, unquoted(raw), false)
	default:
		r.leaf(f, bytes.Clone(raw), kind == '0')
	}
	return nil
}

func (r *reference) container(depth int, end jsontext.Kind, element func(i int) error) error {
	if depth > maxDepth {
		return reject(tokenwatch.ReasonTooDeep, "nested deeper than 32 levels")
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	path, whole := len(r.path), len(r.whole)
	for i := 0; r.dec.PeekKind() != end; i++ {
		if err := element(i); err != nil {
			return err
		}
		r.path, r.whole = r.path[:path], r.whole[:whole]
	}
	_, err := r.dec.ReadToken()
	return err
}

func unquoted(raw []byte) []byte {
	b, _ := jsontext.AppendUnquote(nil, raw) // the error only says that bytes were replaced
	return b
}

// twins are the parsers that read JSON, each with its reference.
type twin struct {
	name   string
	parser Parser
	plain  func(record []byte, row *tokenwatch.Row) error
}

func twins(t testing.TB) []twin {
	t.Helper()
	mapping, err := ParseMapping([]byte("a.b: src_ip\na.0.b: attrs.b\nauth.raw: credential\nx: drop\nid: name:provider_id\n"))
	if err != nil {
		t.Fatal(err)
	}
	var out []twin
	for _, c := range []struct {
		name   string
		make   func(Config) (Parser, error)
		config Config
	}{{"json", newJSON, Config{depth: maxInner}}, {"mapped json", newJSON, Config{Mapping: mapping, depth: maxInner}}, { // the objects alone, not records in them
		"cloudtrail", newCloudTrail, Config{}}} {
		one, err := c.make(c.config)
		if err != nil {
			t.Fatal(err)
		}
		other, err := c.make(c.config)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, twin{c.name, one, newReference(t, other)})
	}
	return out
}

// same fails if a twin and its reference read a record differently.
func (w *twin) same(t testing.TB, record []byte) (parsed bool) {
	t.Helper()
	var got, want tokenwatch.Row
	err, expected := w.parser.Parse(record, &got), w.plain(record, &want)
	if fmt.Sprint(err) != fmt.Sprint(expected) {
		t.Fatalf("%s: %q\n got %v\nwant %v", w.name, record, err, expected)
	}
	if err != nil {
		return false
	}
	if a, b := show(&got)+secrets(&got), show(&want)+secrets(&want); a != b {
		t.Fatalf("%s: %q\n got %s\nwant %s", w.name, record, a, b)
	}
	return true
}

// secrets prints what show does not.
func secrets(row *tokenwatch.Row) string {
	var b strings.Builder
	for _, c := range row.Credentials {
		fmt.Fprintf(&b, "%q\n", c.Secret.Reveal())
	}
	return b.String()
}

// FuzzWalker: records are read as jsontext reads them, whatever a parser has
// read before.
func FuzzWalker(f *testing.F) {
	all := jsonSeeds(f)
	for i, s := range all {
		f.Add([]byte(s), []byte(all[(i+1)%len(all)]))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, w := range twins(t) {
			w.same(t, first)
			w.same(t, second)
			w.same(t, first)
		}
	})
}

// jsonSeeds are the golden inputs of the formats that are JSON, and what such
// inputs seldom hold.
func jsonSeeds(t testing.TB) []string {
	t.Helper()
	out := []string{
		`{"ts":1700000000,"_":{"a":"b"},"a":[{"b":"1.2.3.4"},[[{"c":2}]]],"":"","a.b":1,"\u0061":{"b":"::1"}}`,
		`{"ts":1700000000,"a":{"b":"\ud83d\ude00 \ud83d \udead \u00e9\n\/"},"k` + "\xff\xc3" + `":"` + "\xe2\x82" + `é"}`,
		"\r\n\t {\"ts\" : 17e+8 ,\n\"a\":[ ] , \"b\":{ },\"c\":[1,-2.5E3,true,false,null]} \n",
		`{"ts":1700000000,"a":01}`, `{"ts":1700000000,"a":1.}`, `{"ts":1700000000,"a":+1}`, `{"ts":1700000000,"a":-}`, `{"ts":1700000000,"a":1e}`, `{"ts":1700000000,"a":tru}`, `{"ts":1700000000,"a":nulls}`,
		`{"ts":1700000000,}`, `{"ts":1700000000,"a":[1,]}`, `{"ts":1700000000,"a":[,1]}`, `{"ts" 1}`, `{"ts"}`, `{ts:1}`, `{"ts":1]`, `{"a":[1}`, `{"ts":1700000000}{"ts":2}`, `{"ts":1700000000} x`, `{"ts":1700000000`, `{`, `[`, ``,
		"{\"ts\":1700000000,\"a\":\"x\ty\"}", `{"ts":1700000000,"a":"\x"}`, `{"ts":1700000000,"a":"\u12g4"}`, `{"ts":1700000000,"a":"\u12`, `{"ts":1700000000,"a":"x\`, `{"ts":1700000000,"a":"`, `{"ts":1700000000,"a\"b":1,"a":2}`,
		`{"ts":1700000000,"token":"tok_LKChCcpBcGI0y3WctLgK","auth":{"raw":"s3cr3t"},"x":{"y":1},"response":{"token":"abc"}}`,
		strings.Repeat(`{"a":`, maxDepth) + `1` + strings.Repeat(`}`, maxDepth), strings.Repeat(`{"a":[`, maxDepth) + `1`,
	}
	for _, f := range All {
		if f.Name == "combined" {
			continue
		}
		for _, s := range seeds(t, f) {
			out = append(out, s)
			out = append(out, strings.Split(s, "\n")...)
		}
	}
	return out
}

// TestMutants compares the twins over records broken in small ways, read by
// parsers that have read thousands of others.
func TestMutants(t *testing.T) {
	all, pieces := jsonSeeds(t), []string{
		`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, "\n", "\x00", "\xff", "é", `\u00e9`, `\ud83d`, `0`, `-`, `.`, `e1`, `null`, `true`,
		`"a":`, `"a":{"b":`, `"_":{`, `"token":"`, `"x":"y",`,
	}
	r := rand.New(rand.NewPCG(1, 2))
	pairs := twins(t)
	parsed := 0
	all = slices.DeleteFunc(all, func(s string) bool { return !pairs[0].same(t, []byte(s)) })
	for range 8_000 {
		s := []byte(all[r.IntN(len(all))])
		for range r.IntN(3) {
			i := r.IntN(len(s) + 1)
			switch r.IntN(3) {
			case 0:
				s = append(s[:i:i], pieces[r.IntN(len(pieces))]+string(s[i:])...)
			case 1:
				s = append(s[:i:i], s[min(len(s), i+1+r.IntN(6)):]...)
			default:
				other := all[r.IntN(len(all))]
				s = append(s[:i:i], other[r.IntN(len(other)+1):]...)
			}
		}
		for i := range pairs {
			if pairs[i].same(t, s) {
				parsed++
			}
		}
	}
	t.Logf("%d rows", parsed)
	if parsed < 5_000 {
		t.Error("hardly any mutant is a record: the comparison means little")
	}
}

// What a walker keeps of fields is bounded, is given up when it no longer
// serves, and changes nothing in what is read.
func TestKeptFields(t *testing.T) {
	pairs := twins(t)
	p := pairs[0].parser.(*jsonParser)
	for i := range 3 * maxKept {
		pairs[0].same(t, fmt.Appendf(nil, `{"ts":1700000000,"a%d":{"b":[1,{"c%d":2}],"token":"t"},"host":"h"}`, i, i))
	}
	if p.kept != maxKept || p.since == 0 {
		t.Fatalf("%d fields kept, want %d", p.kept, maxKept)
	}
	var row tokenwatch.Row
	record := []byte(`{"ts":1700000000,"new":1}`)
	parse := func() {
		row.Reset()
		if err := p.Parse(record, &row); err != nil {
			t.Fatal(err)
		}
	}
	for range renewAfter {
		parse()
	}
	if p.kept > maxKept/2 {
		t.Errorf("%d fields kept after %d records without them", p.kept, renewAfter)
	}
	if n := testing.AllocsPerRun(100, parse); n != 0 {
		t.Errorf("%v allocations for a record of known fields", n)
	}
	pairs[0].same(t, []byte(`{"ts":1700000000,"`+strings.Repeat("k", 2*maxKeptName)+`":{"a":[{"b":1},{"b":2}],"c":3},"new":4}`))
}
