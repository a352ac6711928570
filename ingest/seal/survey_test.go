package seal

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// TestSurveyShortCuts compares the quick looks at common sorts of texts with
// the thorough ones.
func TestSurveyShortCuts(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 1))
	makers := []func() string{
		func() string { return randomText(r, "") },
		func() string { return pick(r, r.IntN(48), hexes) },
		func() string { return pick(r, r.IntN(48), "abcdef01") },
		func() string { return pick(r, r.IntN(60), lowers+digits+"////..-@{}") },
		func() string { return pick(r, r.IntN(20), symbols) },
		func() string { return "/" + pick(r, r.IntN(30), lowers) + "/" + pick(r, r.IntN(30), hexes) },
	}
	plain, ids, tight := 0, 0, 0
	for i := range 60_000 {
		text := []byte(makers[i%len(makers)]())
		has := lookAt(text)
		if isPlain(text) {
			plain++
			if has != 0 {
				t.Errorf("%q is no plain text: %b", text, has)
			}
		}
		if id := hexID(text); id != 0 {
			ids++
			if got := id &^ (isHexID | hasCoded | hasDeep); got != has || id&(hasCoded|hasDeep) != decodable(text) {
				t.Errorf("%q: surveyed as an id %b, else %b", text, id, has|decodable(text))
			}
		}
		most, least := longParts(text), unexplained(text)
		if most < least {
			t.Errorf("%q: %d characters unexplained, but %d in long parts", text, least, most)
		}
		if most == least && most > 0 {
			tight++
		}
	}
	t.Logf("%d plain texts, %d ids in hex, %d bounds met", plain, ids, tight)
	if plain < 1000 || ids < 1000 || tight < 1000 {
		t.Error("too few to compare")
	}
}

// TestLowHex: eight and sixteen bytes at a time, hex digits and UUIDs are what they
// are byte by byte.
func TestLowHex(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	const few = "0123456789abcdefABCDEFg/:`@-\x00\x7f\x80\xb0\xe1\xff"
	ids, uuids := 0, 0
	for range 200_000 {
		text := []byte(pick(r, 8, few[:16]))
		for r.IntN(2) == 0 {
			text[r.IntN(8)] = few[r.IntN(len(few))]
		}
		want, digits := true, uint64(0)
		for i, c := range text {
			want = want && (c >= '0' && c <= '9' || c >= 'a' && c <= 'f')
			if c >= '0' && c <= '9' {
				digits |= 0x80 << (8 * i)
			}
		}
		hex, d := lowHex(binary.LittleEndian.Uint64(text))
		if hex != want || hex && d != digits {
			t.Fatalf("%q: %v, %x", text, hex, d)
		}
		id := []byte(pick(r, 8, few[:16]) + "-" + pick(r, 4, few[:16]) + "-" + pick(r, 4, few[:16]) + "-" + pick(r, 4, few[:16]) + "-" + pick(r, 12, few[:16]))
		for r.IntN(2) == 0 {
			id[r.IntN(len(id))] = few[r.IntN(len(few))]
		}
		low := isLowUUID(id)
		if low != (isUUID(id) && bytes.Equal(id, bytes.ToLower(id))) {
			t.Fatalf("%q: %v", id, low)
		}
		if low && look(id) != 0 {
			t.Fatalf("%q has %b", id, look(id))
		}
		if hex {
			ids++
		}
		if low {
			uuids++
		}
	}
	t.Logf("%d times hex, %d UUIDs", ids, uuids)
	if ids < 1000 || uuids < 1000 {
		t.Error("too few")
	}
}
