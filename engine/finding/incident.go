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

	// Band is what was expected, by the baseline as of the first of the hours: from
	// a day before that hour on to the end of the incident's day.
	Band tokenwatch.Series `cbor:"-"`
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
	Events   []tokenwatch.Event // evidence, earliest first
	Telling  tokenwatch.Event   // the one event that shows it best
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

// Settled tells whether nothing the incident says can change any more, but for
// hours still to come.
func (in *Incident) Settled() bool {
	return !slices.ContainsFunc(in.Hours, func(h Hour) bool { return !h.Settled })
}

// HourStart is the time at which an hour since 1970 begins.
func HourStart(hour int32) time.Time { return time.Unix(int64(hour)*3600, 0).UTC() }
