package promql

import (
	"math"
	"sort"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/tokenwatch/tokenwatch/storage/series"
)

// grid is how far apart samples are, in milliseconds.
const grid = 60_000

// window is the time that samples are wanted of, and which cells they come from.
type window struct {
	kind        series.Kind
	from, to    int64 // ms, of samples
	now         int64 // ms
	step        int64 // ms, of cells
	first, last int64 // steps of cells
}

// newWindow: cells from where the counters of from begin, up to those that begin
// before to.
func newWindow(k series.Kind, from, to int64, now time.Time) window {
	w := window{kind: k, from: from, to: to, now: now.UnixMilli(), step: k.Step().Milliseconds()}
	// A sample at the very beginning of a period is the last of the one before.
	w.first = floorDiv(w.begin(from-1), w.step)
	w.last = floorDiv(to, w.step)
	return w
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// begin is when the counters that hold at a time began.
func (w *window) begin(ms int64) int64 {
	t := time.UnixMilli(ms).UTC()
	if w.kind == series.Minutes {
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).UnixMilli()
	}
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}

// end is when the counters that begin at a time end.
func (w *window) end(begin int64) int64 {
	t := time.UnixMilli(begin).UTC()
	if w.kind == series.Minutes {
		return t.AddDate(0, 0, 1).UnixMilli()
	}
	return t.AddDate(0, 1, 0).UnixMilli()
}

// point is a value that holds from a time on; NaN: there are no samples from it on.
type point struct {
	at    int64
	value float64
}

// points are the values of one series, of the cells from lo up to hi of one key.
func (w *window) points(m *Metric, t *series.Table, lo, hi, variant int) []point {
	var out []point
	total, begin := 0.0, int64(0)
	for i := lo; i < hi; i++ {
		start := t.Steps[i] * w.step
		end := start + w.step
		if start <= w.now && w.now < end {
			end = max(min(w.now, w.to), start+1) // it is not over: so far
		}
		if len(out) == 0 && m.lacks != nil && m.lacks(t, i, variant) {
			continue
		}
		v := m.value(t, i, variant)
		switch b := w.begin(start); {
		case m.gauge:
			if n := len(out); n > 0 && out[n-1].at == end {
				out = out[:n-1]
			}
			out = append(out, point{end, v}, point{end + w.step, math.NaN()})
			continue
		case len(out) == 0:
			out = append(out, point{start, 0})
			begin = b
		case b != begin:
			out = append(out, point{w.end(begin) + 1, 0})
			total, begin = 0, b
		}
		total += v
		out = append(out, point{end, total})
	}
	if len(out) > 0 && !m.gauge {
		out = append(out, point{w.end(begin) + 1, math.NaN()})
	}
	if n := len(out); n == 0 || out[0].at > w.to || out[n-1].at <= w.from {
		return nil
	}
	return out
}

// line is one series.
type line struct {
	labels labels.Labels
	points []point
	window window
}

func (l *line) Labels() labels.Labels { return l.labels }

func (l *line) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	return storage.NewListSeriesIterator(newSamples(l.points, l.window))
}

// samples are those of a series within the window, made as they are asked for:
// one where its value changes, and one each minute while a value holds, up to now.
type samples struct {
	points []point
	firsts []int64 // time of the first sample of each point; the others are minutes
	starts []int   // number of the first sample of each point, and of all
	at     int     // the point found last
}

func newSamples(points []point, w window) *samples {
	s := &samples{points: points, firsts: make([]int64, len(points)), starts: make([]int, len(points)+1)}
	for i, p := range points {
		s.starts[i+1] = s.starts[i]
		if math.IsNaN(p.value) {
			continue
		}
		last := min(w.to, max(w.now, p.at))
		if i+1 < len(points) {
			last = min(last, points[i+1].at-1)
		}
		first := p.at
		if first < w.from {
			first = ceil(w.from)
		}
		if s.firsts[i] = first; first <= last {
			s.starts[i+1] += 1 + int(floorDiv(last, grid)-floorDiv(first, grid))
		}
	}
	return s
}

// ceil is the first minute that is not before a time.
func ceil(ms int64) int64 { return -floorDiv(-ms, grid) * grid }

func (s *samples) Len() int { return s.starts[len(s.points)] }

func (s *samples) Get(i int) chunks.Sample {
	if i < s.starts[s.at] || i >= s.starts[s.at+1] {
		s.at = sort.SearchInts(s.starts, i+1) - 1
	}
	t := s.firsts[s.at]
	if k := int64(i - s.starts[s.at]); k > 0 {
		t = ceil(t+1) + (k-1)*grid
	}
	return sample{t, s.points[s.at].value}
}

// sample is a number at a time.
type sample struct {
	t int64
	f float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }
