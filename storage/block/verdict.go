package block

import (
	"slices"
	"strings"
)

// verdict is what a shape says about the strings of it.
type verdict struct {
	shape shape
	state state
	parts [][]way // for each part of the test that may or may not occur, how: one way must hold
	build bool    // only the string itself decides, if the parts occur
	has   tally   // what slots a string has
	alien bool    // it has slots that no tally counts
}

// state is how far a shape decides.
type state uint8

const (
	never  state = iota // no string fulfils the test
	always              // each does
	maybe
)

// of returns the verdict on a template, nil if it is none.
func (s *search) of(template string) *verdict {
	if v := s.known[template]; v != nil {
		return v
	}
	template = strings.Clone(template)
	sh, ok := parseShape(template)
	if !ok {
		return nil
	}
	v := &verdict{shape: sh, state: maybe}
	s.known[template] = v
	for _, p := range sh.parts {
		if p.text == "" {
			v.alien = v.alien || !v.has.add(p)
		}
	}
	if last := len(sh.parts) - 1; last < 0 || len(sh.parts) == 1 && sh.parts[0].text != "" {
		v.state = never
		if s.holds(template) { // it is the string
			v.state = always
		}
		return v
	} else if text, suffix := sh.parts[last].text, s.test.Suffix; text != "" {
		if n := min(len(text), len(suffix)); text[len(text)-n:] != suffix[len(suffix)-n:] {
			v.state = never
			return v
		}
	}
	v.build = s.test.Test != nil
	for _, part := range s.test.Parts {
		ways, ok := sh.ways(part)
		switch {
		case !ok:
			v.build = true
		case len(ways) == 0:
			v.state = never
			return v
		case !slices.ContainsFunc(ways, func(w way) bool { return len(w) == 0 }):
			v.parts = append(v.parts, ways)
		}
	}
	if !v.build && v.parts == nil {
		v.state = always
	}
	return v
}

// tally counts slots: numbers, and the digits of the classes that Encoder.shapes
// writes, in 32 bits each.
type tally [2]uint64

// lane is where a class is counted.
func lane(class slotClass) (word, shift int, ok bool) {
	switch class {
	case slotNumber:
		return 0, 0, true
	case slotHex:
		return 0, 32, true
	case slotHEX:
		return 1, 0, true
	case slotLetter:
		return 1, 32, true
	}
	return 0, 0, false
}

// add counts a slot; false if its class is not counted.
func (t *tally) add(p part) bool {
	word, shift, ok := lane(p.class)
	if ok {
		t[word] += uint64(max(p.n, 1)) << shift
	}
	return ok
}

// of is how many there are of a class.
func (t *tally) of(class slotClass) int {
	word, shift, ok := lane(class)
	if !ok {
		return 0
	}
	return int(uint32(t[word] >> shift))
}
