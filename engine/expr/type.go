package expr

import (
	"net/netip"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Type is the type of an expression.
type Type uint8

// The types. Times, spans and integers are held alike, as int64.
const (
	TypeNull  Type = iota // NULL, before it takes the type it is compared with
	TypeBool              // true or false
	TypeInt               // int64
	TypeFloat             // float64
	TypeText              // UTF-8
	TypeTime              // nanoseconds since 1970, UTC
	TypeSpan              // nanoseconds between two times
	TypeAddr              // address of 16 bytes, IPv4 as IPv4-in-IPv6
	TypeJSON              // text that is JSON already
	TypeMap               // text to text: attrs
)

var typeNames = [...]string{"null", "bool", "int", "float", "text", "timestamp", "interval", "inet", "json", "map"}

// String returns the type's name in SQL.
func (t Type) String() string { return typeNames[t] }

// whole tells whether values are held as int64.
func (t Type) whole() bool { return t == TypeInt || t == TypeTime || t == TypeSpan }

// stringy tells whether values are held as strings.
func (t Type) stringy() bool { return t == TypeText || t == TypeJSON }

// TypeOf returns the type of a column of events.
func TypeOf(k tokenwatch.Kind) Type {
	switch k {
	case tokenwatch.KindTime:
		return TypeTime
	case tokenwatch.KindInt:
		return TypeInt
	case tokenwatch.KindText, tokenwatch.KindString:
		return TypeText
	case tokenwatch.KindAddr:
		return TypeAddr
	case tokenwatch.KindBool:
		return TypeBool
	default:
		return TypeMap
	}
}

// Value is one value, for constants and for results that are looked at one by
// one. Of the zero Value the type is TypeNull.
type Value struct {
	Type  Type
	Null  bool // of another type than TypeNull, and unknown
	Int   int64
	Float float64
	Text  string
	Bool  bool
	Addr  [16]byte
}

// IsNull tells whether the value is unknown.
func (v Value) IsNull() bool { return v.Null || v.Type == TypeNull }

// Int makes a whole number.
func Int(n int64) Value { return Value{Type: TypeInt, Int: n} }

// Float makes a number.
func Float(f float64) Value { return Value{Type: TypeFloat, Float: f} }

// Text makes a text.
func Text(s string) Value { return Value{Type: TypeText, Text: s} }

// Bool makes a truth value.
func Bool(b bool) Value { return Value{Type: TypeBool, Bool: b} }

// Time makes a time.
func Time(nanos int64) Value { return Value{Type: TypeTime, Int: nanos} }

// Span makes an interval.
func Span(nanos int64) Value { return Value{Type: TypeSpan, Int: nanos} }

// Addr makes an address.
func Addr(a netip.Addr) Value { return Value{Type: TypeAddr, Addr: a.As16()} }

// FormatTime is how times are written.
func FormatTime(nanos int64) string { return time.Unix(0, nanos).UTC().Format(time.RFC3339Nano) }

// FormatAddr is how addresses are written.
func FormatAddr(a []byte) string { return netip.AddrFrom16([16]byte(a)).Unmap().String() }
