package promql

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promstorage "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// queryable shows the series of one tenant to the engine of Prometheus.
func (e *Engine) queryable(tenant string) promstorage.Queryable {
	return promstorage.QueryableFunc(func(mint, maxt int64) (promstorage.Querier, error) {
		return &querier{e: e, tenant: tenant, from: mint, to: maxt}, nil
	})
}

// querier reads the series of one tenant between two times, in milliseconds.
type querier struct {
	e        *Engine
	tenant   string
	from, to int64
}

func (q *querier) Close() error { return nil }

// LabelValues and LabelNames are for others than the engine; see Engine.Series.
func (q *querier) LabelValues(ctx context.Context, name string, _ *promstorage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	var out []string
	set := q.Select(ctx, false, nil, ms...)
	for set.Next() {
		if v := set.At().Labels().Get(name); v != "" {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil, set.Err()
}

func (q *querier) LabelNames(ctx context.Context, _ *promstorage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	var out []string
	set := q.Select(ctx, false, nil, ms...)
	for set.Next() {
		set.At().Labels().Range(func(l labels.Label) { out = append(out, l.Name) })
	}
	slices.Sort(out)
	return slices.Compact(out), nil, set.Err()
}

// Select adds up the cells that matter, a sum for each kind of series that a
// metric asked for is of.
func (q *querier) Select(ctx context.Context, sorted bool, hints *promstorage.SelectHints, ms ...*labels.Matcher) promstorage.SeriesSet {
	from, to := q.from, q.to
	if hints != nil {
		from, to = hints.Start, hints.End
	}
	var out []promstorage.Series
	for _, k := range series.Kinds {
		var metrics []*Metric
		need := series.Measures(0)
		for i := range Metrics {
			if m := &Metrics[i]; m.kind == k && m.may(ms) {
				metrics = append(metrics, m)
				need |= m.measures
			}
		}
		if metrics == nil {
			continue
		}
		w := newWindow(k, from, to, q.e.config.Now())
		sum, err := q.sum(ctx, k, need, w, ms)
		if err != nil {
			return promstorage.ErrSeriesSet(err)
		}
		for _, m := range metrics {
			out = m.series(out, sum, w, ms)
		}
	}
	if sorted {
		slices.SortFunc(out, func(a, b promstorage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	}
	return &set{list: out, at: -1}
}

// may is false if no series of the metric matches.
func (m *Metric) may(ms []*labels.Matcher) bool {
	for _, one := range ms {
		switch {
		case one.Name == model.MetricNameLabel:
			if !one.Matches(m.Name) {
				return false
			}
		case !slices.Contains(m.Labels, one.Name):
			if !one.Matches("") {
				return false
			}
		}
	}
	return true
}

// sum adds up the cells of the window whose keys match.
func (q *querier) sum(ctx context.Context, k series.Kind, ms series.Measures, w window, matchers []*labels.Matcher) (*series.Table, error) {
	sum := series.NewSum(k, ms)
	for seg, err := range q.e.config.Events.Segments(ctx, storage.Range{
		Tenant: q.tenant, From: time.Unix(0, w.first*int64(k.Step())), To: time.Unix(0, (w.last+1)*int64(k.Step())),
	}) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		t, _, err := storage.SeriesOf(ctx, seg, k, ms)
		if err != nil {
			return nil, err
		}
		sum.Add(t, matching(t, w, matchers))
		if sum.Bytes() > q.e.config.Memory {
			return nil, ErrMemory
		}
	}
	return sum.Result(), nil
}

// matching lists the cells that lie in the window and whose keys match.
func matching(t *series.Table, w window, matchers []*labels.Matcher) []int32 {
	allowed := make([][]bool, len(t.Keys)) // by code
	for j, c := range t.Kind.Columns() {
		for _, m := range matchers {
			if m.Name != c.String() {
				continue
			}
			if allowed[j] == nil {
				allowed[j] = slices.Repeat([]bool{true}, 1+max(t.Keys[j].Text.Len()-1, len(t.Keys[j].Ints), len(t.Keys[j].Addrs)/16, 0))
			}
			for code := range allowed[j] {
				allowed[j][code] = allowed[j][code] && m.Matches(value(&t.Keys[j], c, uint32(code)))
			}
		}
	}
	cells := make([]int32, 0, t.Len())
cells:
	for i, step := range t.Steps {
		if step < w.first || step > w.last {
			continue
		}
		for j, ok := range allowed {
			if ok != nil && !ok[t.Keys[j].Codes[i]] {
				continue cells
			}
		}
		cells = append(cells, int32(i))
	}
	return cells
}

// value is a key as a label, "" if it is null.
func value(v *series.Values, c tokenwatch.Col, code uint32) string {
	switch {
	case code == 0:
		return ""
	case c.Kind() == tokenwatch.KindText:
		return v.Text.At(int(code))
	case c.Kind() == tokenwatch.KindAddr:
		return netip.AddrFrom16([16]byte(v.Addrs[16*(code-1):])).Unmap().String()
	default:
		return strconv.FormatInt(v.Ints[code-1], 10)
	}
}

// series appends the series of a metric: one for each key and variant.
func (m *Metric) series(out []promstorage.Series, t *series.Table, w window, matchers []*labels.Matcher) []promstorage.Series {
	variants := m.variants
	if m.label == "" {
		variants = []string{""}
	}
	var b labels.ScratchBuilder
	for lo := 0; lo < t.Len(); {
		hi := lo + 1
		for hi < t.Len() && sameKey(t, lo, hi) {
			hi++
		}
		for v, name := range variants {
			if !suits(matchers, m.label, name) {
				continue
			}
			points := w.points(m, t, lo, hi, v)
			if len(points) == 0 {
				continue
			}
			b.Reset()
			b.Add(model.MetricNameLabel, m.Name)
			if m.label != "" {
				b.Add(m.label, name)
			}
			for j, c := range m.kind.Columns() {
				if text := value(&t.Keys[j], c, t.Keys[j].Codes[lo]); text != "" {
					b.Add(c.String(), text)
				}
			}
			b.Sort()
			out = append(out, &line{labels: b.Labels(), points: points, window: w})
		}
		lo = hi
	}
	return out
}

func sameKey(t *series.Table, a, b int) bool {
	for j := range t.Keys {
		if t.Keys[j].Codes[a] != t.Keys[j].Codes[b] {
			return false
		}
	}
	return true
}

func suits(matchers []*labels.Matcher, label, v string) bool {
	for _, m := range matchers {
		if label != "" && m.Name == label && !m.Matches(v) {
			return false
		}
	}
	return true
}

// set is a list of series.
type set struct {
	list []promstorage.Series
	at   int
}

func (s *set) Next() bool                        { s.at++; return s.at < len(s.list) }
func (s *set) At() promstorage.Series            { return s.list[s.at] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }
