package filter

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Field is one thing a filter may name: how it is compared, and how it sorts.
type Field[T any] struct {
	compile func(op string, v value, name func(string) []string) (Filter[T], *refusal)
	key     func(*T) []byte // sorts as the field does; nil: nothing can be ordered by it
}

// value is what stands behind an operator.
type value struct {
	text   string
	quoted bool
}

// isAny tells of the bare star, which asks whether there is a value.
func (v value) isAny() bool { return v.text == "*" && !v.quoted }

// refusal is why a comparison is none.
type refusal struct {
	operator bool // it is the operator, else the value
	message  string
}

func badOperator(takes string) *refusal { return &refusal{true, "this field takes " + takes} }

func badValue(want string) *refusal { return &refusal{false, "the value must be " + want} }

// keyText is how many bytes of a text count when sorting.
const keyText = 32

// Text is a field with one text: = and !=, where a * at either end stands for
// anything, and : for a part of it.
func Text[T any](get func(*T) string) Field[T] {
	f := Names(func(v *T) []string { return []string{get(v)} })
	f.key = func(v *T) []byte { return padded(get(v)) }
	inner := f.compile
	f.compile = func(op string, v value, _ func(string) []string) (Filter[T], *refusal) { return inner(op, v, nil) }
	return f
}

// Names is a field that has several names of one thing: it equals each of them.
func Names[T any](get func(*T) []string) Field[T] {
	return Field[T]{compile: func(op string, v value, name func(string) []string) (Filter[T], *refusal) {
		if op == ":" && v.isAny() {
			return func(t *T) bool { return slices.ContainsFunc(get(t), func(s string) bool { return s != "" }) }, nil
		}
		wanted := []string{v.text}
		if name != nil {
			wanted = name(v.text)
		}
		var like func(string) bool
		switch op {
		case "=", "!=":
			likes := make([]func(string) bool, len(wanted))
			for i, w := range wanted {
				likes[i] = pattern(w)
			}
			like = func(s string) bool {
				return slices.ContainsFunc(likes, func(like func(string) bool) bool { return like(s) })
			}
		case ":":
			like = func(s string) bool {
				return slices.ContainsFunc(wanted, func(w string) bool { return strings.Contains(s, w) })
			}
		default:
			return nil, badOperator("=, != and :")
		}
		return func(t *T) bool { return slices.ContainsFunc(get(t), like) == (op != "!=") }, nil
	}}
}

// List is a field with many texts: : asks whether it has one, * at either end
// standing for anything.
func List[T any](get func(*T) []string) Field[T] {
	return Field[T]{compile: func(op string, v value, _ func(string) []string) (Filter[T], *refusal) {
		if op != ":" {
			return nil, badOperator(": only, since it is a list")
		}
		if v.isAny() {
			return func(t *T) bool { return len(get(t)) > 0 }, nil
		}
		like := pattern(v.text)
		return func(t *T) bool { return slices.ContainsFunc(get(t), like) }, nil
	}}
}

// Ranked is a text out of a list, lowest first, and compared by it.
func Ranked[T any](ranks []string, get func(*T) string) Field[T] {
	rank := func(t *T) int { return slices.Index(ranks, get(t)) }
	return Field[T]{
		compile: func(op string, v value, _ func(string) []string) (Filter[T], *refusal) {
			want := slices.Index(ranks, v.text)
			switch {
			case op == ":" && v.isAny():
				return func(t *T) bool { return rank(t) >= 0 }, nil
			case want < 0:
				return nil, badValue("one of " + strings.Join(ranks, ", "))
			}
			return compared(op, func(t *T) (int, bool) { r := rank(t); return r - want, r >= 0 })
		},
		key: func(t *T) []byte { return []byte{byte(rank(t) + 1)} },
	}
}

// Number is a field with a number; one that is NaN compares as nothing does.
func Number[T any](get func(*T) float64) Field[T] {
	return Field[T]{
		compile: func(op string, v value, _ func(string) []string) (Filter[T], *refusal) {
			want, err := strconv.ParseFloat(v.text, 64)
			if err != nil || math.IsNaN(want) {
				return nil, badValue("a number")
			}
			return compared(op, func(t *T) (int, bool) {
				switch has := get(t); {
				case math.IsNaN(has):
					return 0, false
				case has < want:
					return -1, true
				case has > want:
					return 1, true
				default:
					return 0, true
				}
			})
		},
		key: func(t *T) []byte {
			bits := math.Float64bits(get(t))
			if bits>>63 == 1 {
				bits = ^bits
			} else {
				bits |= 1 << 63
			}
			return binary.BigEndian.AppendUint64(nil, bits)
		},
	}
}

