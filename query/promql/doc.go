// Package promql answers PromQL over the time series, with the engine of
// Prometheus. In come expressions, out go its values; it reads segments and
// changes nothing.
//
// Each series of package series is shown as metrics (Metrics lists them, METRICS.md
// says what they mean). Cells become samples: a counter has a sample each minute,
// and moves at the end of a minute, hour or day by what its cell counts, or now, if
// that is not over yet. Counters of minutes begin anew at midnight, UTC, those of
// hours and days with the month: so nothing older has to be read, and rate and
// increase are exact, since a sample of zero follows at once.
package promql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	promstorage "github.com/prometheus/prometheus/storage"

	"github.com/tokenwatch/tokenwatch/storage"
)

// Config is what an engine asks, and its limits. Zero fields take their defaults.
type Config struct {
	Events  storage.Segments
	Time    time.Duration    // to run; default 60 s
	Samples int              // in memory at a time; default 10 M
	Memory  int64            // bytes of cells of one selector; default 512 MiB
	Running int              // expressions at a time; others wait; default 4
	Now     func() time.Time // default time.Now
}

// Engine answers expressions. It starts nothing, and is safe for many goroutines.
type Engine struct {
	config  Config
	engine  *promql.Engine
	parser  parser.Parser
	running chan struct{}
}

// New returns an engine.
func New(c Config) *Engine {
	if c.Time <= 0 {
		c.Time = time.Minute
	}
	if c.Samples <= 0 {
		c.Samples = 10e6
	}
	if c.Memory <= 0 {
		c.Memory = 512 << 20
	}
	if c.Running <= 0 {
		c.Running = 4
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	p := parser.NewParser(parser.Options{})
	return &Engine{
		config: c, parser: p, running: make(chan struct{}, c.Running),
		engine: promql.NewEngine(promql.EngineOpts{
			MaxSamples: c.Samples, Timeout: c.Time, EnableAtModifier: true, EnableNegativeOffset: true, Parser: p,
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		}),
	}
}

// Errors of questions that cannot be answered as they are.
var (
	// ErrExpression: it is no PromQL. The text has the place, and nothing of the
	// expression.
	ErrExpression = errors.New("the expression cannot be read")
	// ErrMemory: there are more cells than the budget allows.
	ErrMemory = errors.New("the selector passes the limit of memory: name a host, method, status, token, actor or address, or ask for less time")
)

// Instant evaluates an expression at one time. close is called once the result
// has been used.
func (e *Engine) Instant(ctx context.Context, tenant, expression string, at time.Time) (r *promql.Result, close func(), err error) {
	q, err := e.engine.NewInstantQuery(ctx, e.queryable(tenant), nil, expression, at)
	return e.run(ctx, q, err)
}

// Range evaluates an expression each step from start to end. close is called once
// the result has been used.
func (e *Engine) Range(ctx context.Context, tenant, expression string, start, end time.Time, step time.Duration) (r *promql.Result, close func(), err error) {
	q, err := e.engine.NewRangeQuery(ctx, e.queryable(tenant), nil, expression, start, end, step)
	return e.run(ctx, q, err)
}

func (e *Engine) run(ctx context.Context, q promql.Query, err error) (*promql.Result, func(), error) {
	if err != nil {
		return nil, nil, unreadable(err)
	}
	select {
	case e.running <- struct{}{}:
		defer func() { <-e.running }()
	case <-ctx.Done():
		q.Close()
		return nil, nil, ctx.Err()
	}
	r := q.Exec(ctx)
	if r.Err != nil {
		q.Close()
		return nil, nil, r.Err
	}
	return r, q.Close, nil
}

// Selectors reads series selectors.
func (e *Engine) Selectors(texts []string) (out [][]*labels.Matcher, err error) {
	for _, t := range texts {
		ms, err := e.parser.ParseMetricSelector(t)
		if err != nil {
			return nil, unreadable(err)
		}
		if !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches("") }) {
			return nil, fmt.Errorf("%w: a selector must name something that is not empty", ErrExpression)
		}
		out = append(out, ms)
	}
	return out, nil
}

// unreadable says where an expression goes wrong without repeating it.
func unreadable(err error) error {
	var list parser.ParseErrors
	var one *parser.ParseErr
	switch {
	case errors.As(err, &list) && len(list) > 0:
		return fmt.Errorf("%w: at character %d", ErrExpression, list[0].PositionRange.Start+1)
	case errors.As(err, &one):
		return fmt.Errorf("%w: at character %d", ErrExpression, one.PositionRange.Start+1)
	}
	return ErrExpression
}

// Series calls f with the labels of all series that match one of the selectors
// and have a sample between start and end; none matches all.
func (e *Engine) Series(ctx context.Context, tenant string, selectors [][]*labels.Matcher, start, end time.Time, f func(labels.Labels)) error {
	ctx, cancel := context.WithTimeout(ctx, e.config.Time)
	defer cancel()
	select {
	case e.running <- struct{}{}:
		defer func() { <-e.running }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if len(selectors) == 0 {
		selectors = [][]*labels.Matcher{nil}
	}
	q, err := e.queryable(tenant).Querier(millis(start), millis(end))
	if err != nil {
		return err
	}
	defer q.Close()
	for _, ms := range selectors {
		set := q.Select(ctx, false, &promstorage.SelectHints{Start: millis(start), End: millis(end), Func: "series"}, ms...)
		for set.Next() {
			f(set.At().Labels())
		}
		if err := set.Err(); err != nil {
			return err
		}
	}
	return nil
}

// millis is a time in milliseconds, within what nanoseconds can hold.
func millis(t time.Time) int64 {
	const most = 9e12
	return min(max(t.UnixMilli(), -most), most)
}
