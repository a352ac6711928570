package query

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query/sql"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Config is what an engine asks. Events must be given; of the others, tables
// that have nothing behind them do not exist.
type Config struct {
	Events   storage.Segments
	Tokens   storage.Tokens
	Findings storage.Findings
	History  storage.History

	// Names turns what somebody calls a token, a secret too, into what the
	// inventory may call it. nil: nothing is turned.
	Names func(tenant, name string) []string

	Limits  Limits
	Cache   int64            // bytes of decoded columns kept in memory; default 256 MiB, negative: none
	Workers int              // goroutines of one statement; default one a core
	Running int              // statements at a time; others wait; default 4
	Now     func() time.Time // default time.Now
}

// Engine answers statements. It starts nothing, and is safe for many goroutines.
type Engine struct {
	config  Config
	cache   *columnCache
	running chan struct{}
}

// New returns an engine.
func New(c Config) *Engine {
	c.Limits = c.Limits.withDefaults()
	if c.Cache == 0 {
		c.Cache = 256 << 20
	}
	if c.Workers <= 0 {
		c.Workers = defaultWorkers()
	}
	if c.Running <= 0 {
		c.Running = 4
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Engine{config: c, cache: newColumnCache(max(c.Cache, 0)), running: make(chan struct{}, c.Running)}
}

// ErrForbidden is the error of a table that the asker may not read.
var ErrForbidden = errors.New("the table is not open to this role")

// errTime ends what has run too long.
var errTime = errors.New("out of time")

// Request is one question.
type Request struct {
	Tenant  string
	SQL     string
	Auditor bool // may read the table history
}

// Output takes an answer. Its methods are called by one goroutine at a time;
// vectors are the engine's again when a call returns.
type Output interface {
	// Begin is called once, before the first rows; not if the statement fails
	// before there are any.
	Begin(columns []Column) error
	// Rows takes rows sel of the columns; nil is all n.
	Rows(cols []expr.Vec, sel []int32, n int) error
}

// Run answers a request. The statistics are those of what was done, after an
// error, too.
func (e *Engine) Run(ctx context.Context, r Request, out Output) (Statistics, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, e.config.Limits.Time, errTime)
	defer cancel()
	x := &execution{
		ctx: ctx, engine: e, tenant: r.Tenant, auditor: r.Auditor, now: e.config.Now().UnixNano(),
		limits: e.config.Limits, workers: e.config.Workers,
	}
	var rows int64
	err := e.run(x, r.SQL, out, &rows)
	s := Statistics{
		Segments: len(x.segments), Pruned: int(x.pruned.Load()), ByCounts: int(x.byCounts.Load()), BySeries: int(x.bySeries.Load()), RowsTotal: x.total,
		RowsRead: x.read.Load(), BytesRead: x.bytesRead.Load(), Decoded: x.decoded.Load(), Rows: rows,
		Memory: x.peak.Load(), Elapsed: time.Since(start),
	}
	if err != nil && errors.Is(context.Cause(ctx), errTime) && (errors.Is(err, errTime) || errors.Is(err, context.DeadlineExceeded)) {
		err = &LimitError{"time", fmt.Sprintf("%v of time", e.config.Limits.Time), "ask for less time, or name a token"}
	}
	return s, err
}

func (e *Engine) run(x *execution, text string, out Output, rows *int64) error {
	st, err := sql.Parse(text)
	if err != nil {
		return err
	}
	select {
	case e.running <- struct{}{}:
		defer func() { <-e.running }()
	case <-x.ctx.Done():
		return context.Cause(x.ctx)
	}
	p, err := x.plan(st.Query, nil)
	if err != nil {
		return err
	}
	if st.Explain {
		return x.explain(p, st.Analyze, out, rows)
	}
	begun := false
	var bytes int64
	err = p.run(x, serial(func(_ int, c *chunk) error {
		n := c.rows()
		*rows += int64(n)
		for i := range c.Cols {
			bytes += int64(c.Cols[i].Width()) * int64(n)
		}
		switch {
		case *rows > x.limits.Rows:
			return &LimitError{"rows", fmt.Sprintf("%d rows answered", x.limits.Rows), "set a LIMIT, or aggregate"}
		case bytes > x.limits.Bytes:
			return &LimitError{"bytes", fmt.Sprintf("%d MiB answered", x.limits.Bytes>>20), "set a LIMIT, or select fewer columns"}
		}
		if !begun {
			begun = true
			if err := out.Begin(p.columns); err != nil {
				return err
			}
		}
		return out.Rows(c.Cols, c.sel, c.N)
	}))
	if err == nil && !begun {
		err = out.Begin(p.columns)
	}
	return err
}
