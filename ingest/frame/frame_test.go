package frame

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// show lists the records of a stream, one a line: offset, length, flags, bytes.
func show(t *testing.T, kind Kind, r io.Reader, limit int) string {
	t.Helper()
	return list(t, New(kind, r, limit))
}

func list(t *testing.T, f Framer) string {
	t.Helper()
	var out strings.Builder
	for {
		rec, err := f.Next()
		if err == io.EOF {
			return out.String()
		}
		if err != nil {
			fmt.Fprintf(&out, "error %v\n", err)
			return out.String()
		}
		fmt.Fprintf(&out, "%d+%d", rec.Offset, rec.Length)
		if rec.TooLong {
			out.WriteString(" too long")
		}
		if rec.TooDeep {
			out.WriteString(" too deep")
		}
		if !rec.TooLong {
			fmt.Fprintf(&out, " %s", bytes.ReplaceAll(rec.Bytes, []byte("\n"), []byte("⏎")))
		}
		out.WriteByte('\n')
	}
}

func TestFrames(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	for _, c := range []struct {
		name  string
		kind  Kind
		in    string
		limit int
		want  string
	}{
		{"lines", Lines, "a\nbc\r\n\n \t\nd", 0, "0+1 a\n2+2 bc\n10+1 d\n"},
		{"empty", Lines, "", 0, ""},
		{"long line", Lines, "ok\n" + strings.Repeat("x", 500_000) + "\nnext\n", 1000, "0+2 ok\n3+500000 too long\n500004+4 next\n"},
		{"long last line", Lines, "ok\n" + strings.Repeat("x", 500_000), 1000, "0+2 ok\n3+500000 too long\n"},
		{"exactly the limit", Lines, "abcd\r\nabcde\n", 4, "0+4 abcd\n6+5 too long\n"},

		{"json lines", JSONValues, "{\"a\":1}\n{\"b\":2}\r\n\n{\"c\":3}", 0, "0+7 {\"a\":1}\n8+7 {\"b\":2}\n18+7 {\"c\":3}\n"},
		{"concatenated", JSONValues, `{"a":1}{"b":"}{"} {"c":[]}`, 0, "0+7 {\"a\":1}\n7+10 {\"b\":\"}{\"}\n18+8 {\"c\":[]}\n"},
		{"pretty", JSONValues, "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n{\"c\":3}\n", 0, "0+27 {⏎  \"a\": {⏎    \"b\": 1⏎  }⏎}\n28+7 {\"c\":3}\n"},
		{"array", JSONValues, ` [ {"a":1}, {"b":[{}]} ,3,"x,]y"] {"c":3}`, 0, "3+7 {\"a\":1}\n12+10 {\"b\":[{}]}\n24+1 3\n26+6 \"x,]y\"\n34+7 {\"c\":3}\n"},
		{"Records", JSONValues, `{"Records":[{"a":1},{"b":2}]}` + "\n" + `{"c":3}`, 0, "12+7 {\"a\":1}\n20+7 {\"b\":2}\n30+7 {\"c\":3}\n"},
		{"Records between members", JSONValues, `{"v":{"Records":[1]},"Records":[ {"a":1} ], "x":"]}"}{"c":3}`, 0, "33+7 {\"a\":1}\n53+7 {\"c\":3}\n"},
		{"Records of no objects", JSONValues, `{"a":1,"Records":["x"]}`, 0, "0+23 {\"a\":1,\"Records\":[\"x\"]}\n"},
		{"no Records", JSONValues, `{"Records":[]}`, 0, ""},
		{"a page", JSONValues, `{"records":[{"a":1}, {"b":2}]}` + "\n" + `{"c":3}`, 0, "12+7 {\"a\":1}\n21+7 {\"b\":2}\n31+7 {\"c\":3}\n"},
		{"a page that says something of itself", JSONValues, `{"kind":"l","etag":"e","items":[{"a":1}],"next":{"x":"]}"}}{"c":3}`, 0, "32+7 {\"a\":1}\n59+7 {\"c\":3}\n"},
		{"an empty page", JSONValues, `{"cursor":"c","has_more":false,"items":[]}`, 0, ""},
		{"no page: a member of its own before", JSONValues, `{"time":1,"items":[{"a":1}]}`, 0, "0+28 {\"time\":1,\"items\":[{\"a\":1}]}\n"},
		{"no page: a common name alone", JSONValues, `{"data":[{"a":1}]}`, 0, "0+18 {\"data\":[{\"a\":1}]}\n"},
		{"no page: no objects", JSONValues, `{"items":["a"]}`, 0, "0+15 {\"items\":[\"a\"]}\n"},
		{"truncated line", JSONValues, "{\"a\":\"x\n{\"b\":2}\n", 0, "0+7 {\"a\":\"x\n8+7 {\"b\":2}\n"},
		{"truncated behind a comma", JSONValues, "{\"a\":1,\n{\"b\":2}\n", 0, "0+6 {\"a\":1\n8+7 {\"b\":2}\n"},
		{"garbage line", JSONValues, "hello {\n{\"b\":2}\n", 0, "0+7 hello {\n8+7 {\"b\":2}\n"},
		{"wrong bracket", JSONValues, "{\"a\":[1}\n{\"b\":2}\n", 0, "0+8 {\"a\":[1}\n9+7 {\"b\":2}\n"},
		{"broken element", JSONValues, `[{"a":1,{"b":2},{"c":x,"d":{}},{"e":5},{"f":]`, 0,
			"1+6 {\"a\":1\n8+7 {\"b\":2}\n16+14 {\"c\":x,\"d\":{}}\n31+7 {\"e\":5}\n39+5 {\"f\":\n"},
		{"too deep", JSONValues, deep + "\n{\"b\":2}\n", 0, fmt.Sprintf("0+%d too deep %s\n%d+7 {\"b\":2}\n", len(deep), deep, len(deep)+1)},
		{"deep and open", JSONValues, strings.Repeat("{\"a\":[", 50_000) + "\n{\"b\":2}\n", 1000, "0+300000 too long too deep\n300001+7 {\"b\":2}\n"},
		{"huge value", JSONValues, `[{"a":"` + strings.Repeat("y", 400_000) + `"},{"b":2}]`, 1000, "1+400008 too long\n400010+7 {\"b\":2}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"whole":    strings.NewReader(c.in),
				"byte":     iotest.OneByteReader(strings.NewReader(c.in)),
				"data+EOF": iotest.DataErrReader(strings.NewReader(c.in)),
			} {
				if got := show(t, c.kind, r, c.limit); got != c.want {
					t.Errorf("%s:\n got %.300q\nwant %.300q", how, got, c.want)
				}
			}
		})
	}
}

