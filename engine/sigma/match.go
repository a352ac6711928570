package sigma

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// node is a part of a rule's condition. eval returns the rows of a batch for
// which it is true; the caller may change the result.
type node interface {
	eval(v *View) []bool
}

type (
	all    struct{ list []node }
	anyone struct{ list []node }
	not    struct{ n node }
	leaf   struct { // the field matches
		f field
		m matcher
	}
	keyword  struct{ m matcher } // some text of the event matches
	present  struct{ f field }   // the event has the field
	nonempty struct{ f field }   // with a value that is not empty
	same     struct {            // two fields match each other
		a, b field
		m    modifiers
	}
)

func (n *all) eval(v *View) []bool {
	out := n.list[0].eval(v)
	for _, next := range n.list[1:] {
		if !slices.Contains(out, true) {
			return out
		}
		for i, is := range next.eval(v) {
			out[i] = out[i] && is
		}
	}
	return out
}

func (n *anyone) eval(v *View) []bool {
	out := n.list[0].eval(v)
	for _, next := range n.list[1:] {
		for i, is := range next.eval(v) {
			out[i] = out[i] || is
		}
	}
	return out
}

func (n *not) eval(v *View) []bool {
	out := n.n.eval(v)
	for i := range out {
		out[i] = !out[i]
	}
	return out
}

func (n *leaf) eval(v *View) []bool {
	out := make([]bool, v.rows)
	for _, from := range n.f {
		v.each(from, n.m, out)
	}
	return out
}

func (n *present) eval(v *View) []bool {
	return (&leaf{n.f, func(string) bool { return true }}).eval(v)
}

func (n *nonempty) eval(v *View) []bool {
	return (&leaf{n.f, func(value string) bool { return value != "" }}).eval(v)
}

func (n *keyword) eval(v *View) []bool {
	out := make([]bool, v.rows)
	for c := range tokenwatch.NumColumns {
		if k := tokenwatch.Col(c).Kind(); k == tokenwatch.KindText || k == tokenwatch.KindString {
			v.each(origin{col: tokenwatch.Col(c)}, n.m, out)
		}
	}
	a := v.batch.Attrs()
	if a.Offsets != nil {
		for i := range v.rows {
			for j := a.Offsets[i]; j < a.Offsets[i+1] && !out[i]; j++ {
				out[i] = n.m(a.Values.At(int(j)))
			}
		}
	}
	return out
}

func (n *same) eval(v *View) []bool {
	out := make([]bool, v.rows)
	fold := strings.ToLower
	if n.m.has("cased") {
		fold = func(s string) string { return s }
	}
	for i := range out {
		for _, a := range v.values(n.a, i) {
			for _, b := range v.values(n.b, i) {
				x, y := fold(a), fold(b)
				switch {
				case n.m.has("contains"):
					out[i] = out[i] || strings.Contains(x, y)
				case n.m.has("startswith"):
					out[i] = out[i] || strings.HasPrefix(x, y)
				case n.m.has("endswith"):
					out[i] = out[i] || strings.HasSuffix(x, y)
				default:
					out[i] = out[i] || x == y
				}
			}
		}
	}
	return out
}

// View is a batch as rules look at it. Several rules share one; it belongs to one
// goroutine.
type View struct {
	batch   *tokenwatch.Batch
	rows    int
	attrs   map[string][]place // by plain key; made when first asked for
	formats []string           // by code of the format column: what stands innermost
}

// place is an attribute of a row.
type place struct {
	row  int32
	pair int32
}

// NewView shows a batch to rules.
func NewView(b *tokenwatch.Batch) *View {
	v := &View{batch: b, rows: b.Rows()}
	dict := b.Column(tokenwatch.ColFormat).Dict
	for i := range dict.Len() {
		name := dict.At(i)
		v.formats = append(v.formats, name[strings.LastIndexByte(name, '+')+1:])
	}
	return v
}

