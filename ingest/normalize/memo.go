package normalize

import (
	"hash/maphash"

	"github.com/tokenwatch/tokenwatch"
)

// memo remembers what was found out of recent texts, in a fixed number of
// places: a log says the same few hundred over and over. Four texts whose hashes
// meet have room beside each other. Which place it is decides nothing but speed.
type memo struct {
	seed maphash.Seed
	sets [256]struct {
		places [4]remembered
		turn   uint8 // the place that is used next
	}
}

type remembered struct {
	kind  []byte // what sort of text it is, where that matters
	text  []byte
	found string
	again *answer // nil until the text came twice: many come once
}

// answer is what is set in rows because of a text.
type answer struct {
	found         *tokenwatch.Word // nil where it is ""
	text          *tokenwatch.Word // what was asked about
	route, action *tokenwatch.Word // where that is a route: it, and kind before it
}

// Bounds of what a place may hold.
const (
	longestRemembered = 512
	longestKind       = 32
)

func newMemo() memo { return memo{seed: maphash.MakeSeed()} }

// get returns what find says of text, which depends on nothing but it and kind. If
// the text came before it returns the words for it too.
func (m *memo) get(kind, text []byte, find func() string) (string, *answer) {
	if len(text) == 0 || len(text) > longestRemembered || len(kind) > longestKind {
		return find(), nil
	}
	h := maphash.Bytes(m.seed, text)
	if len(kind) > 0 {
		h += uint64(len(kind)) + 16*uint64(kind[0])
	}
	s := &m.sets[h%uint64(len(m.sets))]
	for i := range s.places {
		if p := &s.places[i]; string(p.text) == string(text) && string(p.kind) == string(kind) {
			if p.again == nil {
				p.again = newAnswer(p)
			}
			return p.found, p.again
		}
	}
	found := find()
	p := &s.places[s.turn%uint8(len(s.places))]
	s.turn++
	p.text, p.kind, p.found, p.again = append(p.text[:0], text...), append(p.kind[:0], kind...), found, nil
	return found, nil
}

func newAnswer(p *remembered) *answer {
	a := &answer{text: tokenwatch.NewWord(string(p.text))}
	if p.found != "" {
		a.found = tokenwatch.NewWord(p.found)
	}
	if len(p.kind) > 0 {
		a.route = a.text
		a.action = tokenwatch.NewWord(string(p.kind) + " " + string(p.text))
	}
	return a
}

// set gives a column what get returned; "" leaves it as it is.
func set(row *tokenwatch.Row, c tokenwatch.Col, found string, again *answer) {
	switch {
	case found == "":
	case again != nil:
		row.SetWord(c, again.found)
	default:
		row.SetString(c, found)
	}
}
