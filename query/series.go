package query

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// seriesTable is the table of time series. A row is a cell: a minute of a host,
// method and status, an hour of a token, actor or address, a day of a token on a
// route.
type seriesTable struct{ alias string }

// seriesField is a column of it: what it is in every cell of a kind, or how it is
// made of cells. Those of keys need no more of a cell than its key and time.
type seriesField struct {
	name     string
	typ      expr.Type
	key      bool
	measures series.Measures
	get      func(t *series.Table) expr.Vec
}

var resolutions = map[time.Duration]string{time.Minute: "minute", time.Hour: "hour", 24 * time.Hour: "day"}

var entityKinds = map[series.Kind]tokenwatch.EntityKind{
	series.Tokens: tokenwatch.EntityToken, series.Actors: tokenwatch.EntityActor, series.Addresses: tokenwatch.EntityAddress,
}

var seriesFields = func() []seriesField {
	text := func(name string, f func(series.Kind) (string, bool)) seriesField {
		return seriesField{name, expr.TypeText, true, 0, func(t *series.Table) expr.Vec {
			s, ok := f(t.Kind)
			return expr.ConstOf(expr.Value{Type: expr.TypeText, Text: s, Null: !ok})
		}}
	}
	key := func(c tokenwatch.Col) seriesField {
		return seriesField{c.String(), expr.TypeOf(c.Kind()), true, 0, func(t *series.Table) expr.Vec { return keyVec(t, c) }}
	}
	sum := func(name string, m series.Measures, get func(*series.Table) []int64) seriesField {
		return seriesField{name, expr.TypeInt, false, m, func(t *series.Table) expr.Vec {
			return expr.Vec{Type: expr.TypeInt, Ints: get(t)}
		}}
	}
	quantile := func(name string, q float64) seriesField {
		return seriesField{name, expr.TypeInt, false, series.Durations, func(t *series.Table) expr.Vec {
			return ints(t.Len(), func(i int) (int64, bool) {
				bins, counts := t.Bins.Of(i)
				return series.Quantile(bins, counts, q)
			})
		}}
	}
	list := []seriesField{
		text("resolution", func(k series.Kind) (string, bool) { return resolutions[k.Step()], true }),
		{"time", expr.TypeTime, true, 0, func(t *series.Table) expr.Vec {
			v := ints(t.Len(), func(i int) (int64, bool) { return t.Time(i), true })
			v.Type = expr.TypeTime
			return v
		}},
		key(tokenwatch.ColHost), key(tokenwatch.ColMethod), key(tokenwatch.ColStatus),
		text("entity_kind", func(k series.Kind) (string, bool) {
			kind, ok := entityKinds[k]
			return kind.String(), ok
		}),
		{"entity", expr.TypeText, true, 0, func(t *series.Table) expr.Vec {
			switch t.Kind {
			case series.Tokens, series.Actors:
				return keyVec(t, t.Kind.Columns()[0])
			case series.Addresses:
				return addrTexts(&t.Keys[0])
			}
			return expr.NullOf(expr.TypeText)
		}},
		key(tokenwatch.ColToken), key(tokenwatch.ColRoute),
		sum("count", 0, func(t *series.Table) []int64 { return t.Counts }),
		sum("errors", series.Errors, func(t *series.Table) []int64 {
			all := make([]int64, t.Len())
			for _, counts := range t.Errors {
				for i, n := range counts {
					all[i] += n
				}
			}
			return all
		}),
	}
	for e := range series.NumErrors {
		list = append(list, sum("errors_"+e.String(), series.Errors, func(t *series.Table) []int64 { return t.Errors[e] }))
	}
	return append(list,
		sum("bytes_in", series.BytesIn, func(t *series.Table) []int64 { return t.BytesIn }),
		sum("bytes_out", series.BytesOut, func(t *series.Table) []int64 { return t.BytesOut }),
		quantile("duration_p50", 0.5), quantile("duration_p90", 0.9), quantile("duration_p99", 0.99),
		seriesField{"distinct_src_ip", expr.TypeInt, false, series.Sources, func(t *series.Table) expr.Vec {
			return ints(t.Len(), func(i int) (int64, bool) {
				if t.Kind == series.Addresses {
					return 1, true
				}
				return int64(t.Addrs.Len(i)), true
			})
		}})
}()

