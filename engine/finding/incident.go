// Package finding turns signals into findings: it combines what the detectors
// said of an entity's hour into one number, gathers the hours of a day into one
// incident, and tells an analyst about it.
package finding

import (
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Incident is what will be told of one entity's UTC day in one finding: the
// hours in which it was anomalous. It is a record of the engine's state, so its
// fields are fixed by the order they are written in.
type Incident struct {
	_         struct{} `cbor:",toarray"`
	Day       int32    // since 1970
	Hours     []Hour   // in order
	Continues string   // id of the finding of the day before, if there was one
	Revision  int      // last one emitted; 0: none yet
	Told      []byte   // Finding.Canonical of the last revision
	Score     int      // of the last revision
	Joined    []Joined // hours that other findings tell of, in order

	// Band is what was expected, by the baseline as of the first of the hours: from
	// a day before that hour on to the end of the incident's day.
	Band tokenwatch.Series `cbor:"-"`
}

// Joined is an hour that is told of in another finding.
type Joined struct {
	_    struct{} `cbor:",toarray"`
	Hour int32
	Into string // id of that finding
	// Cause says that it is of a cause over many, in which this entity did nothing of
	// its own: there is no incident that could go on.
	Cause bool
}

// Join notes that an hour is told of in another finding; "" takes that back.
func (in *Incident) Join(hour int32, into string) { in.join(hour, into, false) }

// Explain notes that an hour is told of in the finding of a cause over many; ""
// takes that back.
func (in *Incident) Explain(hour int32, into string) { in.join(hour, into, true) }

func (in *Incident) join(hour int32, into string, cause bool) {
	if at := in.joined(hour); at >= 0 {
		in.Joined = slices.Delete(in.Joined, at, at+1)
	}
	if into == "" {
		return
	}
	in.Put(hour, nil)
	in.Joined = append(in.Joined, Joined{Hour: hour, Into: into, Cause: cause})
	slices.SortFunc(in.Joined, func(a, b Joined) int { return int(a.Hour - b.Hour) })
}

// Absorb adds to an hour what another entity's hour would have told.
func (h *Hour) Absorb(e tokenwatch.Entity, o *Hour) {
	if len(h.Reasons) == 0 || o.Rate < h.Rate {
		h.Rate, h.Sum = o.Rate, o.Sum
	}
	h.Learning = h.Learning || o.Learning
	h.Events = earliest(append(slices.Clone(h.Events), o.Events...))
	h.Members = append(slices.Clone(h.Members), tokenwatch.Member{EntityKind: e.Kind, Entity: e.ID, Score: Score(o.Rate)})
	var n int
	h.Members, n = SortMembers(h.Members)
	if h.Count++; h.Count <= tokenwatch.MaxMembers {
		h.Count = n // who is absorbed again counts once
	}
	if h.Telling == (tokenwatch.Event{}) {
		h.Telling = o.Telling
	}
}

// Follows is the finding that one of the day after goes on from, if it is not the
// incident's own: that of the incident it was joined to.
func (in *Incident) Follows() string {
	for _, j := range in.Joined {
		if !j.Cause {
			return j.Into
		}
	}
	return ""
}

// Into is the finding that tells of the incident, "" if it has one of its own or
// never came to anything.
func (in *Incident) Into() string {
	if len(in.Hours) > 0 || len(in.Joined) == 0 {
		return ""
	}
	return in.Joined[0].Into
}

// Hour is an anomalous hour of an incident.
type Hour struct {
	_        struct{} `cbor:",toarray"`
	Hour     int32    // since 1970
	Settled  bool
	Learning bool
	Sum      tokenwatch.Bans // combined surprise
	Rate     tokenwatch.Bans // log₁₀ of the false findings expected per entity and week
	Reasons  []tokenwatch.Reason
	Events   []tokenwatch.Event  // evidence, earliest first
	Telling  tokenwatch.Event    // the one event that shows it best
	Members  []tokenwatch.Member // who else it is about, see tokenwatch.Finding
	Count    int                 // how many that are
}

// Put replaces what the incident says of an hour; nil takes the hour away.
func (in *Incident) Put(hour int32, h *Hour) {
	at, ok := in.find(hour)
	switch {
	case ok && h == nil:
		in.Hours = slices.Delete(in.Hours, at, at+1)
	case ok:
		in.Hours[at] = *h
	case h != nil:
		in.Hours = slices.Insert(in.Hours, at, *h)
	}
}

// Has tells whether an hour is part of the incident.
func (in *Incident) Has(hour int32) bool {
	_, ok := in.find(hour)
	return ok
}

func (in *Incident) find(hour int32) (int, bool) {
	return slices.BinarySearchFunc(in.Hours, hour, func(h Hour, t int32) int { return int(h.Hour - t) })
}

// Covers tells whether an hour is part of the incident or of the one it was joined to.
func (in *Incident) Covers(hour int32) bool { return in.Has(hour) || in.joined(hour) >= 0 }

// joined is the place of an hour in Joined, -1 if it has none.
func (in *Incident) joined(hour int32) int {
	return slices.IndexFunc(in.Joined, func(j Joined) bool { return j.Hour == hour })
}

// At returns what the incident says of an hour, nil if nothing.
func (in *Incident) At(hour int32) *Hour {
	if at, ok := in.find(hour); ok {
		return &in.Hours[at]
	}
	return nil
}

// Settled tells whether nothing the incident says can change any more, but for
// hours still to come.
func (in *Incident) Settled() bool {
	return !slices.ContainsFunc(in.Hours, func(h Hour) bool { return !h.Settled })
}

// HourStart is the time at which an hour since 1970 begins.
func HourStart(hour int32) time.Time { return time.Unix(int64(hour)*3600, 0).UTC() }
