// Package sources knows how regularly each source of logs reports, and how much
// of what it sends can be read.
//
// In come how many events a source had in which minutes of event time, and how
// many of its records were refused; out go its health, and, hour by settled hour,
// when it fell silent and when it suddenly parsed badly. What is said of hours
// that have settled depends on the set of events and on which batches had rejects,
// not on the order in which they came.
//
// A source is expected to report as it usually does at that time of the week. Each
// hour of the day has a weight, on workdays and on weekends its own: in how many
// of the hours like it there were events. Silence is measured in minutes weighted
// so, which makes a night that is always quiet count for nothing; and it is too
// long when it is half as long again as the longest of the last four weeks,
// and a quarter of an hour more. Nothing is said of a source that has not been
// seen for a day, with events in twenty of its hours.
package sources

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

const (
	hourNanos   = int64(3600e9)
	minuteNanos = int64(60e9)

	weightOne  = 100            // weight of a minute in which there always are events
	spare      = 15 * weightOne // how much longer than usual a silence may be in any case
	learnAfter = 24 * 60        // minutes between first and last event before anything is said,
	learnHours = 20             // and hours with events
	gapDays    = 28             // over which the longest silence is taken
	halveAt    = 64             // hours like it, after which older ones count half
	forgetDays = 30             // a source that was silent for so long is forgotten
)

// Source is what is known of one source.
type Source struct {
	_ struct{} `cbor:",toarray"`

	First, Last int64 // event time of the first and the last event, UTC nanoseconds; 0 if there was none
	Began, Came int64 // wall clock, as logged, of the first and the last request
	Lag         int64 // nanoseconds between the newest event of the last request and its coming
	Records     int64 // stored, repeats too
	Rejects     int64

	Settled int32   // hours before this one have settled
	Open    []*Hour // with events or rejects, in order; those that have not settled
	Rhythm  Rhythm
	Quality Quality
	Recent  Recent
	Holes   []Hole // of settled hours, in order
}

// Hole is a span of event time of which it cannot be said that nothing happened:
// the source was silent, or much of what it sent could not be read.
type Hole struct {
	_     struct{} `cbor:",toarray"`
	From  int32    // minute, since 1970
	To    int32    // the first minute behind it; 0: it goes on
	Found int32    // minute from which on it is known
}

const maxHoles = 256 // of one source; the oldest are forgotten

// Hour is what a source sent of one hour that has not settled.
type Hour struct {
	_       struct{} `cbor:",toarray"`
	Hour    int32    // since 1970
	Minutes uint64   // which of its minutes have events
	Events  int64
	Rejects int64
}

// Observation is what one batch showed of a source.
type Observation struct {
	Came    int64 // wall clock of the append, UTC nanoseconds
	Rows    int64 // stored
	Newest  int64 // greatest event time of its rows, UTC nanoseconds; 0 if it has none
	Rejects int64
	Minutes []Minute // events within the windows, in any order
	Clock   int32    // minute that rejects are counted in where no event tells the time; 0: none is known
}

// Minute is how many events there were in one minute.
type Minute struct {
	Minute int32 // since 1970
	Events int64
}

// Take takes in what a batch showed.
func (s *Source) Take(o *Observation) {
	if s.Began == 0 {
		s.Began = o.Came
	}
	s.Came = max(s.Came, o.Came)
	if o.Newest != 0 {
		s.Lag = o.Came - o.Newest
	}
	s.Records += o.Rows
	s.Rejects += o.Rejects
	at := o.Clock
	for _, m := range o.Minutes {
		ns := int64(m.Minute) * minuteNanos
		if s.First == 0 || ns < s.First {
			s.First = ns
		}
		if h := s.hour(m.Minute / 60); h != nil {
			h.Minutes |= 1 << (m.Minute % 60)
			h.Events += m.Events
		}
		s.Recent.add(m)
		at = max(at, m.Minute)
	}
	if len(o.Minutes) > 0 {
		s.Last = max(s.Last, o.Newest)
		latest := slices.MaxFunc(o.Minutes, func(a, b Minute) int { return cmp.Compare(a.Minute, b.Minute) })
		at = latest.Minute
	}
	if o.Rejects > 0 && at > 0 {
		if h := s.hour(max(at/60, s.Settled)); h != nil {
			h.Rejects += o.Rejects
		}
	}
}