func TestReaderError(t *testing.T) {
	want := errors.New("cut off")
	for _, kind := range []Kind{Lines, JSONValues} {
		f := New(kind, io.MultiReader(strings.NewReader("{\"a\":1}\n{\"b\""), iotest.ErrReader(want)), 0)
		if rec, err := f.Next(); err != nil || string(rec.Bytes) != `{"a":1}` {
			t.Fatalf("%v: %q, %v", kind, rec.Bytes, err)
		}
		if _, err := f.Next(); !errors.Is(err, want) {
			t.Fatalf("%v: %v, want %v", kind, err, want)
		}
	}
}

// A line without end takes no more memory than the limit and two reads.
func TestBoundedMemory(t *testing.T) {
	for _, kind := range []Kind{Lines, JSONValues} {
		r := io.MultiReader(strings.NewReader(`{"a":"`), io.LimitReader(endless{}, 64<<20))
		f := New(kind, r, 0)
		rec, err := f.Next()
		if err != nil || !rec.TooLong || rec.Length != 64<<20+6 {
			t.Fatalf("%v: %+v, %v", kind, rec, err)
		}
		var size int
		switch f := f.(type) {
		case *lines:
			size = len(f.data)
		case *values:
			size = len(f.data)
		}
		if size > 2*(DefaultLimit+readSize) {
			t.Errorf("%v: the buffer grew to %d bytes", kind, size)
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'z'
	}
	return len(b), nil
}

func TestSniff(t *testing.T) {
	for in, want := range map[string]Kind{
		`{"a":1}`:                      JSONValues,
		"\n [ {\"a\":1}]":              JSONValues,
		"[Fri Sep 9] error\n":          Lines,
		"junk\n{\"a\":1}\n{\"b\":1}\n": JSONValues,
		"1.2.3.4 - - [x]\n":            Lines,
		"":                             Lines,
	} {
		if got := Sniff([]byte(in)); got != want {
			t.Errorf("Sniff(%q) = %v, want %v", in, got, want)
		}
	}
}

// A framer that is Reset in the middle of anything frames as a new one does.
func TestReset(t *testing.T) {
	streams := []string{"{\"a\":1}\n{\"b\":2}\n", `{"Records":[{"a":1},{"b":2}`, "[{\"a\":1},{\"b\"", "x\n\ny", `{"a":"`, ""}
	for _, kind := range []Kind{Lines, JSONValues} {
		for _, first := range streams {
			for _, second := range streams {
				for calls := range 3 {
					f := New(kind, strings.NewReader(first), 0)
					for range calls {
						if _, err := f.Next(); err != nil && err != io.EOF {
							t.Fatal(err)
						}
					}
					f.Reset(strings.NewReader(second))
					if got, want := list(t, f), show(t, kind, strings.NewReader(second), 0); got != want {
						t.Fatalf("%v: %q behind %q:\n got %q\nwant %q", kind, second, first, got, want)
					}
				}
			}
		}
	}
}

// However the stream is cut into reads, the records are the same; they lie in
// order, do not overlap and are what the stream has at their place.
func FuzzFramer(f *testing.F) {
	for _, s := range []string{"a\n\r\nb", `{"Records":[{"a":1},{"b":"\"}"}]}`, `{"total":2,"items":[{"a":1},{"b":"\"}"}],"x":1}`, "[{},{\"a\":{]}", "{\"a\":\"x\n{}", "{}{}\n{\n}"} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte(s), uint8(9))
	}
	f.Fuzz(func(t *testing.T, in []byte, limit uint8) {
		for _, kind := range []Kind{Lines, JSONValues} {
			whole := show(t, kind, bytes.NewReader(in), int(limit))
			if bytewise := show(t, kind, iotest.OneByteReader(bytes.NewReader(in)), int(limit)); kind == Lines && bytewise != whole {
				t.Fatalf("%v: depends on the reads:\n%s\n%s", kind, whole, bytewise)
			}
			fr, last := New(kind, bytes.NewReader(in), int(limit)), int64(0)
			for {
				rec, err := fr.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if rec.Offset < last || rec.Length < 0 || rec.Offset+rec.Length > int64(len(in)) {
					t.Fatalf("%v: record %d+%d behind %d of %d", kind, rec.Offset, rec.Length, last, len(in))
				}
				if !rec.TooLong && !bytes.Equal(rec.Bytes, in[rec.Offset:rec.Offset+rec.Length]) {
					t.Fatalf("%v: record %d+%d is not what stands there", kind, rec.Offset, rec.Length)
				}
				last = rec.Offset + rec.Length
			}
		}
	})
}

