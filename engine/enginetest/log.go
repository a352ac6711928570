// Package enginetest holds what tests of the engine need: a log in memory, and
// the scenario language of the golden cases.
package enginetest

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Log is a log and the engine's state in memory. It is used by one goroutine,
// and its Follow ends where the log does.
type Log struct {
	Lateness time.Duration
	Clock    time.Time // of the next append

	entries  []tokenwatch.Entry
	stampers map[string]*storage.Stamper
	cursor   tokenwatch.Offset
	records  map[string][]byte
	findings []tokenwatch.Finding // all revisions, in order
	commits  int

	Paged atomic.Int64 // records that were asked for by key
}

// FailAfter lets Commit fail after n commits with err; for crash tests.
type FailAfter struct {
	*Log
	N   int
	Err error
}

// Commit commits, or fails when the time has come.
func (f *FailAfter) Commit(ctx context.Context, step storage.Step) ([]tokenwatch.Finding, error) {
	if f.commits >= f.N {
		return nil, f.Err
	}
	return f.Log.Commit(ctx, step)
}

// Append stamps and keeps entries.
func (l *Log) Append(_ context.Context, entries ...tokenwatch.Entry) ([]tokenwatch.Receipt, error) {
	for _, e := range entries {
		e.Offset = tokenwatch.Offset(len(l.entries) + 1)
		if e.Time.IsZero() {
			e.Time = l.Clock
		}
		if e.Batch != nil {
			e.Batch = l.stamper(e.Tenant).Stamp(e.Batch, e.Time)
		} else if e.Control.Kind == tokenwatch.ControlTick {
			for _, s := range l.stampers {
				s.Tick(e.Time)
			}
		}
		l.entries = append(l.entries, e)
	}
	return nil, nil
}

func (l *Log) stamper(tenant string) *storage.Stamper {
	if l.stampers == nil {
		l.stampers = map[string]*storage.Stamper{}
	}
	if l.stampers[tenant] == nil {
		l.stampers[tenant] = storage.NewStamper(storage.NewWatermark(l.Lateness), 0)
	}
	return l.stampers[tenant]
}

// Follow yields the log from an offset on, and ends.
func (l *Log) Follow(ctx context.Context, from tokenwatch.Offset) iter.Seq2[tokenwatch.Entry, error] {
	return func(yield func(tokenwatch.Entry, error) bool) {
		for e, err := range l.Scan(ctx, storage.Range{First: from}) {
			if ctx.Err() != nil || !yield(e, err) {
				return
			}
		}
	}
}

// Scan yields a part of the log; of the range only offsets count.
func (l *Log) Scan(_ context.Context, r storage.Range) iter.Seq2[tokenwatch.Entry, error] {
	return func(yield func(tokenwatch.Entry, error) bool) {
		for _, e := range l.entries {
			if e.Offset >= r.First && (r.Last == 0 || e.Offset <= r.Last) && !yield(e, nil) {
				return
			}
		}
	}
}

// Last is the offset of the newest entry.
func (l *Log) Last() tokenwatch.Offset { return tokenwatch.Offset(len(l.entries)) }

// Cursor is that of the last Step.
func (l *Log) Cursor(context.Context) (tokenwatch.Offset, error) { return l.cursor, nil }

// Records yields the engine's records in order of key.
func (l *Log) Records(_ context.Context, prefix []byte) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(l.records)) {
			if bytes.HasPrefix([]byte(key), prefix) && !yield(storage.Record{Key: []byte(key), Value: l.records[key]}, nil) {
				return
			}
		}
	}
}

// Values returns the values of the engine's records by key.
func (l *Log) Values(_ context.Context, keys [][]byte) ([][]byte, error) {
	out := make([][]byte, len(keys))
	for i, k := range keys {
		out[i] = l.records[string(k)]
	}
	l.Paged.Add(int64(len(keys)))
	return out, nil
}

// Commit keeps a Step.
func (l *Log) Commit(_ context.Context, step storage.Step) ([]tokenwatch.Finding, error) {
	l.commits++
	l.cursor = step.Cursor
	if l.records == nil {
		l.records = map[string][]byte{}
	}
	for _, r := range step.Records {
		if r.Value == nil {
			delete(l.records, string(r.Key))
		} else {
			l.records[string(r.Key)] = bytes.Clone(r.Value)
		}
	}
	l.findings = append(l.findings, step.Findings...)
	return step.Findings, nil
}

// Findings returns every revision of every finding, in the order of their Steps.
func (l *Log) Findings() []tokenwatch.Finding { return l.findings }

// Commits is how many Steps there were.
func (l *Log) Commits() int { return l.commits }

// Forget drops what the log kept of an engine's work, so that
// the log can be read anew.
func (l *Log) Forget() {
	l.cursor, l.records, l.findings, l.commits = 0, nil, nil, 0
}

// Settled returns the last revision of every finding that settled and was not
// withdrawn, as its canonical bytes, in order of id.
func Settled(findings []tokenwatch.Finding) []string {
	last := map[string]tokenwatch.Finding{}
	for _, f := range findings {
		last[f.ID] = f
	}
	var out []string
	for _, id := range slices.Sorted(maps.Keys(last)) {
		if f := last[id]; f.Settled && !f.Withdrawn {
			out = append(out, string(f.Canonical()))
		}
	}
	return out
}
