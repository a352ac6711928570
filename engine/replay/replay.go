// Package replay has an engine read a stored log anew, from its beginning, and
// compares what it finds with what was found. In come a log and how to judge it,
// out come the findings an engine would have now; the store is only read.
package replay

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"math"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Log is a stored log that is read once, in the order of its offsets. What
// retention has dropped is passed over, so its entries are numbered anew.
type Log interface {
	storage.Events
	storage.Rows
}

// Options say what is replayed, and how.
type Options struct {
	Engine engine.Config
	// Last is the last entry that is read: a cursor, to compare with what was found
	// up to there. 0 is all.
	Last tokenwatch.Offset
	// Policies, if given, are in use from the first entry on, in place of all that
	// the log has.
	Policies *tokenwatch.PolicyPacks
	// Reorder has events come by their own time instead of in the order of the
	// log: after older logs were loaded behind newer ones. None is late then.
	Reorder bool
	// Progress is called now and then with how far it is. May be nil.
	Progress func(p Progress)
}

// Progress is how far a replay is.
type Progress struct {
	At   tokenwatch.Offset // last entry read
	Rows uint64            // events judged
}

// Result is what a replay came to.
type Result struct {
	Findings []tokenwatch.Finding // the last revision of each, by tenant and id
	Tenants  []string             // who has entries, in order
	Entries  uint64
	Rows     uint64
	Dropped  uint64 // entries that retention has dropped before or between
	Packs    int    // different sets of policies that the log has put in use
	Left     uint64 // events without a time, which Reorder leaves out
}