// each sets out for the rows whose value matches.
func (v *View) each(from origin, m matcher, out []bool) {
	if from.attr != "" {
		pairs := &v.batch.Attrs().Values
		for _, p := range v.keyed(from.attr) {
			if !out[p.row] {
				out[p.row] = m(from.of(pairs.At(int(p.pair))))
			}
		}
		return
	}
	column := v.batch.Column(from.col)
	switch from.col.Kind() {
	case tokenwatch.KindText:
		if column.Codes == nil {
			return
		}
		hits := make([]bool, column.Dict.Len())
		some := false
		for code := 1; code < len(hits); code++ {
			hits[code] = m(from.of(column.Dict.At(code)))
			some = some || hits[code]
		}
		if !some {
			return
		}
		for i, code := range column.Codes {
			out[i] = out[i] || hits[code]
		}
	default:
		for i := range out {
			if !out[i] && v.batch.Has(from.col, i) {
				out[i] = m(from.of(text(v.batch, from.col, i)))
			}
		}
	}
}

// text is the value of a column as rules write it.
func text(b *tokenwatch.Batch, c tokenwatch.Col, i int) string {
	switch c.Kind() {
	case tokenwatch.KindInt:
		return strconv.FormatInt(b.Int(c, i), 10)
	case tokenwatch.KindTime:
		return time.Unix(0, b.Int(c, i)).UTC().Format(time.RFC3339Nano)
	case tokenwatch.KindAddr:
		return b.Addr(i).String()
	case tokenwatch.KindBool:
		return strconv.FormatBool(b.Bool(c, i))
	default:
		return b.Text(c, i)
	}
}

// keyed returns where an attribute stands.
func (v *View) keyed(key string) []place {
	if v.attrs == nil {
		v.attrs = map[string][]place{}
		a := v.batch.Attrs()
		names := make([]string, a.Dict.Len())
		for i := range names {
			names[i] = plain(a.Dict.At(i))
		}
		if a.Offsets != nil {
			for i := range v.rows {
				for j := a.Offsets[i]; j < a.Offsets[i+1]; j++ {
					name := names[a.Keys[j]]
					v.attrs[name] = append(v.attrs[name], place{int32(i), j})
				}
			}
		}
	}
	return v.attrs[key]
}

// plain is the name of an attribute as rules write it: in lower case, and without
// the places of lists: target.0.id is target.id.
func plain(key string) string {
	parts := strings.Split(strings.ToLower(key), ".")
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool {
		_, err := strconv.Atoi(p)
		return err == nil
	}), ".")
}

// values returns all values of a field in one row.
func (v *View) values(f field, row int) (out []string) {
	for _, from := range f {
		if from.attr == "" {
			if v.batch.Has(from.col, row) {
				out = append(out, from.of(text(v.batch, from.col, row)))
			}
			continue
		}
		list := v.keyed(from.attr)
		i, _ := slices.BinarySearchFunc(list, int32(row), func(p place, r int32) int { return int(p.row - r) })
		for ; i < len(list) && int(list[i].row) == row; i++ {
			out = append(out, from.of(v.batch.Attrs().Values.At(int(list[i].pair))))
		}
	}
	return out
}

// Match returns the rows of a view that the rule matches, in order.
func (r *Rule) Match(v *View) []int {
	codes := v.batch.Column(tokenwatch.ColFormat).Codes
	var mine []bool // by code; nil: all rows
	if r.formats != nil {
		mine = make([]bool, len(v.formats))
		for code, name := range v.formats {
			mine[code] = slices.Contains(r.formats, name)
		}
		if codes == nil || !slices.Contains(mine, true) {
			return nil
		}
	}
	var rows []int
	for i, hit := range r.when.eval(v) {
		if hit && (mine != nil && mine[codes[i]] || mine == nil && v.batch.Has(tokenwatch.ColPath, i)) {
			rows = append(rows, i)
		}
	}
	return rows
}
