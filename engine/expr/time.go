package expr

import (
	"math"
	"strings"
	"time"
)

// floorDiv is a / b, rounded down.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// bin is time cut down to a multiple of step after origin.
type bin struct {
	x            Expr
	step, origin int64
}

// Bin cuts times down to multiples of step, in nanoseconds, after origin.
func Bin(x Expr, step, origin int64) (Expr, error) {
	if x.Type() != TypeTime && x.Type() != TypeNull {
		return nil, typeError("a time is needed here, not %s", x.Type())
	}
	if step <= 0 {
		return nil, typeError("the width of a bin must be more than nothing")
	}
	if x.Type() == TypeNull {
		return Const(Value{Type: TypeTime, Null: true}), nil
	}
	return finish(&bin{x, step, origin % step}), nil
}

func (b *bin) Type() Type       { return TypeTime }
func (b *bin) children() []Expr { return []Expr{b.x} }

func (b *bin) eval(f *Frame, sel []int32, n int) Vec {
	v := b.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	out := Vec{Type: TypeTime, Const: v.Const, Ints: f.ints.take(n), Valid: v.validity(n)}
	low, high, value := int64(1), int64(0), int64(0) // a bin, found last: times come in runs
	for i, t := range v.Ints[:n] {
		if t < low || t > high {
			value = floorDiv(t-b.origin, b.step)*b.step + b.origin
			low, high = value, value+b.step-1
		}
		out.Ints[i] = value
	}
	return out
}

// calendar cuts times down to weeks, months, quarters or years.
type calendar struct {
	x    Expr
	unit string
}

// dayStep are the units of a fixed length.
var fixedUnits = map[string]int64{
	"nanosecond": 1, "microsecond": 1e3, "millisecond": 1e6, "second": 1e9, "minute": 60e9, "hour": 3600e9, "day": 86400e9,
	"week": 7 * 86400e9,
}

// firstMonday is one from which weeks count, as those of ISO 8601 do.
const firstMonday = 4 * 86400e9 // 1970-01-05

// Truncate cuts times down to a unit: second, minute, hour, day, week, month,
// quarter, year.
func Truncate(unit string, x Expr) (Expr, error) {
	unit = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(unit)), "s")
	if step, ok := fixedUnits[unit]; ok {
		return Bin(x, step, map[bool]int64{true: firstMonday}[unit == "week"])
	}
	switch unit {
	case "month", "quarter", "year":
	default:
		return nil, typeError("the unit is not one of second, minute, hour, day, week, month, quarter, year")
	}
	if x.Type() != TypeTime {
		return nil, typeError("a time is needed here, not %s", x.Type())
	}
	return finish(&calendar{x, unit}), nil
}

func (c *calendar) Type() Type       { return TypeTime }
func (c *calendar) children() []Expr { return []Expr{c.x} }

func (c *calendar) eval(f *Frame, sel []int32, n int) Vec {
	v := c.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	out := Vec{Type: TypeTime, Const: v.Const, Ints: make([]int64, n), Valid: v.validity(n)}
	low, high := int64(1), int64(0)
	for i, t := range v.Ints[:n] {
		if t < low || t >= high {
			low, high = c.span(t)
		}
		out.Ints[i] = low
	}
	return out
}

func (c *calendar) span(nanos int64) (from, to int64) {
	t := time.Unix(0, nanos).UTC()
	months := 1
	first := t.Month()
	switch c.unit {
	case "quarter":
		months, first = 3, (first-1)/3*3+1
	case "year":
		months, first = 12, 1
	}
	start := time.Date(t.Year(), first, 1, 0, 0, 0, 0, time.UTC)
	return start.UnixNano(), start.AddDate(0, months, 0).UnixNano()
}

