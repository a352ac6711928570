package baseline

import (
	"math"
	"math/bits"

	"github.com/tokenwatch/tokenwatch/engine/window"
)

// Volume is how much an entity does, by hour of the day on working days and on
// weekends (UTC), and what it is like in the hours in which it does anything. All
// weights fade like those of a Usual.
type Volume struct {
	_       struct{}   `cbor:",toarray"`
	Events  [48]uint32 // of an hour of the week: sum, in 1/volumeUnit; working days first
	Active  [48]uint16 // days on which that hour was an active one, in 1/Unit
	Days    [2]uint16  // days that have passed, in 1/Unit: working days, weekends
	Total   uint64     // of all active hours: sum of events, in 1/volumeUnit
	Hours   uint32     // and their number, in 1/Unit
	Squares uint64     // of the expected numbers of events
	Excess  uint64     // of the squared distances from those, above what chance makes
	Log     uint64     // log₂ of bytes, in 1/Unit
	Log2    uint64     // its square, in 1/Unit
	Objects uint64     // different objects, in 1/volumeUnit
	Counted uint64     // objects counted through, in 1/volumeUnit
	Slots   [12]uint16 // active hours in which that five-minute slot was an active one, in 1/16
	Totals  [lagDays]uint32
	Newest  int32 // day of the newest of Totals
}

const (
	volumeUnit = 16
	// lagDays is how many days' totals are kept.
	lagDays = 21
)

// hourOfWeek is the place of an hour in Volume.Events.
func hourOfWeek(hour int32) int {
	h := int(hour % 24)
	if Weekend(hour / 24) {
		h += 24
	}
	return h
}

// Weekend tells whether a day since 1970 is a Saturday or a Sunday. 1970 began on
// a Thursday.
func Weekend(day int32) bool { return (day+3)%7 >= 5 }

// pass takes away what a day takes.
func (v *Volume) pass() {
	for i := range v.Events {
		v.Events[i] -= v.Events[i] / 42
		v.Active[i] -= v.Active[i] / 42
	}
	for i := range v.Days {
		v.Days[i] -= v.Days[i] / 42
	}
	for i := range v.Slots {
		v.Slots[i] -= v.Slots[i] / 42
	}
	v.Hours -= v.Hours / 42
	for _, x := range [...]*uint64{&v.Total, &v.Squares, &v.Excess, &v.Log, &v.Log2, &v.Objects, &v.Counted} {
		*x -= *x / 42
	}
}

// elapse counts the days from one hour to another; the day at hand counts from its
// first active hour on.
func (v *Volume) elapse(last, hour int32) {
	for day := last/24 + 1; day <= hour/24 && day <= last/24+60; day++ {
		k := dayKind(day)
		v.Days[k] = min(v.Days[k]+Unit, 200*Unit)
	}
}

// close writes a finished day's total down; the days after it up to next had none.
func (v *Volume) close(d Day, next int32) {
	if d.Day == 0 {
		return
	}
	for day := max(v.Newest+1, next-lagDays); day < next; day++ {
		v.Totals[day%lagDays] = 0
	}
	if d.Day >= next-lagDays {
		v.Totals[d.Day%lagDays] = d.Events
	}
	v.Newest = next - 1
}

// learn adds a window. Of an odd one no more counts than three times the usual.
func (v *Volume) learn(w *window.Window, odd bool) {
	if v.Days == [2]uint16{} {
		v.elapse(w.Hour-24, w.Hour)
	}
	at := hourOfWeek(w.Hour)
	v.Active[at] = min(v.Active[at]+Unit, 200*Unit)
	n := uint64(min(w.Wanted(), 1<<20))
	if v.Hours > 2*Unit {
		mean, _ := v.expect(w.Hour, 0, 0)
		if odd {
			n = min(n, uint64(3*mean)+10)
		}
		v.Squares += uint64(float64(mean*mean)) + 1
		off := float64(n) - mean
		if sq := float64(off*off) - mean; sq > 0 {
			v.Excess += uint64(sq)
		}
	}
	v.Events[at] += uint32(n * volumeUnit)
	v.Total += n * volumeUnit
	v.Hours += Unit
	l := log2(w.Bytes)
	v.Log += l
	v.Log2 += l * l / Unit
	v.Objects += uint64(w.Objects.Count()) * volumeUnit
	v.Counted += uint64(Counted(w)) * volumeUnit
	for _, s := range w.Slots {
		v.Slots[s.Slot] = min(v.Slots[s.Slot]+16, 1<<15)
	}
}