// ints is a vector of numbers, null where ok is false.
func ints(n int, get func(i int) (x int64, ok bool)) expr.Vec {
	v := expr.Vec{Type: expr.TypeInt, Ints: make([]int64, n)}
	for i := range n {
		x, ok := get(i)
		if !ok && v.Valid == nil {
			v.Valid = make(tokenwatch.Bitmap, (n+7)/8)
			for j := range i {
				v.Valid.Set(j)
			}
		}
		if v.Ints[i] = x; ok && v.Valid != nil {
			v.Valid.Set(i)
		}
	}
	return v
}

// keyVec is a column of the keys of cells, null if the kind has no such.
func keyVec(t *series.Table, c tokenwatch.Col) expr.Vec {
	at := slices.Index(t.Kind.Columns(), c)
	if at < 0 {
		return expr.NullOf(expr.TypeOf(c.Kind()))
	}
	k := &t.Keys[at]
	switch {
	case c.Kind() == tokenwatch.KindText && k.Text.Len() > 1:
		return expr.Vec{Type: expr.TypeText, Codes: k.Codes, Text: k.Text}
	case c.Kind() == tokenwatch.KindInt:
		return ints(len(k.Codes), func(i int) (int64, bool) {
			if k.Codes[i] == 0 {
				return 0, false
			}
			return k.Ints[k.Codes[i]-1], true
		})
	}
	return expr.NullOf(expr.TypeOf(c.Kind()))
}

// addrTexts spells addresses.
func addrTexts(k *series.Values) expr.Vec {
	v := expr.Vec{Type: expr.TypeText, Codes: k.Codes}
	v.Text.Append(nil)
	for at := 0; at < len(k.Addrs); at += 16 {
		v.Text.Append([]byte(netip.AddrFrom16([16]byte(k.Addrs[at:])).Unmap().String()))
	}
	return v
}

func (s *seriesTable) fields() []field {
	out := make([]field, len(seriesFields))
	for i, f := range seriesFields {
		out[i] = field{table: s.alias, name: f.name, typ: f.typ, token: f.name == "token"}
	}
	return out
}

// seriesFrame shows the columns that are wanted of cells.
func seriesFrame(t *series.Table, want func(i int) bool) *expr.Frame {
	f := &expr.Frame{N: t.Len(), Cols: make([]expr.Vec, len(seriesFields))}
	for i := range seriesFields {
		if want(i) {
			f.Cols[i] = seriesFields[i].get(t)
		}
	}
	return f
}

// seriesPlan is how a question for one kind is answered.
type seriesPlan struct {
	kind     series.Kind
	measures series.Measures
	segments []storage.Segment
	early    []expr.Expr // conditions on key and time: of the cells of each segment
	late     []expr.Expr // the others: of the sums
	sifts    []bool      // fields that early conditions name
	shows    []bool      // fields that late conditions name, or that are asked for
}

// plans says what must be added up: of the kinds, those that conditions on what is
// the same in all their cells leave.
func (s *seriesTable) plans(x *execution, a ask) ([]*seriesPlan, error) {
	segments, err := x.allSegments()
	if err != nil {
		return nil, err
	}
	var conditions []expr.Expr
	if a.where != nil {
		conditions = expr.Conjuncts(a.where)
	}
	if neverTrue(conditions) {
		return nil, nil
	}
	var out []*seriesPlan
kinds:
	for _, k := range series.Kinds {
		p := &seriesPlan{kind: k, sifts: make([]bool, len(seriesFields)), shows: slices.Clone(a.need)}
		from, to := int64(math.MinInt64), int64(math.MaxInt64)
		one := &series.Table{Kind: k, Steps: []int64{0}, Counts: []int64{1}, Keys: make([]series.Values, len(k.Columns()))}
		for _, cond := range conditions {
			cols, early, fixed := expr.Columns(cond, nil), true, true
			for _, c := range cols {
				f := &seriesFields[c]
				p.shows[c] = true
				early = early && f.key
				fixed = fixed && (f.name == "resolution" || f.name == "entity_kind" || f.key && f.name != "time" && !s.has(k, f.name))
			}
			if fixed { // it is the same for all cells
				sel, err := seriesFrame(one, func(i int) bool { return slices.Contains(cols, i) }).Filter(cond, nil, nil)
				if err != nil {
					return nil, err
				}
				if len(sel) == 0 {
					continue kinds
				}
				continue
			}
			if !early {
				p.late = append(p.late, cond)
				continue
			}
			for _, c := range cols {
				p.sifts[c] = true
			}
			p.early = append(p.early, cond)
			if col, low, high, ok := expr.Bounds(cond); ok && seriesFields[col].name == "time" {
				from, to = max(from, low), min(to, high)
			}
		}
		for i, want := range p.shows {
			if want {
				p.measures |= seriesFields[i].measures
			}
		}
		p.measures = p.measures.Of(k)
		for _, seg := range segments {
			b, known := seg.Bounds(tokenwatch.ColTime)
			step := int64(k.Step())
			if known && (b.Nulls == seg.Rows() || b.Max < from || b.Min-step > to && b.Min-step < b.Min) {
				continue
			}
			p.segments = append(p.segments, seg)
		}
		out = append(out, p)
	}
	return out, nil
}

