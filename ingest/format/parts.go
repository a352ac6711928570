package format

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxCommon is how much of what the records of a delivery have in common is put
// into each of them.
const maxCommon = 2 << 10

// members calls f with each member of an object, until f or the JSON fails.
func members(object []byte, f func(name string, value jsontext.Value) bool) bool {
	d := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return false
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return false
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil || !f(text, value) {
			return false
		}
	}
	t, err := d.ReadToken()
	return err == nil && t.Kind() == '}'
}

// items calls f with each item of an array.
func items(array []byte, f func(value jsontext.Value) bool) bool {
	d := jsontext.NewDecoder(bytes.NewBuffer(array), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '[' {
		return false
	}
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil || !f(value) {
			return false
		}
	}
	return true
}

// each calls f with each item of the array that is called name, also as log_records
// for logRecords, until f or the JSON fails.
func each(object []byte, name string, f func([]byte) bool) bool {
	return members(object, func(member string, value jsontext.Value) bool {
		if fold(member) != strings.ToLower(name) || value.Kind() != '[' {
			return true
		}
		return items(bytes.Clone(value), func(item jsontext.Value) bool { return f(bytes.Clone(item)) })
	})
}

// unsplit answers a delivery that comes to Parse as it is: ok says whether it can
// be read, and parts what Split finds in it.
func unsplit(parts [][]byte, ok bool) error {
	switch {
	case !ok:
		return malformed("a delivery that is not as it should be")
	case len(parts) > 0:
		return malformed("a delivery of several records within a record")
	}
	return ErrNoRecord
}

// join puts members before those of an object. What is no object stays what it is.
func join(common, object []byte) []byte {
	if object[0] != '{' {
		return bytes.Clone(object)
	}
	out := make([]byte, 0, len(common)+len(object)+2)
	out = append(out, '{')
	out = append(out, common...)
	rest := bytes.TrimLeft(object[1:], " \t\r\n")
	if len(common) > 0 && len(rest) > 0 && rest[0] != '}' {
		out = append(out, ',')
	}
	return append(out, rest...)
}

// appendMember appends a member, unless it is too large to be repeated.
func appendMember(common []byte, name string, value []byte) []byte {
	if len(common)+len(name)+len(value) > maxCommon {
		return common
	}
	if len(common) > 0 {
		common = append(common, ',')
	}
	return append(append(append(append(common, '"'), name...), '"', ':'), value...)
}