// log2 of x+1 in 1/Unit, its fraction taken as linear.
func log2(x uint64) uint64 {
	x++
	n := bits.Len64(x) - 1
	frac := x << (63 - n) << 1 >> (64 - 8) // the eight bits below the leading one
	return uint64(n)*Unit + frac
}

// expect is the mean number of events of an active hour and the shape of its
// negative binomial distribution. extra events in hours further active hours count
// as evenly spread.
func (v *Volume) expect(hour int32, extra, hours float64) (mean, shape float64) {
	total, active := float64(v.Total)/volumeUnit+extra, float64(v.Hours)/Unit+hours
	overall := 1.0
	if active > 0 {
		overall = total / active
	}
	at := hourOfWeek(hour)
	base := at / 24 * 24
	before, after := base+(at+23)%24, base+(at+1)%24
	events := float64(v.Events[at])/volumeUnit + float64(v.Events[before])/(2*volumeUnit) + float64(v.Events[after])/(2*volumeUnit)
	times := float64(v.Active[at])/Unit + float64(v.Active[before])/(2*Unit) + float64(v.Active[after])/(2*Unit)
	mean = (events + float64(3*overall)) / (times + 3)
	prior := float64(float64(6*overall)*overall) + 6
	shape = (float64(v.Squares) + prior) / (float64(v.Excess) + prior)
	return mean, min(max(shape, 0.3), 30)
}

// busy is the probability that the hour of the week is an active one, and the
// number of days that this rests on.
func (v *Volume) busy(hour int32) (p, days float64) {
	at := hourOfWeek(hour)
	kind := at / 24
	base := kind * 24
	times := float64(v.Active[at]) / Unit
	near := 0.0
	for _, d := range [...]int{22, 23, 1, 2} {
		near += float64(v.Active[base+(at+d)%24]) / Unit
	}
	days = float64(v.Days[kind]) / Unit
	return (times + near/4) / 2, days
}

// distance is how many hours the hour of the day is from the nearest one at which
// the entity was active before, on whatever day: 0 to 12.
func (v *Volume) distance(hour int32) int {
	at := int(hour % 24)
	for d := range 12 {
		for _, h := range [...]int{(at + d) % 24, (at + 24 - d) % 24} {
			if v.Active[h] >= Unit/4 || v.Active[24+h] >= Unit/4 {
				return d
			}
		}
	}
	return 12
}

// Counted is how many objects of a window stand in runs that are at least a
// quarter full: objects counted through rather than picked.
func Counted(w *window.Window) int {
	n := 0
	for _, r := range w.Runs {
		if seen := bits.OnesCount64(r.Seen); seen >= 16 {
			n += seen
		}
	}
	return n
}

// HoursADay is in how many hours of a day the entity is active.
func (v *Volume) HoursADay() float64 {
	days := float64(v.Days[0]) + float64(v.Days[1])
	if days == 0 {
		return 0
	}
	return float64(v.Hours) / days
}

// SlotsAnHour is in how many slots of five minutes of an active hour the entity is
// active.
func (v *Volume) SlotsAnHour() float64 {
	all := 0.0
	for _, n := range v.Slots {
		all += float64(n) / 16
	}
	hours := float64(v.Hours) / Unit
	return (all + 2) / (hours + 1)
}