func BenchmarkFramer(b *testing.B) {
	line := `{"time":"2026-03-02T00:00:26.540Z","token":"tok_AAAAAAAAAAAAAAAAAAAA","principal":"user-08686@org287","src_ip":"88.38.24.175","user_agent":"PostmanRuntime/7.39.0","method":"GET","path":"/v2/payments/50d065f7436d","status":200}` + "\n"
	in := []byte(strings.Repeat(line, 4000))
	cases := map[string]struct {
		kind Kind
		in   []byte
	}{
		"lines":      {Lines, in},
		"json_lines": {JSONValues, in},
		"json_array": {JSONValues, append([]byte("["), in...)},
	}
	for name, c := range cases {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(c.in)))
			for b.Loop() {
				f := New(c.kind, bytes.NewReader(c.in), 0)
				for {
					if _, err := f.Next(); err != nil {
						break
					}
				}
			}
		})
	}
}

// TestMixedObjects: what an object is does not depend on those before it in its
// stream, of which the framer remembers how they began.
func TestMixedObjects(t *testing.T) {
	objects := []string{
		`{"time":1,"b":{"c":[2]}}`, `{"time" :1}`, `{"ti\u006de":1}`, `{"time":1,"items":[{"x":1},{"x":2}]}`, `{}`, `{"":1}`,
		`{"items":[{"x":1},{"x":2}]}`, `{"kind":"k","items":[{"x":3}]}`, `{"kind":"k","time":1}`, `{"value":[{"x":4}]}`,
		`{"success":true,"result":[{"x":5},{"x":6}]}`, `{"Records":[{"x":7},{"x":8}]}`, `{"time":1,"Records":[{"x":9}]}`, `{"ite":1}`, `{"items":1}`,
		`{"` + strings.Repeat("n", 100) + `":1}`,
	}
	texts := func(f Framer) (out []string) {
		for {
			rec, err := f.Next()
			if err != nil {
				return out
			}
			out = append(out, string(rec.Bytes))
		}
	}
	r := rand.New(rand.NewPCG(5, 1))
	opened := 0
	for range 1000 {
		var stream, want []string
		for range 1 + r.IntN(12) {
			object := objects[r.IntN(len(objects))]
			stream = append(stream, object)
			alone := texts(New(JSONValues, strings.NewReader(object), 0))
			want = append(want, alone...)
			opened += len(alone) - 1
		}
		in := strings.Join(stream, []string{"\n", "", " \r\n"}[r.IntN(3)])
		for _, reader := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			if got := texts(New(JSONValues, reader, 0)); !slices.Equal(got, want) {
				t.Fatalf("%q\n got %q\nwant %q", in, got, want)
			}
		}
	}
	if opened < 300 {
		t.Errorf("only %d records were in pages", opened)
	}
}