// Run replays a log.
func Run(ctx context.Context, log Log, o Options) (*Result, error) {
	if o.Last == 0 {
		o.Last = log.Last()
	}
	r := &reader{log: log, o: o, tenants: map[string]bool{}, packs: map[string]bool{}}
	var events storage.Events = r
	if o.Reorder {
		sorted, err := newSorted(ctx, r)
		if err != nil {
			return nil, err
		}
		events = sorted
	}
	s := &state{findings: map[string]tokenwatch.Finding{}}
	cfg := o.Engine
	cfg.StepEntries, cfg.SnapshotRows = math.MaxInt, math.MaxInt // nothing is kept
	cfg.Committed = nil
	cfg.Read = func(tokenwatch.Offset) {
		if o.Progress != nil {
			o.Progress(Progress{r.last, r.rows})
		}
	}
	if err := engine.New(cfg, events, s).RunTo(ctx, math.MaxInt64); err != nil {
		return nil, err
	}
	out := &Result{Entries: uint64(r.entries), Rows: r.rows, Packs: len(r.packs), Left: r.left}
	out.Dropped = uint64(o.Last) - uint64(r.entries)
	for tenant := range r.tenants {
		out.Tenants = append(out.Tenants, tenant)
	}
	slices.Sort(out.Tenants)
	for _, f := range s.findings {
		out.Findings = append(out.Findings, f)
	}
	slices.SortFunc(out.Findings, func(a, b tokenwatch.Finding) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// reader is the log as an engine reads it: entries numbered without gaps, with
// other policies if these are wanted.
type reader struct {
	log     Log
	o       Options
	at      []tokenwatch.Offset // of the entries read, by their number from 1 on
	last    tokenwatch.Offset
	entries int // of the log that were read
	rows    uint64
	left    uint64
	used    bool // the policies are in the log
	tenants map[string]bool
	packs   map[string]bool
}

// Last is beyond all: the engine is always behind.
func (r *reader) Last() tokenwatch.Offset { return math.MaxInt64 }

func (r *reader) Append(context.Context, ...tokenwatch.Entry) ([]tokenwatch.Receipt, error) {
	return nil, storage.ErrReadOnly
}

// Follow is Scan: nothing is waited for.
func (r *reader) Follow(ctx context.Context, from tokenwatch.Offset) iter.Seq2[tokenwatch.Entry, error] {
	return r.Scan(ctx, storage.Range{First: from})
}

// Scan yields the whole log; it is called once.
func (r *reader) Scan(ctx context.Context, _ storage.Range) iter.Seq2[tokenwatch.Entry, error] {
	return func(yield func(tokenwatch.Entry, error) bool) {
		send := func(e tokenwatch.Entry) bool {
			r.at = append(r.at, e.Offset)
			e.Offset = tokenwatch.Offset(len(r.at))
			return yield(e, nil)
		}
		for e, err := range r.stored(ctx) {
			if err != nil {
				yield(e, err)
				return
			}
			if p := r.replaced(&e); p != nil && !send(*p) || !send(e) {
				return
			}
		}
	}
}

// stored yields the entries as they are, and counts them.
func (r *reader) stored(ctx context.Context) iter.Seq2[tokenwatch.Entry, error] {
	return func(yield func(tokenwatch.Entry, error) bool) {
		if r.o.Last == 0 {
			return
		}
		for e, err := range r.log.Scan(ctx, storage.Range{Last: r.o.Last}) {
			if err == nil {
				r.last = e.Offset
				r.entries++
				if e.Tenant != "" {
					r.tenants[e.Tenant] = true
				}
				if e.Batch != nil {
					r.rows += uint64(e.Batch.Rows())
				} else if e.Control.Kind == tokenwatch.ControlPolicy {
					r.packs[string(e.Control.Body)] = true
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// replaced puts the wanted policies in place of those of a record of policies,
// and returns a record that must come before the entry, if it is the first and no
// such record.
func (r *reader) replaced(e *tokenwatch.Entry) (before *tokenwatch.Entry) {
	if r.o.Policies == nil {
		return nil
	}
	first := !r.used
	r.used = true
	if e.Control != nil && e.Control.Kind == tokenwatch.ControlPolicy {
		e.Control = r.o.Policies.Control()
		return nil
	}
	if !first {
		return nil
	}
	return &tokenwatch.Entry{Time: e.Time, Offset: e.Offset, Control: r.o.Policies.Control()}
}

// Row reads a row that evidence points at; see storage.Rows.
func (r *reader) Row(ctx context.Context, ref tokenwatch.EventRef) (*tokenwatch.Batch, int, error) {
	if ref.Offset < 1 || int(ref.Offset) > len(r.at) {
		return nil, 0, storage.ErrNotFound
	}
	ref.Offset = r.at[ref.Offset-1]
	return r.log.Row(ctx, ref)
}

// state is an engine's state that keeps findings only.
type state struct {
	cursor   tokenwatch.Offset
	findings map[string]tokenwatch.Finding // last revisions, by tenant and id
}

func (s *state) Cursor(context.Context) (tokenwatch.Offset, error) { return s.cursor, nil }

func (s *state) Records(context.Context, []byte) iter.Seq2[storage.Record, error] {
	return func(func(storage.Record, error) bool) {}
}

func (s *state) Commit(_ context.Context, step storage.Step) ([]tokenwatch.Finding, error) {
	s.cursor = step.Cursor
	for i := range step.Findings {
		f := &step.Findings[i]
		key := f.Tenant + "\x00" + f.ID
		f.Revision = s.findings[key].Revision + 1
		s.findings[key] = *f
	}
	return step.Findings, nil
}

// Difference is a finding that two lists do not have alike.
type Difference struct {
	Before, After *tokenwatch.Finding // nil: it is not there
}

// Compare compares two lists of findings by tenant and id, each in its last
// revision, byte by byte; those for which keep is false are not there. It also
// counts those that are alike.
func Compare(before, after []tokenwatch.Finding, keep func(*tokenwatch.Finding) bool) (list []Difference, alike int) {
	type pair = [2]*tokenwatch.Finding
	byKey := map[string]pair{}
	for side, findings := range [][]tokenwatch.Finding{before, after} {
		for i := range findings {
			if f := &findings[i]; keep(f) {
				p := byKey[f.Tenant+"\x00"+f.ID]
				p[side] = f
				byKey[f.Tenant+"\x00"+f.ID] = p
			}
		}
	}
	for _, p := range byKey {
		if p[0] != nil && p[1] != nil && bytes.Equal(p[0].Canonical(), p[1].Canonical()) {
			alike++
			continue
		}
		list = append(list, Difference{p[0], p[1]})
	}
	slices.SortFunc(list, func(a, b Difference) int {
		x, y := a.any(), b.any()
		return cmp.Or(cmp.Compare(x.Tenant, y.Tenant), x.Time.Compare(y.Time), cmp.Compare(x.ID, y.ID))
	})
	return list, alike
}

func (d *Difference) any() *tokenwatch.Finding { return cmp.Or(d.After, d.Before) }

// Settled tells whether a finding is final: settled, and not withdrawn.
func Settled(f *tokenwatch.Finding) bool { return f.Settled && !f.Withdrawn }

// Held tells whether a finding holds, final or not.
func Held(f *tokenwatch.Finding) bool { return !f.Withdrawn }
