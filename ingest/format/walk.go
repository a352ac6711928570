package format

import (
	"errors"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

// walker reads a JSON object and does with each of its fields what a table of
// rules says. Nested names are joined by dots. Of a name that comes twice, or
// of two names of one column, the first has the column and the others become
// attrs, so that nothing later in a record can take the place of what came
// before; every credential is noted, wherever it comes.
type walker struct {
	rules   map[string]rule // by folded path
	mapping *Mapping        // before rules, by path as written
	wild    bool            // a path of rules may end in .*
	wide    bool            // drop attrs beyond the limit instead of refusing the record
	lenient bool            // drop attrs beyond the limit instead of refusing the record; no wrappers

	record   []byte
	row      *tokenwatch.Row
	last     int // behind the last token read
	depth    int // of the leaf being taken
	fields   int
	query    []byte
	weak     []weakValue
	pair     pair
	slots    [numSlots][]byte
	trail    []trailValue
	message  []byte // that may be a record
	inside   bool   // it was one, and is read already
	enclosed bool   // the record around has a time
	ocsf     bool
	plain    bool // duration came as a bare number
	filled   bool // slots are

	untimed bool       // what should be a time could not be read
	keeps   [][]byte   // of a product's table: what is kept, by place
	parts   []heldPart // of facts
	each    string     // see product
	list    listed
	virtual []byte // path of an item of a list by its name

	root    field
	kept    int                 // fields in the tree below root
	since   int                 // records since kept reached its bound
	path    []byte              // of the present field if it is not kept
	full    []byte              // the same
	scratch [maxDepth + 1]field // by depth
}

type weakValue struct {
	col        tokenwatch.Col
	rank       uint8 // the least is the best
	key, value []byte
}

func newWalker(rules map[string]rule) walker {
	return walker{rules: rules, root: field{kept: true, ruled: true}}
}

// errSyntax says that a record is not JSON; read says where.
var errSyntax = errors.New("not JSON")

// read walks record into row.
func (w *walker) read(record []byte, row *tokenwatch.Row) error {
	i := frame.Space(record, 0)
	if i == len(record) || record[i] != '{' {
		return malformed("not a JSON object")
	}
	w.begin(record, row)
	i, err := w.object(&w.root, i+1, 1)
	if err == errSyntax {
		return malformed("not JSON behind byte " + strconv.Itoa(w.last))
	}
	if err != nil {
		return err
	}
	if frame.Space(record, i) != len(record) {
		return malformed("more than one JSON value")
	}
	return nil
}

// begin makes the walker ready for a record.
func (w *walker) begin(record []byte, row *tokenwatch.Row) {
	w.renew()
	w.record, w.row = record, row
	w.weak = w.weak[:0]
	w.trail = w.trail[:0]
	w.pair.part = noPart
	w.fields, w.query, w.ocsf, w.plain, w.untimed = 0, nil, false, false, false
	clear(w.keeps)
	w.parts, w.list.early, w.list.key = w.parts[:0], w.list.early[:0], nil
	w.message = nil
	if w.filled {
		w.slots, w.filled = [numSlots][]byte{}, false
	}
}

// object reads the members of an object whose brace is before i, and returns
// the place behind it.
func (w *walker) object(f *field, i, depth int) (int, error) {
	if depth > maxDepth {
		return 0, reject(tokenwatch.ReasonTooDeep, "nested deeper than 32 levels")
	}
	b := w.record
	w.last = i
	if i = frame.Space(b, i); i < len(b) && b[i] == '}' {
		w.last = i + 1
		return i + 1, nil
	}
	guess := &f.first // nil: there is no telling
	for {
		var m *field
		if guess != nil {
			m = *guess
		}
		if m != nil && len(b)-i >= len(m.name) && string(b[i:i+len(m.name)]) == m.name {
			i += len(m.name)
			w.last = i - 1
		} else {
			if i == len(b) || b[i] != '"' {
				return 0, errSyntax
			}
			end, verbatim := frame.StringEnd(b, i+1)
			if end < 0 {
				return 0, errSyntax
			}
			w.last = end
			m = w.member(f, w.text(i, end, verbatim), verbatim, depth)
			if guess != nil && m.kept {
				*guess = m
			}
			if i = frame.Space(b, end); i == len(b) || b[i] != ':' {
				return 0, errSyntax
			}
			i++
		}
		if guess = nil; m.kept {
			guess = &m.next
		}
		var err error
		if i, err = w.value(m, frame.Space(b, i), depth); err != nil {
			return 0, err
		}
		if i = frame.Space(b, i); i == len(b) {
			return 0, errSyntax
		}
		switch b[i] {
		case ',':
			i = frame.Space(b, i+1)
		case '}':
			w.last = i + 1
			return i + 1, nil
		default:
			return 0, errSyntax
		}
	}
}

// array reads the items of an array whose bracket is before i.
func (w *walker) array(f *field, i, depth int) (int, error) {
	if depth > maxDepth {
		return 0, reject(tokenwatch.ReasonTooDeep, "nested deeper than 32 levels")
	}
	b := w.record
	w.last = i
	if i = frame.Space(b, i); i < len(b) && b[i] == ']' {
		w.last = i + 1
		return i + 1, nil
	}
	for n := 0; ; n++ {
		var err error
		if i, err = w.value(w.item(f, n, depth), i, depth); err != nil {
			return 0, err
		}
		if i = frame.Space(b, i); i == len(b) {
			return 0, errSyntax
		}
		switch b[i] {
		case ',':
			i = frame.Space(b, i+1)
		case ']':
			w.last = i + 1
			return i + 1, nil
		default:
			return 0, errSyntax
		}
	}
}

// value reads the value of f, which begins at i.
func (w *walker) value(f *field, i, depth int) (int, error) {
	b := w.record
	if i == len(b) {
		return 0, errSyntax
	}
	end, verbatim := -1, false
	switch c := b[i]; c {
	case '{':
		return w.object(f, i+1, depth+1)
	case '[':
		return w.array(f, i+1, depth+1)
	case '"':
		end, verbatim = frame.StringEnd(b, i+1)
	case 't', 'f', 'n':
		end = frame.WordEnd(b, i)
	default:
		end = frame.NumberEnd(b, i)
	}
	if end < 0 {
		return 0, errSyntax
	}
	w.last, w.depth = end, depth
	if w.fields++; w.fields > maxFields && !w.lenient && !w.wide {
		return 0, reject(tokenwatch.ReasonTooManyField, "more than 256 fields")
	}
	switch c := b[i]; c {
	case 'n':
	case '"':
		w.leaf(f, w.text(i, end, verbatim), false)
	default:
		w.leaf(f, b[i:end:end], c != 't' && c != 'f')
	}
	return end, nil
}

// within reads an object or array that a leaf f holds as text, as if it stood in the
// text's place, and tells whether that was all of it. Of what ends early, since its
// source cut it, the beginning is read.
func (w *walker) within(f *field, text []byte) bool {
	record, last := w.record, w.last
	w.record = text
	i, err := w.value(f, frame.Space(text, 0), w.depth)
	w.record, w.last = record, last
	return err == nil && frame.Space(text, i) == len(text)
}

// text returns the value of the string at i: within the record if it can stay
// as it is.
func (w *walker) text(i, end int, verbatim bool) []byte {
	if verbatim {
		return w.record[i+1 : end-1 : end-1]
	}
	raw := w.record[i:end]
	return w.row.Build(func(b []byte) []byte {
		b, _ = jsontext.AppendUnquote(b, raw) // the error only repeats that bytes were replaced
		return b
	})
}
