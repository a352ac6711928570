package storage

import (
	"math"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Watermark is how far a tenant's event time has got: the greatest event time
// seen minus the lateness. It is computed alike when entries are appended and
// when the log is read. The zero Watermark, and one that has seen no event, has
// no value.
type Watermark struct {
	lateness time.Duration
	greatest int64 // ns; math.MinInt64 if none was seen
	started  bool
}

// NewWatermark returns a watermark that has seen nothing; lateness 0 is
// DefaultLateness.
func NewWatermark(lateness time.Duration) Watermark {
	if lateness <= 0 {
		lateness = DefaultLateness
	}
	return Watermark{lateness: lateness, greatest: math.MinInt64}
}

// WatermarkAt returns a watermark whose greatest event time is known, as
// Greatest gave it.
func WatermarkAt(lateness time.Duration, greatest int64) Watermark {
	w := NewWatermark(lateness)
	w.see(greatest)
	return w
}

// Observe takes note of a stamped batch; rows flagged future do not count.
func (w *Watermark) Observe(b *tokenwatch.Batch) {
	times := b.Column(tokenwatch.ColTime)
	future := b.Column(tokenwatch.ColFuture).Bools
	for i, t := range times.Ints {
		if t > w.greatest && times.Valid.At(i) && (future == nil || !future[i]) {
			w.see(t)
		}
	}
}

// Tick takes note of a tick record of time t, and tells whether the watermark
// moved. A tick counts as event time only if the greatest event time is less
// than the lateness behind it: a quiet tenant settles, and one that is being
// fed old logs is not overtaken.
func (w *Watermark) Tick(t time.Time) bool {
	n := t.UnixNano()
	if !w.started || n <= w.greatest || w.greatest <= n-int64(w.lateness) {
		return false
	}
	w.see(n)
	return true
}

// Value returns the watermark; false if there is none yet.
func (w *Watermark) Value() (time.Time, bool) {
	n, ok := w.nanos()
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(0, n).UTC(), true
}

// Greatest returns the greatest event time seen in nanoseconds since 1970,
// math.MinInt64 if there is none yet.
func (w *Watermark) Greatest() int64 {
	if !w.started {
		return math.MinInt64
	}
	return w.greatest
}

// passed tells whether an event of time t, in nanoseconds since 1970, is late.
func (w *Watermark) passed(t int64) bool {
	mark, ok := w.nanos()
	return ok && t < mark
}

// nanos is Value in nanoseconds; it stops at the least representable time.
func (w *Watermark) nanos() (int64, bool) {
	if !w.started {
		return 0, false
	}
	if w.greatest < math.MinInt64+int64(w.lateness) {
		return math.MinInt64, true
	}
	return w.greatest - int64(w.lateness), true
}

func (w *Watermark) see(t int64) {
	if t == math.MinInt64 {
		return
	}
	w.greatest, w.started = t, true
}
