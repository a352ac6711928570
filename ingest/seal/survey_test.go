package seal

import (
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
