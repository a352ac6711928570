package format

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// walker reads a JSON object and does with each of its fields what a table of
// rules says. Nested names are joined by dots. Of a name that comes twice, or
// of two names of one column, the first has the column and the others become
// attrs, so that nothing later in a record can take the place of what came
// before; every credential is noted, wherever it comes.
type walker struct {
	rules   map[string]rule // by folded path
	mapping *Mapping        // before rules, by path as written
	lenient bool            // drop attrs beyond the limit instead of refusing the record; no wrappers

	dec    *jsontext.Decoder
	src    bytes.Buffer
	record []byte
	row    *tokenwatch.Row
	path   []byte // folded, without indices
	full   []byte // as written, with indices
	fields int
	query  []byte
	weak   []weakValue
	slots  [numSlots][]byte
	ocsf   bool
	plain  bool // duration came as a bare number
}

type weakValue struct {
	col        tokenwatch.Col
	key, value []byte
}

func newWalker(rules map[string]rule) walker {
	return walker{rules: rules, dec: jsontext.NewDecoder(bytes.NewReader(nil))}
}

// read walks record into row.
func (w *walker) read(record []byte, row *tokenwatch.Row) error {
	if firstByte(record) != '{' {
		return malformed("not a JSON object")
	}
	w.src = *bytes.NewBuffer(record)
	w.dec.Reset(&w.src, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	w.record, w.row = record, row
	w.path, w.full, w.weak = w.path[:0], w.full[:0], w.weak[:0]
	w.fields, w.query, w.ocsf, w.plain = 0, nil, false, false
	w.slots = [numSlots][]byte{}
	if err := w.value(0); err != nil {
		return w.refuse(err)
	}
	if _, err := w.dec.ReadToken(); err != io.EOF {
		return malformed("more than one JSON value")
	}
	return nil
}

// refuse turns an error of the decoder, which may quote the record, into one
// that does not.
func (w *walker) refuse(err error) error {
	if _, ok := errors.AsType[*tokenwatch.Rejection](err); ok {
		return err
	}
	return malformed("not JSON behind byte " + strconv.FormatInt(w.dec.InputOffset(), 10))
}

func (w *walker) value(depth int) error {
	switch w.dec.PeekKind() {
	case '{':
		return w.object(depth + 1)
	case '[':
		return w.array(depth + 1)
	}
	raw, err := w.raw()
	if err != nil {
		return err
	}
	if w.fields++; w.fields > maxFields && !w.lenient {
		return reject(tokenwatch.ReasonTooManyField, "more than 256 fields")
	}
	switch raw[0] {
	case 'n':
		return nil
	case '"':
		w.leaf(w.text(raw), false)
	default:
		w.leaf(raw, raw[0] != 't' && raw[0] != 'f')
	}
	return nil
}

func (w *walker) object(depth int) error {
	if depth > maxDepth {
		return reject(tokenwatch.ReasonTooDeep, "nested deeper than 32 levels")
	}
	if _, err := w.dec.ReadToken(); err != nil {
		return err
	}
	path, full := len(w.path), len(w.full)
	for w.dec.PeekKind() != '}' {
		raw, err := w.raw()
		if err != nil {
			return err
		}
		if path > 0 {
			w.path, w.full = append(w.path, '.'), append(w.full, '.')
		}
		name := w.text(raw)
		w.path, w.full = appendFolded(w.path, name), append(w.full, name...)
		if err := w.value(depth); err != nil {
			return err
		}
		w.path, w.full = w.path[:path], w.full[:full]
	}
	_, err := w.dec.ReadToken()
	return err
}

func (w *walker) array(depth int) error {
	if depth > maxDepth {
		return reject(tokenwatch.ReasonTooDeep, "nested deeper than 32 levels")
	}
	if _, err := w.dec.ReadToken(); err != nil {
		return err
	}
	full := len(w.full)
	for i := int64(0); w.dec.PeekKind() != ']'; i++ {
		w.full = strconv.AppendInt(append(w.full, '.'), i, 10)
		if err := w.value(depth); err != nil {
			return err
		}
		w.full = w.full[:full]
	}
	_, err := w.dec.ReadToken()
	return err
}

// raw reads the next name or scalar as it stands in the record.
func (w *walker) raw() ([]byte, error) {
	v, err := w.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	end := int(w.dec.InputOffset())
	return w.record[end-len(v) : end : end], nil // the decoder's slice ends with its next call
}

// text decodes a JSON string: within the record if it can stay as it is.
func (w *walker) text(raw []byte) []byte {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return inner
	}
	return w.row.Build(func(b []byte) []byte {
		b, _ = jsontext.AppendUnquote(b, raw) // the error only repeats that bytes were replaced
		return b
	})
}

