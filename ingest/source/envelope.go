package source

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// envelope is a record with what a protocol says beside it. It goes into the
// pipeline as the document that Elastic's shippers make of a line, which the
// formats open again: the line is read as what it is, and the envelope gives the
// time and the origin where the line does not.
type envelope struct {
	time    time.Time // zero: not said
	message string
	host    string
	service string
	labels  [][2]string
	fields  []field // beside the message; names are dotted, of each one at most
}

// field is a name with its value as JSON.
type field struct {
	name  string
	value []byte
}

// appendTo appends the envelope as one line of JSON.
func (e *envelope) appendTo(dst []byte) []byte {
	dst = append(dst, '{')
	if !e.time.IsZero() {
		dst = append(dst, `"@timestamp":"`...)
		dst = e.time.UTC().AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, `",`...)
	}
	dst = appendPair(dst, "message", e.message)
	if e.host != "" {
		dst = append(appendPair(append(dst, `,"host":{`...), "name", e.host), '}')
	}
	if e.service != "" {
		dst = append(appendPair(append(dst, `,"service":{`...), "name", e.service), '}')
	}
	for i, l := range e.labels {
		if i == 0 {
			dst = append(dst, `,"labels":{`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendPair(dst, l[0], l[1])
	}
	if len(e.labels) > 0 {
		dst = append(dst, '}')
	}
	for _, f := range e.fields {
		dst = append(append(appendQuoted(append(dst, ','), f.name), ':'), f.value...)
	}
	return append(dst, "}\n"...)
}

func appendPair(dst []byte, key, value string) []byte {
	return appendQuoted(append(appendQuoted(dst, key), ':'), value)
}

// appendQuoted appends s as a JSON string; bytes that are not UTF-8 become U+FFFD.
func appendQuoted(dst []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("source: quote: " + err.Error()) // no string can fail
	}
	return append(dst, b...)
}

// epoch reads seconds since 1970 with a fraction, as digits: floating point would
// lose the nanoseconds.
func epoch(s string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(strings.TrimSpace(s), ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return time.Time{}, false
	}
	var nanos int64
	if fraction != "" {
		fraction = (fraction + "000000000")[:9]
		if nanos, err = strconv.ParseInt(fraction, 10, 64); err != nil || nanos < 0 {
			return time.Time{}, false
		}
	}
	return time.Unix(seconds, nanos).UTC(), true
}
