package format

import (
	"bytes"
	"math"
	"strconv"
	"unsafe"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// leaf takes one scalar.
func (w *walker) leaf(f *field, v []byte, number bool) {
	if len(v) == 0 {
		return
	}
	if !f.ruled {
		f.rule, f.ruled = w.ruleOf(f), true
		f.part, f.pairPath = partOf(f.full)
	}
	if f.part != noPart && !number {
		w.half(f, v)
	}
	if w.apply(f, &f.rule, v, number) || (w.lenient || w.wide) && w.fields > maxFields {
		return
	}
	if !f.kept {
		w.row.AddAttr(w.key(f), v)
		return
	}
	if f.word == nil {
		f.word = tokenwatch.NewWord(string(f.full))
	}
	w.row.AddNamed(f.word, v)
}

// apply does with a value what a rule says, and tells whether that was all: the
// value is an attr otherwise.
func (w *walker) apply(f *field, r *rule, v []byte, number bool) bool {
	row := w.row
	switch r.op {
	case toColumn:
		return string(v) == "-" || w.column(r.col, v, number) || w.inside && r.col == tokenwatch.ColTime
	case toWeak:
		if string(v) != "-" {
			key := []byte(nil)
			if !r.quiet {
				key = w.key(f)
			}
			w.weak = append(w.weak, weakValue{r.col, r.rank, key, v})
		}
		return true
	case toDuration:
		if !row.Has(tokenwatch.ColDuration) {
			if d, ok := duration(v, r.unit); ok {
				row.SetInt(tokenwatch.ColDuration, d)
				w.plain = r.unit == 1 && string(f.path) == "duration" && bytes.IndexByte(v, '.') < 0
				return true
			}
		}
	case toURL:
		if !row.Has(tokenwatch.ColPath) {
			setURL(row, v)
			return true
		}
		addURLCredentials(row, v, query)
	case toQuery:
		addQueryCredentials(row, bytes.TrimPrefix(v, []byte("?")), query)
		if w.query == nil && string(v) != "-" {
			w.query = bytes.TrimPrefix(v, []byte("?"))
			return true
		}
	case toRequest:
		if !row.Has(tokenwatch.ColMethod) && !row.Has(tokenwatch.ColPath) {
			setRequest(row, v)
		}
		return true // or repeats method and path
	case toReferer:
		if string(v) != "-" {
			addURLCredentials(row, v, referer)
			row.AddAttr(row.Keep("referer"), v)
		}
		return true
	case toEvent:
		return !isCode(v) && w.column(tokenwatch.ColRequestID, v, number)
	case toOCSF:
		w.ocsf = true
	case toOutcomeID:
		if !row.Has(tokenwatch.ColOutcome) && (string(v) == "1" || string(v) == "2") {
			row.SetString(tokenwatch.ColOutcome, [...]string{"success", "failure"}[v[0]-'1'])
		}
	case toSlot:
		if w.slots[r.slot] == nil {
			w.slots[r.slot], w.filled = v, true
			return r.slot <= ctResource
		}
	case toUser:
		setUser(row, v)
		return true
	case toMessage:
		if w.inside {
			if w.message == nil {
				w.message = v
				return true
			}
			return false
		}
		if w.message == nil && !number && len(v) >= minMessage {
			w.message = v
		}
	case toTrail:
		if string(v) != "-" {
			w.trail = append(w.trail, trailValue{r.trail, v})
		}
		return true
	case toNothing:
		return true
	case toAttr:
		if r.carrier != "" && !((w.lenient || w.wide) && w.fields > maxFields) { // renamed by a mapping or a product's table
			row.AddAttr(row.Keep(r.carrier), v)
			return true
		}
	case toMany:
		taken := false
		for i := range r.many {
			taken = w.apply(f, &r.many[i], v, number) || taken
		}
		return taken
	case toKept, toFact, toKey, toValue, toJSON:
		return w.special(f, r, v, number)
	default:
		if string(v) == "-" || (!number && (string(v) == "true" || string(v) == "false")) {
			break // says whether there is one, not which
		}
		if r.below && (number || len(v) < 4) {
			break // a time, a count, a code
		}
		return r.take(row, v, w.lenient && !r.own || bytes.HasPrefix(f.path, []byte("res"))) // res., response., resp.
	}
	return false
}

// key returns a field's path in the row's memory.
func (w *walker) key(f *field) []byte {
	return w.row.Build(func(b []byte) []byte { return append(b, f.full...) })
}

// isCode tells a code of the kind of an event, such as 4624 or E1, which many events
// have, from the id of one.
func isCode(v []byte) bool {
	return len(v) < 6 && len(v) > 0 && v[len(v)-1] >= '0' && v[len(v)-1] <= '9'
}

// column gives column c its value if it has none and v is one.
func (w *walker) column(c tokenwatch.Col, v []byte, number bool) bool {
	row := w.row
	if row.Has(c) {
		return false
	}
	switch c.Kind() {
	case tokenwatch.KindTime:
		ns, ok := normalize.ParseTime(v)
		if ok {
			row.SetInt(c, ns)
		} else {
			w.untimed = true
		}
		return ok
	case tokenwatch.KindInt:
		n, ok := integer(v)
		if ok {
			row.SetInt(c, n)
		} else if c == tokenwatch.ColStatus && !number && !row.Has(tokenwatch.ColOutcome) {
			row.SetText(tokenwatch.ColOutcome, v) // OCSF's status is a word
			return true
		}
		return ok
	case tokenwatch.KindAddr:
		first, _, list := bytes.Cut(v, []byte(","))
		a, port, ok := address(bytes.TrimSpace(first))
		if ok {
			row.SetAddr(a)
			if port > 0 && !row.Has(tokenwatch.ColSrcPort) {
				row.SetInt(tokenwatch.ColSrcPort, port)
			}
		}
		return ok && !list
	}
	if c == tokenwatch.ColPath {
		setURL(row, v)
		return true
	}
	if c == tokenwatch.ColActor {
		switch {
		case len(v) >= 20 && startsSecret(v):
			row.AddCredential("user", v)
			return true
		case isAccessKey(v):
			addAccessKey(row, v)
			return true
		}
	}
	row.SetText(c, v)
	return true
}

// finish fills what waited for the end of the record, which must have a time.
func (w *walker) finish() error {
	w.settle()
	if !w.row.Has(tokenwatch.ColTime) && !w.enclosed {
		return reject(tokenwatch.ReasonNoTime, "no field holds a time that can be read")
	}
	return nil
}

// settle fills what waited for the end of the record.
func (w *walker) settle() {
	row := w.row
	// A cookie jar is a weaker sign of who calls than a header made for it.
	if c := row.Credentials; len(c) > 1 && c[0].Carrier == "cookie" {
		for i := range c {
			if !c[i].Incidental && c[i].Carrier != "cookie" {
				c[0], c[i] = c[i], c[0]
				break
			}
		}
	}
	for rank, left := uint8(0), len(w.weak); left > 0; rank++ {
		for _, v := range w.weak {
			if v.rank != rank {
				continue
			}
			if left--; !w.column(v.col, v.value, false) && v.key != nil {
				row.AddAttr(v.key, v.value)
			}
		}
	}
	if w.query != nil {
		if path := row.Text(tokenwatch.ColPath); path == nil || bytes.IndexByte(path, '?') < 0 {
			row.SetText(tokenwatch.ColPath, row.Build(func(b []byte) []byte {
				return append(append(append(b, path...), '?'), w.query...)
			}))
		}
	}
	if w.ocsf && w.plain {
		if ms := row.Int(tokenwatch.ColDuration); ms < math.MaxInt64/1_000_000 {
			row.SetInt(tokenwatch.ColDuration, ms*1e6)
		}
	}
}

// integer reads a whole number, also 2e2 and 200.0.
func integer(v []byte) (int64, bool) {
	if n, ok := digits(v); ok {
		return n, true
	}
	if len(v) > 32 || v[0] != '-' && (v[0] < '0' || v[0] > '9') {
		return 0, false
	}
	s := unsafe.String(unsafe.SliceData(v), len(v))
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<62 {
		return 0, false
	}
	return int64(f), true
}

// duration reads a number times unit, or one with its unit behind: 0.023s, 12ms.
// A fraction of a nanosecond cannot be meant: it is a number of seconds.
func duration(v []byte, unit int64) (int64, bool) {
	n := len(v)
	for n > 0 && (v[n-1] >= 'a' && v[n-1] <= 'z' || v[n-1] >= 0x80) && v[n-1] != 'e' {
		n--
	}
	switch string(v[n:]) {
	case "":
		if unit == 1 && bytes.IndexByte(v, '.') >= 0 {
			unit = 1e9
		}
	case "ns":
		unit = 1
	case "us", "µs":
		unit = 1e3
	case "ms":
		unit = 1e6
	case "s":
		unit = 1e9
	default:
		return 0, false
	}
	return scaled(v[:n], unit)
}