// rule finds what is to be done with the present field.
func (w *walker) rule() rule {
	if w.mapping != nil {
		if r, ok := w.mapping.rules[string(w.full)]; ok {
			return r
		}
		for i := bytes.LastIndexByte(w.full, '.'); i > 0; i = bytes.LastIndexByte(w.full[:i], '.') {
			if w.mapping.rules[string(w.full[:i])].op == toNothing {
				return rule{op: toNothing}
			}
		}
	}
	if r, ok := w.rules[string(w.path)]; ok {
		return r
	}
	leaf := w.path
	if i := bytes.LastIndexByte(leaf, '.'); i >= 0 {
		if r, ok := leafRules[string(leaf[i+1:])]; ok {
			if w.lenient && r.op != toCredential && r.op != toAuthorization {
				return rule{} // ids of other things than the caller's token
			}
			return r
		}
		for _, p := range wrappers {
			if !w.lenient && bytes.HasPrefix(w.path, []byte(p)) {
				if r, ok := w.rules[string(w.path[len(p):])]; ok {
					return r
				}
			}
		}
		return rule{}
	}
	return leafRules[string(leaf)]
}

// leaf takes one scalar.
func (w *walker) leaf(v []byte, number bool) {
	if len(v) == 0 {
		return
	}
	r := w.rule()
	row := w.row
	switch r.op {
	case toColumn:
		if string(v) == "-" || w.column(r.col, v, number) {
			return
		}
	case toWeak:
		if string(v) != "-" {
			w.weak = append(w.weak, weakValue{r.col, w.key(), v})
		}
		return
	case toDuration:
		if !row.Has(tokenwatch.ColDuration) {
			if d, ok := duration(v, r.unit); ok {
				row.SetInt(tokenwatch.ColDuration, d)
				w.plain = r.unit == 1 && string(w.path) == "duration" && bytes.IndexByte(v, '.') < 0
				return
			}
		}
	case toURL:
		if !row.Has(tokenwatch.ColPath) {
			setURL(row, v)
			return
		}
		addURLCredentials(row, v, query)
	case toQuery:
		addQueryCredentials(row, bytes.TrimPrefix(v, []byte("?")), query)
		if w.query == nil && string(v) != "-" {
			w.query = bytes.TrimPrefix(v, []byte("?"))
			return
		}
	case toRequest:
		if !row.Has(tokenwatch.ColMethod) && !row.Has(tokenwatch.ColPath) {
			setRequest(row, v)
			return
		}
		return // repeats method and path
	case toReferer:
		if string(v) == "-" {
			return
		}
		addURLCredentials(row, v, referer)
		row.AddAttr(row.Keep("referer"), v)
		return
	case toOCSF:
		w.ocsf = true
	case toOutcomeID:
		if !row.Has(tokenwatch.ColOutcome) && (string(v) == "1" || string(v) == "2") {
			row.SetString(tokenwatch.ColOutcome, [...]string{"success", "failure"}[v[0]-'1'])
		}
	case toSlot:
		if w.slots[r.slot] == nil {
			w.slots[r.slot] = v
			if r.slot <= ctResource {
				return
			}
		}
	case toNothing:
		return
	case toAttr:
	default:
		if string(v) == "-" || (!number && (string(v) == "true" || string(v) == "false")) {
			break // says whether there is one, not which
		}
		if r.take(row, v, w.lenient || bytes.HasPrefix(w.path, []byte("res"))) { // res., response., resp.
			return
		}
	}
	if w.lenient && w.fields > maxFields {
		return
	}
	if r.op == toAttr && r.carrier != "" { // renamed by a mapping
		row.AddAttr(row.Keep(r.carrier), v)
		return
	}
	row.AddAttr(w.key(), v)
}

// key returns the present field's path in the row's memory.
func (w *walker) key() []byte {
	return w.row.Build(func(b []byte) []byte { return append(b, w.full...) })
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

// finish fills what waited for the end of the record.
func (w *walker) finish() error {
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
	for _, v := range w.weak {
		if !w.column(v.col, v.value, false) {
			row.AddAttr(v.key, v.value)
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
	if !row.Has(tokenwatch.ColTime) {
		return reject(tokenwatch.ReasonNoTime, "no field holds a time that can be read")
	}
	return nil
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