// parts are what can be extracted of a time.
var parts = map[string]func(time.Time) int64{
	"year": func(t time.Time) int64 { return int64(t.Year()) }, "month": func(t time.Time) int64 { return int64(t.Month()) },
	"day": func(t time.Time) int64 { return int64(t.Day()) }, "hour": func(t time.Time) int64 { return int64(t.Hour()) },
	"minute": func(t time.Time) int64 { return int64(t.Minute()) }, "second": func(t time.Time) int64 { return int64(t.Second()) },
	"millisecond": func(t time.Time) int64 { return int64(t.Nanosecond() / 1e6) },
	"dow":         func(t time.Time) int64 { return int64(t.Weekday()) },
	"isodow":      func(t time.Time) int64 { return int64(t.Weekday()+6)%7 + 1 },
	"doy":         func(t time.Time) int64 { return int64(t.YearDay()) },
	"week":        func(t time.Time) int64 { _, w := t.ISOWeek(); return int64(w) },
	"quarter":     func(t time.Time) int64 { return int64(t.Month()-1)/3 + 1 },
	"epoch":       func(t time.Time) int64 { return t.Unix() },
}

// part is a field of a time as a number.
type part struct {
	x   Expr
	get func(time.Time) int64
}

// Part is a field of times: year, month, day, hour, minute, second, dow, …
func Part(field string, x Expr) (Expr, error) {
	get, ok := parts[strings.ToLower(strings.TrimSpace(field))]
	if !ok {
		return nil, typeError("the field is not one of year, quarter, month, week, day, hour, minute, second, millisecond, dow, isodow, doy, epoch")
	}
	if x.Type() != TypeTime {
		return nil, typeError("a time is needed here, not %s", x.Type())
	}
	return finish(&part{x, get}), nil
}

func (p *part) Type() Type       { return TypeInt }
func (p *part) children() []Expr { return []Expr{p.x} }

func (p *part) eval(f *Frame, sel []int32, n int) Vec {
	v := p.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	out := Vec{Type: TypeInt, Const: v.Const, Ints: make([]int64, n), Valid: v.validity(n)}
	for i, t := range v.Ints[:n] {
		out.Ints[i] = p.get(time.Unix(0, t).UTC())
	}
	return out
}

// addMonths is a time so many months later; the day of the month is kept where
// the month has it, else its last day is taken.
type addMonths struct {
	x      Expr
	months int
}

// AddMonths moves times by months, and by nanoseconds after that.
func AddMonths(x Expr, months int64) (Expr, error) {
	if x.Type() != TypeTime {
		return nil, typeError("months can only be added to a time, not to %s", x.Type())
	}
	return finish(&addMonths{x, int(months)}), nil
}

func (a *addMonths) Type() Type       { return TypeTime }
func (a *addMonths) children() []Expr { return []Expr{a.x} }

func (a *addMonths) eval(f *Frame, sel []int32, n int) Vec {
	v := a.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	out := Vec{Type: TypeTime, Const: v.Const, Ints: make([]int64, n), Valid: v.validity(n)}
	for i, nanos := range v.Ints[:n] {
		t := time.Unix(0, nanos).UTC()
		first := time.Date(t.Year(), t.Month()+time.Month(a.months), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
		last := first.AddDate(0, 1, -1).Day()
		moved := first.AddDate(0, 0, min(t.Day(), last)-1)
		if moved.Before(firstTime) || moved.After(lastTime) {
			f.fail(ErrOverflow)
			continue
		}
		out.Ints[i] = moved.UnixNano()
	}
	return out
}

// Coarse tells whether e is the same for all times of one column within the same
// step, counted from 1970: it looks at the column through bins and ranges only
// that do not cut a step in two.
func Coarse(e Expr, col int, step int64) bool {
	whole := func(x Expr) bool {
		c, ok := x.(*column)
		return ok && c.at == col
	}
	switch e := unwrap(e).(type) {
	case *column:
		return e.at != col
	case *bin:
		if whole(e.x) {
			return e.step%step == 0 && e.origin%step == 0
		}
	case *calendar:
		if whole(e.x) {
			return fixedUnits["day"]%step == 0
		}
	case *inRange:
		if whole(e.x) {
			return (e.low == math.MinInt64 || e.low%step == 0) && (e.high == math.MaxInt64 || (e.high+1)%step == 0)
		}
	}
	for _, c := range e.children() {
		if !Coarse(c, col, step) {
			return false
		}
	}
	return true
}
