package baseline

import (
	"cmp"
	"slices"

	"github.com/tokenwatch/tokenwatch/engine/window"
)

// Sources is, for an address, which tokens came from it within a day, those of the
// smallest hashes.
type Sources struct {
	_      struct{} `cbor:",toarray"`
	Tokens []Source
	Over   bool // there were more
}

// Source is one of them.
type Source struct {
	_     struct{} `cbor:",toarray"`
	Token uint32   // upper half of its hash
	Taken bool     // some event was not refused for the credential
	From  uint16   // least digest of the addresses that it came from
}

const maxSources = 128

// Add takes in the visitors of a window.
func (s *Sources) Add(w *window.Window) {
	for i := range w.Visitors {
		v := &w.Visitors[i]
		f := fingerprint(v.Token)
		at, ok := slices.BinarySearchFunc(s.Tokens, f, func(t Source, f uint32) int { return cmp.Compare(t.Token, f) })
		if !ok {
			s.Tokens = slices.Insert(s.Tokens, at, Source{Token: f, From: v.From})
			if len(s.Tokens) > maxSources {
				s.Over = true
				s.Tokens = s.Tokens[:maxSources]
				if at == maxSources {
					continue
				}
			}
		}
		s.Tokens[at].Taken = s.Tokens[at].Taken || v.Failed < v.Count
		s.Tokens[at].From = min(s.Tokens[at].From, v.From)
	}
}

// Counts tells how many tokens were taken and how many were not.
func (s *Sources) Counts() (taken, refused int) {
	for _, t := range s.Tokens {
		if t.Taken {
			taken++
		} else {
			refused++
		}
	}
	return taken, refused
}

// Addresses is how many different addresses the tokens came from, at least.
func (s *Sources) Addresses() int {
	from := make([]uint16, len(s.Tokens))
	for i, t := range s.Tokens {
		from[i] = t.From
	}
	slices.Sort(from)
	return len(slices.Compact(from))
}