// has tells whether a kind's key has a column, by the name of the field.
func (s *seriesTable) has(k series.Kind, name string) bool {
	return name == "entity" && k != series.Minutes && k != series.Routes ||
		slices.ContainsFunc(k.Columns(), func(c tokenwatch.Col) bool { return c.String() == name })
}

func (s *seriesTable) scan(x *execution, a ask, to sink) error {
	plans, err := s.plans(x, a)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if err := p.run(x, to); err != nil {
			return err
		}
	}
	return nil
}

// run adds up the cells of all segments, and sends them.
func (p *seriesPlan) run(x *execution, to sink) error {
	early, err := expr.And(p.early...)
	if err != nil {
		return err
	}
	sum := series.NewSum(p.kind, p.measures)
	charged := int64(0)
	defer func() { x.charge(-charged) }()
	var mu sync.Mutex
	err = x.parallel(len(p.segments), func(_, i int) error {
		t, carried, err := storage.SeriesOf(x.ctx, p.segments[i], p.kind, p.measures)
		if err != nil {
			return err
		}
		rows := t.Len()
		if carried {
			x.bySeries.Add(1)
		} else {
			rows = p.segments[i].Rows()
		}
		var sel []int32
		if len(p.early) > 0 {
			f := seriesFrame(t, func(i int) bool { return p.sifts[i] })
			if sel, err = f.Filter(early, nil, make([]int32, 0, t.Len())); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		sum.Add(t, sel)
		grown := sum.Bytes() - charged
		charged += grown
		if err := x.charge(grown); err != nil {
			return err
		}
		return x.took(rows)
	})
	if err != nil {
		return err
	}
	result := sum.Result()
	late, err := expr.And(p.late...)
	if err != nil {
		return err
	}
	f := seriesFrame(result, func(i int) bool { return p.shows[i] })
	for lo := 0; lo < result.Len(); lo += chunkRows {
		hi := min(lo+chunkRows, result.Len())
		sel := make([]int32, 0, hi-lo)
		for i := lo; i < hi; i++ {
			sel = append(sel, int32(i))
		}
		if len(p.late) > 0 {
			if sel, err = f.Filter(late, sel, make([]int32, 0, len(sel))); err != nil {
				return err
			}
		}
		if err := x.alive(); err != nil {
			return err
		}
		if len(sel) == 0 {
			continue
		}
		c := &chunk{Frame: &expr.Frame{N: len(sel), Cols: make([]expr.Vec, len(f.Cols))}}
		for i := range f.Cols {
			if p.shows[i] {
				c.Cols[i] = f.Cols[i].Gather(sel)
			}
		}
		if err := to(0, c); err != nil {
			return err
		}
	}
	return nil
}

func (s *seriesTable) explain(x *execution, a ask) *node {
	n := &node{what: "read series", where: a.where}
	plans, err := s.plans(x, a)
	if err != nil {
		return n
	}
	var parts []string
	for _, p := range plans {
		parts = append(parts, fmt.Sprintf("%s of %d segment%s", p.kind, len(p.segments), plural(len(p.segments))))
	}
	n.what = "read series: " + strings.Join(parts, ", ")
	if len(parts) == 0 {
		n.what += "none"
	}
	return n
}