// Bool is a field that is true or false.
func Bool[T any](get func(*T) bool) Field[T] {
	f := Ranked([]string{"false", "true"}, func(t *T) string { return strconv.FormatBool(get(t)) })
	inner := f.compile
	f.compile = func(op string, v value, name func(string) []string) (Filter[T], *refusal) {
		if op != "=" && op != "!=" {
			return nil, badOperator("= and !=")
		}
		return inner(op, v, name)
	}
	return f
}

// Time is a field with a time, zero where there is none; it then compares as
// nothing does.
func Time[T any](get func(*T) time.Time) Field[T] {
	return Field[T]{
		compile: func(op string, v value, _ func(string) []string) (Filter[T], *refusal) {
			if op == ":" && v.isAny() {
				return func(t *T) bool { return !get(t).IsZero() }, nil
			}
			want, ok := parseTime(v.text)
			if !ok {
				return nil, badValue("a time like 2026-03-02T12:00:00Z or a day like 2026-03-02")
			}
			return compared(op, func(t *T) (int, bool) { has := get(t); return has.Compare(want), !has.IsZero() })
		},
		key: func(t *T) []byte {
			has := get(t)
			if has.IsZero() {
				return make([]byte, 12)
			}
			b := binary.BigEndian.AppendUint64(nil, uint64(has.Unix())^1<<63)
			return binary.BigEndian.AppendUint32(b, uint32(has.Nanosecond()))
		},
	}
}

func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Address is a field with a network address: = and !=, and : for a network that
// holds it, such as 192.0.2.0/24.
func Address[T any](get func(*T) string) Field[T] {
	text := Text(get)
	f := text
	f.compile = func(op string, v value, name func(string) []string) (Filter[T], *refusal) {
		if op != ":" || v.isAny() {
			return text.compile(op, v, name)
		}
		network, err := netip.ParsePrefix(v.text)
		if err != nil {
			a, err := netip.ParseAddr(v.text)
			if err != nil {
				return nil, badValue("an address or a network like 192.0.2.0/24")
			}
			network = netip.PrefixFrom(a, a.BitLen())
		}
		return func(t *T) bool {
			a, err := netip.ParseAddr(get(t))
			return err == nil && network.Contains(a.Unmap())
		}, nil
	}
	return f
}

// compared makes a filter of a comparison with the value sought; ok tells
// whether there is anything to compare.
func compared[T any](op string, compare func(*T) (c int, ok bool)) (Filter[T], *refusal) {
	var holds func(c int) bool
	switch op {
	case "=":
		holds = func(c int) bool { return c == 0 }
	case "!=":
		return func(t *T) bool { c, ok := compare(t); return !ok || c != 0 }, nil
	case "<":
		holds = func(c int) bool { return c < 0 }
	case "<=":
		holds = func(c int) bool { return c <= 0 }
	case ">":
		holds = func(c int) bool { return c > 0 }
	case ">=":
		holds = func(c int) bool { return c >= 0 }
	default:
		return nil, badOperator("=, !=, <, <=, > and >=")
	}
	return func(t *T) bool { c, ok := compare(t); return ok && holds(c) }, nil
}

// pattern tells whether a text is the one given, in which a star at either end
// stands for anything.
func pattern(p string) func(string) bool {
	tail, anyBefore := strings.CutPrefix(p, "*")
	middle, anyAfter := strings.CutSuffix(tail, "*")
	switch {
	case anyBefore && anyAfter:
		return func(s string) bool { return strings.Contains(s, middle) }
	case anyBefore:
		return func(s string) bool { return strings.HasSuffix(s, tail) }
	case anyAfter:
		return func(s string) bool { return strings.HasPrefix(s, middle) }
	default:
		return func(s string) bool { return s == p }
	}
}

func padded(s string) []byte {
	b := bytes.Repeat([]byte{0}, keyText)
	copy(b, s)
	return b
}
