package frame

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// jsonSeeds are objects, whole and broken.
var jsonSeeds = []string{
	`{}`, `{"a":1}`, ` {"a":[1,{"b":"}\"]"}],"c":null}`, "{\n \"a\" : [ ] ,\n\"b\":{ }\n}", `{"Records":[{"a":1}]}`, `{"a":{"Records":[]}}`, `{"\u0052ecords":[]}`,
	`{"a":-1.5e+3,"b":true}{"c":1}`, `{"a":01}`, `{"a":1,}`, `{"a"}`, `{"a":[1}`, "{\"a\":\"x\ny\"}", `{"a":"x`, `{"a":tru}`, `{"a":"\x"}`,
	"{\"a\":[{\"b\":\"}\"}\n,1]}", "{\"a\":[{\"b\":\"}\"}\n\n]}", // balanced at the line's end, if only braces are counted
	strings.Repeat(`{"a":`, MaxDepth) + `1` + strings.Repeat(`}`, MaxDepth), strings.Repeat(`{"a":`, MaxDepth+1) + `1` + strings.Repeat(`}`, MaxDepth+1),
}

// slow is the end of the object at the beginning of b as the scanner finds it
// byte by byte, -1 if it does not find it sound.
func slow(b []byte, watch bool) int {
	s := scanner{watch: watch}
	for i := range b {
		switch _, v := s.step(b[i : i+1]); {
		case v == end && !s.loose && !s.deep:
			return i + 1
		case v != more:
			return -1
		}
	}
	return -1
}

// FuzzObjectEnd: what is cut at once is what the scanner cuts byte by byte.
func FuzzObjectEnd(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		in = in[Space(in, 0):]
		if len(in) == 0 || in[0] != '{' {
			return
		}
		for _, watch := range []bool{false, true} {
			if got, want := objectEnd(in, 1, 1, watch), slow(in, watch); got >= 0 && got != want {
				t.Fatalf("%q ends at %d, the scanner says %d", in, got, want)
			}
		}
	})
}

// Sound objects are cut at once: the short cut would otherwise be none.
func TestObjectEnd(t *testing.T) {
	for in, want := range map[string]int{
		jsonSeeds[0]: 2, jsonSeeds[1]: 7, jsonSeeds[3]: len(jsonSeeds[3]), jsonSeeds[4]: -1, jsonSeeds[5]: len(jsonSeeds[5]),
		jsonSeeds[7]: 22, jsonSeeds[8]: -1, jsonSeeds[16]: len(jsonSeeds[16]), jsonSeeds[18]: len(jsonSeeds[18]), jsonSeeds[19]: -1,
	} {
		if got := objectEnd([]byte(in), 1, 1, true); got != want {
			t.Errorf("%.40q ends at %d, want %d", in, got, want)
		}
	}
}

// FuzzShortCut: lines and objects that are whole in the buffer are cut into the
// same records as byte by byte, if they are sound.
func FuzzShortCut(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s), []byte(jsonSeeds[2]))
		f.Add([]byte(s+" "+s), []byte(s))
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		for _, b := range [][]byte{one, two} {
			if i := Space(b, 0); i == len(b) || b[i] != '{' || slow(b[i:], true) != len(b)-i || objectEnd(b[i:], 1, 1, true) < 0 {
				return
			}
		}
		for _, layout := range []string{"%s\n%s\n", "%s%s", "%s\r\n \n%s", "[%s,\n%s]", `{"Records":[%s,%s]}`, "[%s]%s"} {
			in := fmt.Appendf(nil, layout, one, two)
			whole, bytewise := show(t, JSONValues, bytes.NewReader(in), 0), show(t, JSONValues, iotest.OneByteReader(bytes.NewReader(in)), 0)
			if whole != bytewise || strings.Count(whole, "\n") != 2 {
				t.Fatalf("%q\nwhole: %s\nbytes: %s", in, whole, bytewise)
			}
		}
	})
}

// A record costs no allocation.
func TestNoAllocations(t *testing.T) {
	line := []byte(`{"time":"2026-03-02T00:00:26.540Z","user":{"name":"a"},"list":[1,2],"status":200}` + "\n")
	for name, in := range map[string][]byte{
		"lines": bytes.Repeat(line, 500),
		"array": append([]byte("["), bytes.Repeat(line, 500)...),
	} {
		few, all := allocations(t, in[:len(in)/2]), allocations(t, in)
		if few != all {
			t.Errorf("%s: %v allocations for half the stream, %v for all", name, few, all)
		}
	}
}

func allocations(t *testing.T, in []byte) float64 {
	return testing.AllocsPerRun(10, func() {
		for f := New(JSONValues, bytes.NewReader(in), 0); ; {
			if _, err := f.Next(); err == io.EOF {
				return
			} else if err != nil {
				t.Fatal(err)
			}
		}
	})
}
