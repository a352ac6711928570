// Package detect holds the detectors, one file each, listed in all.go.
//
// What an entity did in a window and what it usually does come in; signals go
// out: how improbable it was, in which respect, and which events show it. A
// detector keeps no state of its own and looks at nothing but its arguments, so
// that equal logs give equal signals.
package detect

import (
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// Subject is one entity in one window, with what is usual for it.
type Subject struct {
	Entity tokenwatch.Entity
	Life   *baseline.Life // what is told of a token; nil if nothing is
	Now    *window.Window
	Usual  baseline.View

	found []window.Value // reused by strange
	today baseline.Day   // what Today has found
	added bool           // it has
}

// Set makes it another subject, in the memory of the one before.
func (s *Subject) Set(e tokenwatch.Entity, life *baseline.Life, now *window.Window, usual baseline.View) {
	*s = Subject{Entity: e, Life: life, Now: now, Usual: usual, found: s.found}
}

// Today is the hours of the same day before this one: few detectors ask for it of few
// subjects.
func (s *Subject) Today() *baseline.Day {
	if !s.added {
		s.today, s.added = s.Usual.Today(s.Now.Hour), true
	}
	return &s.today
}

// A Detector compares windows of entities with what they usually do. Score is
// called from several goroutines at once; it appends to out and keeps nothing.
type Detector interface {
	// Score emits a signal for every respect in which subject row is improbable.
	Score(row int, subject *Subject, out []tokenwatch.Signal) []tokenwatch.Signal
	// Explain tells an analyst what a signal of this detector means, in a clause
	// that begins with a verb; values are what its evidence shows on its axis.
	Explain(signal tokenwatch.Signal, values []string) string
}

// Idle tells whether no detector can have anything to say of a window, as of most that
// hold no event of the entity's own: there is one origin only, or of an address one
// token that came from there all day. Such windows are not scored; what looks at windows
// without own events must be thought of here. The view need hold no peers.
func Idle(now *window.Window, usual *baseline.View) bool {
	if now.Events > 0 {
		return false
	}
	if usual.Kind == tokenwatch.EntityAddress {
		return usual.OneToken(now)
	}
	return len(now.Origins) < 2 && usual.Learning()
}

// Entry is a line of All.
type Entry struct {
	Name string
	Doc  string // one line: what it notices
	New  func(vec.Hash) Detector
}

// Groups of signals that look at one thing from several sides: when they are
// combined, only the strongest of each group counts. A signal without a group
// counts by itself.
const (
	groupWhere  = "where"  // network, address, country
	groupClient = "client" // program and its version
	groupWhat   = "what"   // actions and parts of the service
	groupAmount = "amount" // events, bytes, objects
	groupFaults = "faults" // how it was answered
	groupWhen   = "when"   // hours and minutes
	// groupVisitors is what credentials come from an address.
	groupVisitors = "visitors"
)

// token is the token that a subject is about, "" if it is about something else.
func (s *Subject) token() tokenwatch.TokenID {
	if s.Entity.Kind != tokenwatch.EntityToken {
		return ""
	}
	return tokenwatch.TokenID(s.Entity.ID)
}

// block tells whether the subject is a block of addresses rather than one, of which
// only credentials that were not taken are known.
func (s *Subject) block() bool {
	return s.Entity.Kind == tokenwatch.EntityAddress && strings.IndexByte(s.Entity.ID, '/') >= 0
}

// end is the last moment of the window's hour, UTC milliseconds.
func (s *Subject) end() int64 { return int64(s.Now.Hour+1)*3600_000 - 1 }

// first returns the earliest event of the window.
func (s *Subject) first() (tokenwatch.EventRef, bool) {
	var first tokenwatch.EventRef
	found := false
	for a := range s.Now.Axes {
		for i := range s.Now.Axes[a] {
			if ref := s.Now.Axes[a][i].First; !found || ref.Before(first) {
				first, found = ref, true
			}
		}
	}
	return first, found
}

// strange returns the values of an axis that the entity is not known for. They are good
// until it is asked again.
func (s *Subject) strange(axes ...feature.Axis) []window.Value {
	out := s.found[:0]
	for _, a := range axes {
		for _, v := range s.Now.Axes[a] {
			if !s.Usual.Knows(a, v.Hash) {
				out = append(out, v)
			}
		}
	}
	s.found = out
	return out
}

// unpopular tells whether any of the values of an axis is not usual for the peers.
func (s *Subject) unpopular(a feature.Axis, values []window.Value) bool {
	for _, v := range values {
		if !s.Usual.Popular(a, v.Hash) {
			return true
		}
	}
	return false
}

// odds is how probable it is that what is new on an axis is as little known to the
// peers: usual for them, known of some, or of nobody at all.
func (s *Subject) odds(a feature.Axis, values []window.Value) float64 {
	if !s.unpopular(a, values) {
		return 1
	}
	p := s.Usual.Unpopular(a)
	for _, v := range values {
		if !s.Usual.Heard(a, v.Hash) {
			return float64(p * s.Usual.Unheard(a))
		}
	}
	return p
}

// granted tells whether a scope that was granted of late is used for the first time.
func (s *Subject) granted() bool {
	for _, v := range s.Now.Axes[feature.Area] {
		if s.Life.Granted(v.Hash, s.token(), s.end()) && !s.Usual.Knows(feature.Area, v.Hash) {
			return true
		}
	}
	return false
}

// settling halves what new things mean in an entity's first day, which goes on showing
// what it is.
func (s *Subject) settling(surprise tokenwatch.Bans) tokenwatch.Bans {
	if s.Now.Hour-s.Usual.Usual.First < 24 {
		return surprise / 2
	}
	return surprise
}

// samples returns events of the slots in which most was done, earliest first: of
// an amount there is no one event that shows it.
func samples(w *window.Window) []tokenwatch.EventRef {
	most := uint32(0)
	for _, s := range w.Slots {
		most = max(most, s.Events)
	}
	var refs []tokenwatch.EventRef
	for _, s := range w.Slots {
		if s.Events*2 >= most {
			refs = append(refs, s.Sample)
		}
	}
	return refs
}
