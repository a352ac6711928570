package sources

import (
	"math/bits"
	"time"
)

// Rhythm is when a source usually reports, from hours that have settled.
type Rhythm struct {
	_        struct{}       `cbor:",toarray"`
	Since    int32          // last minute with an event; 0: there was none yet
	Clock    int64          // weighted minutes since then, in hundredths
	Fresh    int64          // the same of hours of a kind never seen before, which have no weight yet
	Hours    int32          // with events
	Silent   bool           // for longer than usual
	Active   [cells]int32   // hours with events, by the time of the week
	Observed [cells]int32   // all hours
	Gaps     [gapDays]int64 // longest silence that ended on a day, as Clock
	Day      int32          // the last of them
}

// cells are the hours of a workday and those of a day of the weekend.
const cells = 48

func cellOf(hour int32) int32 {
	day := (hour/24 + 3) % 7 // from Monday: 1970 began on a Thursday
	if day >= 5 {
		return 24 + hour%24
	}
	return hour % 24
}

// idle tells whether hours without events change nothing: there was no event yet,
// or the source is known to be silent.
func (r *Rhythm) idle() bool { return r.Since == 0 || r.Silent }

// weight is that of the minutes of an hour; false if no such hour was seen yet.
func (r *Rhythm) weight(hour int32) (int64, bool) {
	c := cellOf(hour)
	if r.Observed[c] == 0 {
		return 0, false
	}
	return weightOne * int64(r.Active[c]) / int64(r.Observed[c]), true
}

// mature tells whether enough was seen to say anything.
func (r *Rhythm) mature(first int64) bool {
	return r.Hours >= learnHours && int64(r.Since)*minuteNanos-first >= learnAfter*minuteNanos
}

// longest is the longest silence of the last four weeks.
func (r *Rhythm) longest() int64 {
	longest := int64(0)
	for _, g := range r.Gaps {
		longest = max(longest, g)
	}
	return longest
}

func (r *Rhythm) limit() int64 { return r.longest()*3/2 + spare }

// step goes through the first minutes of an hour, and tells where it falls silent.
// Of an hour without an event the minutes need not be gone through.
func (r *Rhythm) step(h *Hour, end int32, first int64) (a Alarm, found bool) {
	w, known := r.weight(h.Hour)
	from := int32(0)
	for from < end {
		to := from + int32(bits.TrailingZeros64(h.Minutes>>from|1<<63))
		to = min(to, end)
		if quiet := to - from; quiet > 0 && r.Since != 0 {
			limit := r.limit()
			if after := r.Clock + w*int64(quiet); !r.Silent && after > limit && r.mature(first) {
				r.Silent, found = true, true
				a = Alarm{
					At:    h.Hour*60 + from + int32((limit-r.Clock)/w) + 1,
					Since: r.Since, Longest: int32((r.longest() + weightOne/2) / weightOne),
				}
			}
			r.Clock += w * int64(quiet)
			if !known {
				r.Fresh += weightOne * int64(quiet)
			}
		}
		if to == end {
			break
		}
		r.end(h.Hour*60 + to)
		from = to + 1
	}
	return a, found
}

// end is an event, and the end of a silence. One that was too long is learned up
// to the limit: a rhythm that has changed is got used to, an outage is not. Of the
// hours never seen before, short silences count as they are, for want of a weight;
// long ones may be a night.
func (r *Rhythm) end(minute int32) {
	day := minute / 60 / 24
	for ; r.Day < day; r.Day++ {
		if day-r.Day > gapDays {
			r.Day = day - gapDays
		}
		r.Gaps[(r.Day+1)%gapDays] = 0
	}
	if r.Since != 0 {
		gap := r.Clock
		if r.Silent {
			gap = min(gap, r.limit())
		} else if r.Fresh <= 60*weightOne {
			gap += r.Fresh
		}
		at := &r.Gaps[day%gapDays]
		*at = max(*at, gap)
	}
	r.Since, r.Clock, r.Fresh, r.Silent = minute, 0, 0, false
}

// learn takes note of whether an hour had events. Hours of a silence that is out
// of the ordinary are no lesson.
func (r *Rhythm) learn(h *Hour) {
	if h.Minutes == 0 && r.idle() {
		return
	}
	c := cellOf(h.Hour)
	r.Observed[c]++
	if h.Minutes != 0 {
		r.Active[c]++
		r.Hours++
	}
	if r.Observed[c] >= halveAt {
		r.Observed[c] /= 2
		r.Active[c] /= 2
	}
}

// Usual is the longest silence of the last four weeks, of the time at which the
// source usually reports.
func (r *Rhythm) Usual() time.Duration {
	return time.Duration(r.longest()) * time.Minute / weightOne
}
