package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/storage"
)

// works is what goes on around an open store, without a network: requests
// become entries, time passes, the engine follows, the history is signed.
type works struct {
	intake
	site     *site
	cfg      config
	log      *slog.Logger
	engine   *engine.Engine
	progress *progress
	noted    map[string][32]byte // of control records that are in the log
}

// intake takes requests to the log.
type intake struct {
	pipeline *ingest.Pipeline
	batcher  *ingest.Batcher
	tables   *tables
}

// options are what commands want of their works besides the configuration.
type options struct {
	mask        mask // columns taken away before anything is stored
	mapping     *format.Mapping
	metrics     ingest.Metrics                                // may be nil
	stepEntries int                                           // of the engine; 0 is its default
	read        func(tokenwatch.Offset)                       // see engine.Config; may be nil
	committed   func(tokenwatch.Offset, []tokenwatch.Finding) // may be nil
	engineTook  func(time.Duration)                           // for one entry; may be nil
}

func newIntake(s *site, sink ingest.Sink, cfg config, log *slog.Logger, o options) (intake, error) {
	tables, err := openTables(cfg.Tables)
	if err != nil {
		return intake{}, err
	}
	batcher := ingest.NewBatcher(o.mask.over(sink), ingest.BatcherConfig{
		QueueBytes: int64(cfg.Ingest.Queue), Metrics: o.metrics,
	})
	conf := cfg.ingest()
	conf.Keys, conf.Metrics, conf.Logger = s.secrets.seal, o.metrics, log
	conf.Format.Mapping = o.mapping
	conf.Enrich = &tables.live
	return intake{ingest.New(batcher, conf), batcher, tables}, nil
}

func newWorks(ctx context.Context, s *site, cfg config, log *slog.Logger, o options) (*works, error) {
	cursor, err := s.store.Cursor(ctx)
	if err != nil {
		return nil, err
	}
	heard := newProgress(cursor)
	conf := cfg.engine()
	conf.Read = o.read
	conf.Key, conf.StepEntries = s.secrets.engine, o.stepEntries
	conf.Committed = func(cursor tokenwatch.Offset, findings []tokenwatch.Finding) {
		if o.committed != nil {
			o.committed(cursor, findings)
		}
		heard.reached(cursor)
	}
	pace := newPace(s.store, o.engineTook)
	in, err := newIntake(s, pace.over(s.store), cfg, log, o)
	if err != nil {
		return nil, err
	}
	w := &works{
		intake: in,
		site:   s, cfg: cfg, log: log,
		engine: engine.New(conf, pace, s.store), progress: heard,
	}
	if w.noted, err = engine.Noted(ctx, s.store); err != nil {
		return nil, err
	}
	if err := w.logPolicies(ctx); err != nil {
		return nil, err
	}
	return w, w.logTables(ctx, w.tables.files) // before any event
}

// stages are the works in the order of the data, behind the sources. Ticks go on
// until the engine has ended: the history has no hole while there is work.
func (w *works) stages() []stage {
	return []stage{
		{"batcher", w.batcher.Run},
		{"tables", w.watchTables},
		{"engine", w.follow},
		{"ticks", w.ticks},
		{"checkpoints", w.checkpoints},
		{"store", w.watch},
	}
}

// untilRead are the stages of a command whose input ends: unless ctx has ended,
// the engine reads the log to its end before it stops.
func (w *works) untilRead(ctx context.Context) []stage {
	stages := w.stages()
	for i := range stages {
		if stages[i].name != "engine" {
			continue
		}
		stages[i].run = func(own context.Context) error {
			// Its state is loaded before anything can end it.
			if err := w.engine.RunTo(ctx, 0); err != nil {
				return quiet(ctx, err)
			}
			if err := w.follow(own); err != nil {
				return err
			}
			return quiet(ctx, w.engine.RunTo(ctx, w.site.store.Last()))
		}
	}
	return stages
}

// follow has the engine follow the log.
func (w *works) follow(ctx context.Context) error { return quiet(ctx, w.engine.Run(ctx)) }

// quiet is err, but not that the end of ctx cut something short.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// ticks lets time pass in the log.
func (w *works) ticks(ctx context.Context) error { return every(ctx, w.cfg.Tick, w.tick) }

// tick puts a tick into the log, for all tenants: what a quiet store settles by,
// and what shows that the history has no hole.
func (w *works) tick(ctx context.Context) error {
	_, err := w.site.store.Append(ctx, tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}})
	if errors.Is(err, storage.ErrReadOnly) {
		w.log.Warn("no tick: the store takes no entries", "error", err)
		return nil
	}
	return quiet(ctx, err)
}

// checkpoints signs the history now and then, and at the end.
func (w *works) checkpoints(ctx context.Context) error {
	return errors.Join(every(ctx, w.cfg.Checkpoint, w.sign), w.sign(context.WithoutCancel(ctx)))
}

// sign signs the history. One that does not continue what was signed before is
// not signed, and logged each time: the server goes on, and an auditor will see.
func (w *works) sign(ctx context.Context) error {
	if w.site.store.Err() != nil {
		return nil // the watch tells of it
	}
	if _, err := w.site.store.Checkpoint(ctx); err != nil && ctx.Err() == nil {
		w.log.Error("history not signed", "error", err)
	}
	return nil
}

// every calls f each time d has passed, until ctx ends or f fails.
func every(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := f(ctx); err != nil {
				return err
			}
		}
	}
}

// watch ends everything when the store has failed for good: its error says with
// which exit code.
func (w *works) watch(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-w.site.store.Failed():
		return w.site.store.Err()
	}
}
