package v1

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	prom "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/tokenwatch/tokenwatch/query/promql"
)

// Prometheus answers the query API of Prometheus, so that Grafana, promtool and
// other clients of it work unchanged. Its answers and errors have Prometheus' shape.
type Prometheus struct {
	Engine  *promql.Engine // nil: there is nothing to ask
	Now     func() time.Time
	Version string
	Commit  string
}

// promAnswer is every answer.
type promAnswer struct {
	Status    string   `json:"status"`
	Data      any      `json:"data,omitempty"`
	ErrorType string   `json:"errorType,omitempty"`
	Error     string   `json:"error,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
	Infos     []string `json:"infos,omitempty"`
}

// promError is what is wrong with a question.
type promError struct {
	code       int
	kind, text string
}

func (e *promError) Error() string { return e.text }

func badData(text string) error { return &promError{http.StatusBadRequest, "bad_data", text} }

// handler answers with what ask returns.
func (p *Prometheus) handler(ask func(ctx context.Context, tenant string, r *http.Request) (any, []string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := promAnswer{Status: "success"}
		code := http.StatusOK
		if err := p.answer(r, ask, &answer); err != nil {
			e := promFailed(err)
			code, answer = e.code, promAnswer{Status: "error", ErrorType: e.kind, Error: e.text}
		}
		body, err := json.Marshal(answer)
		if err != nil {
			code, body = http.StatusInternalServerError, []byte(`{"status":"error","errorType":"internal","error":"the answer cannot be written"}`)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		w.Write(body) // who asked may have gone
	})
}

func (p *Prometheus) answer(r *http.Request, ask func(context.Context, string, *http.Request) (any, []string, error), to *promAnswer) (err error) {
	if p.Engine == nil {
		return &promError{http.StatusNotFound, "not_found", "there is nothing to query here"}
	}
	who, err := caller(r.Context())
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return badData("the parameters cannot be read")
	}
	ctx := r.Context()
	if limit := r.Form.Get("timeout"); limit != "" {
		d, err := promDuration("timeout", limit)
		if err != nil {
			return err
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	to.Data, to.Warnings, err = ask(ctx, who.Tenant, r)
	return err
}

// promFailed gives an error its place among those of Prometheus.
func promFailed(err error) *promError {
	var own *promError
	var storage prom.ErrStorage
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, promql.ErrExpression):
		return &promError{http.StatusBadRequest, "bad_data", err.Error()}
	case errors.Is(err, promql.ErrMemory):
		return &promError{http.StatusUnprocessableEntity, "execution", promql.ErrMemory.Error()}
	case errors.As(err, new(prom.ErrTooManySamples)):
		return &promError{http.StatusUnprocessableEntity, "execution", "the expression needs more samples in memory than the limit: ask for less time, a larger step, or fewer series"}
	case errors.As(err, new(prom.ErrQueryTimeout)), errors.Is(err, context.DeadlineExceeded):
		return &promError{http.StatusServiceUnavailable, "timeout", "the expression passes its limit of time: ask for less time, or name a host or token"}
	case errors.As(err, new(prom.ErrQueryCanceled)), errors.Is(err, context.Canceled):
		return &promError{499, "canceled", "whoever asked has gone"}
	case errors.As(err, &storage):
		return &promError{http.StatusInternalServerError, "internal", "the store could not be read; the server's log says why"}
	}
	return &promError{http.StatusUnprocessableEntity, "execution", "the expression cannot be evaluated on these series: labels match more than once, or values do not fit"}
}

// promData is the value of an expression.
type promData struct {
	Type   parser.ValueType `json:"resultType"`
	Result json.RawMessage  `json:"result"`
}

// value encodes a result before it is closed.
func value(r *prom.Result, closed func(), err error) (any, []string, error) {
	if err != nil {
		return nil, nil, err
	}
	defer closed()
	b, err := json.Marshal(r.Value)
	if err != nil {
		return nil, nil, err
	}
	if string(b) == "null" { // no series
		b = []byte("[]")
	}
	var notes []string
	if len(r.Warnings) > 0 {
		notes = []string{"the engine warns of this expression; see the documentation of PromQL on its functions and types"}
	}
	return promData{r.Value.Type(), b}, notes, nil
}

// Query is GET and POST /api/v1/query.
func (p *Prometheus) Query() http.Handler {
	return p.handler(func(ctx context.Context, tenant string, r *http.Request) (any, []string, error) {
		at, err := promTime("time", r.Form.Get("time"), p.Now())
		if err != nil {
			return nil, nil, err
		}
		return value(p.Engine.Instant(ctx, tenant, r.Form.Get("query"), at))
	})
}

// maxPoints is the most that a range query may ask for of each series, as
// Prometheus has it.
const maxPoints = 11_000

// QueryRange is GET and POST /api/v1/query_range.
func (p *Prometheus) QueryRange() http.Handler {
	return p.handler(func(ctx context.Context, tenant string, r *http.Request) (any, []string, error) {
		start, err := promTime("start", r.Form.Get("start"), time.Time{})
		if err != nil {
			return nil, nil, err
		}
		end, err := promTime("end", r.Form.Get("end"), time.Time{})
		if err != nil {
			return nil, nil, err
		}
		step, err := promDuration("step", r.Form.Get("step"))
		switch {
		case err != nil:
			return nil, nil, err
		case start.IsZero() || end.IsZero():
			return nil, nil, badData("start and end must be given")
		case end.Before(start):
			return nil, nil, badData("end must not be before start")
		case step < time.Millisecond:
			return nil, nil, badData("step must be at least a millisecond")
		case end.Sub(start)/step > maxPoints:
			return nil, nil, badData("the range has more than 11,000 steps: ask with a larger step")
		}
		return value(p.Engine.Range(ctx, tenant, r.Form.Get("query"), start, end, step))
	})
}

// within reads the selectors and times of a question for labels, by default the
// last day, and goes through the series.
func (p *Prometheus) within(ctx context.Context, tenant string, r *http.Request, f func(labels.Labels)) error {
	end, err := promTime("end", r.Form.Get("end"), p.Now())
	if err != nil {
		return err
	}
	start, err := promTime("start", r.Form.Get("start"), end.Add(-24*time.Hour))
	if err != nil {
		return err
	}
	selectors, err := p.Engine.Selectors(r.Form["match[]"])
	if err != nil {
		return err
	}
	return p.Engine.Series(ctx, tenant, selectors, start, end, f)
}

// Series is GET and POST /api/v1/series.
func (p *Prometheus) Series() http.Handler {
	return p.handler(func(ctx context.Context, tenant string, r *http.Request) (any, []string, error) {
		if len(r.Form["match[]"]) == 0 {
			return nil, nil, badData("match[] must be given")
		}
		seen, out := make(map[string]bool), []labels.Labels{}
		err := p.within(ctx, tenant, r, func(l labels.Labels) {
			if key := string(l.Bytes(nil)); !seen[key] {
				seen[key] = true
				out = append(out, l)
			}
		})
		slices.SortFunc(out, labels.Compare)
		return p.limited(r, len(out), func(n int) any { return out[:n] }, err)
	})
}

// limited cuts a list at the parameter limit.
func (p *Prometheus) limited(r *http.Request, n int, list func(n int) any, err error) (any, []string, error) {
	if err != nil {
		return nil, nil, err
	}
	if text := r.Form.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 0 {
			return nil, nil, badData("limit must be a number of 0 or more")
		}
		if limit > 0 && limit < n {
			return list(limit), []string{"results truncated due to limit"}, nil
		}
	}
	return list(n), nil, nil
}

// names answers with a sorted list of texts.
func (p *Prometheus) names(ctx context.Context, tenant string, r *http.Request, f func(l labels.Labels, add func(string))) (any, []string, error) {
	seen, out := make(map[string]bool), []string{}
	err := p.within(ctx, tenant, r, func(l labels.Labels) {
		f(l, func(s string) {
			if s != "" && !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		})
	})
	slices.Sort(out)
	return p.limited(r, len(out), func(n int) any { return out[:n] }, err)
}

// Labels is GET and POST /api/v1/labels.
func (p *Prometheus) Labels() http.Handler {
	return p.handler(func(ctx context.Context, tenant string, r *http.Request) (any, []string, error) {
		return p.names(ctx, tenant, r, func(l labels.Labels, add func(string)) {
			l.Range(func(one labels.Label) { add(one.Name) })
		})
	})
}

// LabelValues is GET /api/v1/label/{name}/values.
func (p *Prometheus) LabelValues() http.Handler {
	return p.handler(func(ctx context.Context, tenant string, r *http.Request) (any, []string, error) {
		name := r.PathValue("name")
		return p.names(ctx, tenant, r, func(l labels.Labels, add func(string)) { add(l.Get(name)) })
	})
}

// Metadata is GET /api/v1/metadata.
func (p *Prometheus) Metadata() http.Handler {
	type metadata struct {
		Type string `json:"type"`
		Help string `json:"help"`
		Unit string `json:"unit"`
	}
	return p.handler(func(_ context.Context, _ string, r *http.Request) (any, []string, error) {
		out := make(map[string][]metadata)
		for _, m := range promql.Metrics {
			if only := r.Form.Get("metric"); only == "" || only == m.Name {
				out[m.Name] = []metadata{{m.Type, m.Help, ""}}
			}
		}
		return out, nil, nil
	})
}

// BuildInfo is GET /api/v1/status/buildinfo, which Grafana asks before it asks
// anything else.
func (p *Prometheus) BuildInfo() http.Handler {
	return p.handler(func(context.Context, string, *http.Request) (any, []string, error) {
		return map[string]string{"version": p.Version, "revision": p.Commit}, nil, nil
	})
}

// promTime reads a time as Prometheus does: seconds since 1970, or RFC 3339.
func promTime(name, text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(seconds) < 9e9 {
		whole, part := math.Modf(seconds)
		return time.Unix(int64(whole), int64(math.Round(part*1000)*1e6)).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	return time.Time{}, badData(name + " is no time: give seconds since 1970 or RFC 3339")
}

// promDuration reads a duration as Prometheus does: seconds, or 5m, 1h30m …
func promDuration(name, text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(seconds) < 9e9 {
		return time.Duration(seconds * float64(time.Second)), nil
	}
	if d, err := model.ParseDuration(text); err == nil {
		return time.Duration(d), nil
	}
	return 0, badData(name + " is no duration: give seconds, or one like 5m")
}
