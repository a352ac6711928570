package tokenwatch

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestInterner compares with a map, over texts of all lengths and dictionary after
// dictionary; words have the codes that their texts have.
func TestInterner(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var d interner
	words := make(map[string]*Word)
	for _, n := range []int{0, 3000, 1, 200, 20_000, 5} {
		var values Strings
		codes := map[string]uint32{}
		for range n {
			text := string(bytes.Repeat([]byte{byte('a' + r.IntN(3))}, r.IntN(40))) + string(rune('a'+r.IntN(26)))
			if r.IntN(4) == 0 {
				text = text[:len(text)-1] + string(rune(r.IntN(1<<14)))
			}
			var got uint32
			if r.IntN(2) == 0 {
				if words[text] == nil {
					words[text] = NewWord(text)
				}
				got = words[text].codeOf(&d, &values)
			} else {
				got = d.code(&values, []byte(text))
			}
			want, ok := codes[text]
			if !ok {
				want = uint32(len(codes) + 1)
				codes[text] = want
			}
			if got != want || values.At(int(got)) != text {
				t.Fatalf("%q has code %d, want %d", text, got, want)
			}
		}
		if values.Len() > 0 && (values.Len() != len(codes)+1 || values.At(0) != "") {
			t.Fatalf("%d values, want %d and null", values.Len(), len(codes))
		}
		d = d.reset(&values)
	}
}

// TestHashOfTexts: texts that differ in one byte, or in length, hardly ever share
// the hash of an interner.
func TestHashOfTexts(t *testing.T) {
	var keys hashKeys
	keys.make()
	seen := map[uint64]string{}
	met, n := 0, 0
	add := func(b []byte) {
		n++
		h := keys.hash(b)
		if other, ok := seen[h]; ok && other != string(b) {
			met++
		}
		seen[h] = string(b)
	}
	for length := range 70 {
		b := bytes.Repeat([]byte{'x'}, length)
		add(b)
		for i := range b {
			for c := range 16 {
				b[i] = byte('a' + c)
				add(b)
			}
			b[i] = 'x'
		}
	}
	t.Logf("%d of %d hashes met", met, n)
	if met > 3 { // by chance one in three runs has one
		t.Errorf("%d of %d hashes met", met, n)
	}
}