// HoursADayOf is in how many hours of an active day the entity is active, and how many
// of the days whose totals are kept were active ones.
func (v *Volume) HoursADayOf() (hours float64, days int) {
	known := 0
	for day := max(0, v.Newest-lagDays+1); day <= v.Newest; day++ {
		if v.total(day) > 0 {
			days++
			known = max(known, int(v.Newest-day+1))
		}
	}
	if days == 0 {
		return 0, 0
	}
	return max(1, v.HoursADay()*float64(known)/float64(days)), days
}

// MeanObjects is how many different objects an active hour touches.
func (v *Volume) MeanObjects() float64 {
	return (float64(v.Objects)/volumeUnit + 2) / (float64(v.Hours)/Unit + 1)
}

// MeanCounted is how many objects an active hour counts through.
func (v *Volume) MeanCounted() float64 {
	return (float64(v.Counted)/volumeUnit + 1) / (float64(v.Hours)/Unit + 20)
}

// Bytes compares log₂ of a window's bytes with that of past active hours.
func (v *Volume) Bytes(w *window.Window) (log, mean, deviation float64) {
	hours := float64(v.Hours) / Unit
	mean = float64(v.Log) / Unit / hours
	variance := float64(v.Log2)/Unit/hours - float64(mean*mean)
	// Shrunk to a deviation of one doubling, as if four hours had shown that.
	variance = (float64(max(variance, 0)*hours) + 4) / (hours + 4)
	return float64(log2(w.Bytes)) / Unit, mean, math.Sqrt(variance)
}

// Slot is the probability that an active hour is active in a five-minute slot.
func (v *Volume) Slot(slot uint8) (p, hours float64) {
	hours = float64(v.Hours) / Unit
	at := int(slot)
	near := float64(v.Slots[(at+11)%12]+v.Slots[(at+1)%12]) / 16
	return (float64(v.Slots[at])/16 + near/4 + 0.5) / (float64(float64(1.5)*hours) + 2), hours
}

// Lagged compares the totals of the last n days, today's so far among them, with
// the days before: their sum, the mean of such a sum, and the shape of its
// negative binomial distribution. Working days and weekends have means of their
// own. ok is false while too few days are
// known, and on days that are no busier than usual.
func (v *Volume) Lagged(today Day, first int32, n int) (sum, mean, shape float64, ok bool) {
	if first == 0 {
		return 0, 0, 0, false
	}
	var total, squares, days [2]float64
	for day := max(first/24+1, today.Day-lagDays+1); day <= today.Day-int32(n)-1; day++ {
		k, x := dayKind(day), float64(v.total(day))
		total[k] += x
		squares[k] += float64(x * x)
		days[k]++
	}
	if days[0]+days[1] < 4 {
		return 0, 0, 0, false
	}
	overall := max((total[0]+total[1])/(days[0]+days[1]), 0.05)
	if k := dayKind(today.Day); float64(today.Events) < (total[k]+overall)/(days[k]+1) {
		return 0, 0, 0, false // whatever was before, today is no busier than usual
	}
	var spread float64
	for i := range n {
		day := today.Day - int32(i)
		k, x := dayKind(day), float64(today.Events)
		if i > 0 {
			x = float64(v.total(day))
		}
		sum += x
		mean += (total[k] + overall) / (days[k] + 1)
	}
	for k := range days {
		if days[k] > 0 {
			m := total[k] / days[k]
			spread += max(squares[k]-float64(total[k]*m)-total[k], 0)
		}
	}
	// A day is at least as irregular as the number of its active hours is, as if
	// four days had shown that, and as one part in 25.
	hourly := float64(v.Total) / volumeUnit / max(float64(v.Hours)/Unit, 1)
	inherent := float64(float64(2*hourly)*overall) + float64(float64(overall*overall)/25)
	spread = (spread + float64(4*inherent)) / (days[0] + days[1] + 4)
	shape = float64(overall*overall) / max(spread, 1e-6)
	return sum, mean, float64(shape * float64(n)), true
}

func dayKind(day int32) int {
	if Weekend(day) {
		return 1
	}
	return 0
}

func (v *Volume) total(day int32) uint32 {
	if day > v.Newest || day <= v.Newest-lagDays {
		return 0
	}
	return v.Totals[day%lagDays]
}