// hour returns an hour that has not settled, nil if it has.
func (s *Source) hour(hour int32) *Hour {
	if s.Settled == 0 {
		s.Settled = hour
	} else if hour < s.Settled && s.Rhythm.Since == 0 {
		s.Settled = hour // nothing was learned yet
	}
	at, ok := slices.BinarySearchFunc(s.Open, hour, func(h *Hour, hour int32) int { return cmp.Compare(h.Hour, hour) })
	if ok {
		return s.Open[at]
	}
	if hour < s.Settled {
		return nil
	}
	h := &Hour{Hour: hour}
	s.Open = slices.Insert(s.Open, at, h)
	return h
}

// Alarm is that a source did not do as it usually does.
type Alarm struct {
	_       struct{} `cbor:",toarray"`
	At      int32    // minute, since 1970, from which on it was so
	Since   int32    // of a silence: the last minute with an event
	Longest int32    // of a silence: minutes in which there usually are events that the longest before had
	Events  int64    // of an hour with many rejects
	Rejects int64
	Usual   int32 // of such an hour: how many of ten thousand records were refused before
}

// Settle settles the hours before one, and returns what they come to; before is
// at most that of the greatest event time, whatever has settled.
func (s *Source) Settle(before int32) (silent, bad []Alarm) {
	for s.Settled != 0 && s.Settled < before {
		if len(s.Open) == 0 && s.Rhythm.idle() {
			s.Settled = before // nothing to learn from, or to say
			break
		}
		h := &Hour{Hour: s.Settled}
		if len(s.Open) > 0 && s.Open[0].Hour == s.Settled {
			h, s.Open = s.Open[0], s.Open[1:]
		}
		was := s.Rhythm.Silent
		a, fell := s.Rhythm.step(h, 60, s.First)
		if was {
			s.resume(h, 0)
		}
		if fell {
			silent = append(silent, a)
			s.hole(Hole{From: a.Since + 1, Found: a.At})
			s.resume(h, max(0, a.At-h.Hour*60))
		}
		s.Rhythm.learn(h)
		if a, ok := s.Quality.judge(h); ok {
			bad = append(bad, a)
			s.hole(Hole{From: a.At, To: a.At + 60, Found: a.At + 60})
		}
		s.Quality.learn(h)
		s.Settled++
	}
	return silent, bad
}

// hole keeps a hole.
func (s *Source) hole(h Hole) {
	if len(s.Holes) == maxHoles {
		s.Holes = slices.Delete(s.Holes, 0, 1)
	}
	s.Holes = append(s.Holes, h)
}

// resume ends the hole that goes on at the first event from a minute of an hour on.
func (s *Source) resume(h *Hour, from int32) {
	if rest := h.Minutes >> from; rest != 0 {
		for i := len(s.Holes) - 1; i >= 0; i-- {
			if s.Holes[i].To == 0 {
				s.Holes[i].To = h.Hour*60 + from + int32(bits.TrailingZeros64(rest))
			}
		}
	}
}

// Judge tells what hours come to that have not settled, up to a minute of event
// time. It changes nothing.
func (s *Source) Judge(now int32) (silent, bad []Alarm) {
	for _, h := range s.Open {
		if a, ok := s.Quality.judge(h); ok {
			bad = append(bad, a)
		}
	}
	_, silent = s.ahead(now)
	return silent, bad
}

// SilentSince returns the last minute with an event where the source is found
// silent at a minute of event time, 0 where it is not.
func (s *Source) SilentSince(now int32) int32 {
	if r, _ := s.ahead(now); r.Silent {
		return r.Since
	}
	return 0
}

// ahead is the rhythm as of a minute of event time, and where it falls silent
// before, if nothing more comes of the hours that have not settled.
func (s *Source) ahead(now int32) (r Rhythm, silent []Alarm) {
	r = s.Rhythm
	open := s.Open
	for hour := s.Settled; s.Settled != 0 && hour <= now/60; hour++ {
		if len(open) == 0 && r.idle() {
			break
		}
		h := &Hour{Hour: hour}
		if len(open) > 0 && open[0].Hour == hour {
			h, open = open[0], open[1:]
		}
		end := int32(60)
		if hour == now/60 {
			end = max(now%60, int32(bits.Len64(h.Minutes)))
		}
		if a, ok := r.step(h, end, s.First); ok {
			silent = append(silent, a)
		}
		r.learn(h)
	}
	return r, silent
}

// Gone tells whether a source was silent for so long that it is forgotten.
func (s *Source) Gone(hour int32) bool {
	last := max(s.Last, s.First) / hourNanos
	if s.Last == 0 {
		last = int64(s.Settled)
	}
	return len(s.Open) == 0 && hour != math.MaxInt32 && int64(hour)-last > forgetDays*24
}
