package local

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"github.com/tokenwatch/tokenwatch/storage/storagetest"
)

var (
	long = flag.Bool("crash.long", false, "try more crashes, faults and flips")
	seed = flag.Uint64("crash.seed", 1, "seed of random crashes and flips")
)

var begin = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// steady is the configuration of a store that does the same every time.
func steady(fs vfs.FS, clock func() time.Time) Config {
	return Config{
		Dir: "store", FS: fs, Clock: clock, Rand: rand.NewChaCha8([32]byte{}),
		KeepTenant:   map[string]Keep{"b": {Bytes: 4 << 10}},
		MemTableSize: 64 << 10, CacheSize: 1 << 20, Ballast: -1, IDMemory: 200,
		limits: mergeLimits{
			rows: 400, wait: 4, fan: 2, least: 40, parts: 30, ranges: 12, span: 24 * time.Hour, small: 4 << 10,
		},
	}
}

// workload is a fixed list of writes to a store; each is one call.
type workload struct {
	mu       sync.Mutex // of now, while a store opens in a hook on Pebble's goroutines
	now      time.Time
	steps    []func(*Store) error
	controls []int // the steps that append a control record, again each time
}

func (w *workload) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// do makes write i.
func (w *workload) do(s *Store, i int) error {
	now := begin.Add(time.Duration(i) * 10 * time.Second)
	if i >= len(w.steps)/2 {
		now = now.Add(48 * time.Hour) // so that what came in before may be dropped
	}
	w.mu.Lock()
	w.now = now
	w.mu.Unlock()
	return w.steps[i](s)
}

// newWorkload has n rounds of appends, a repeat, a conflict, Steps with
// findings, actions, keys and ticks, and flushes and compacts on the way.
func newWorkload(n int) *workload {
	w := &workload{now: begin}
	ctx := context.Background()
	add := func(f func(*Store) error) { w.steps = append(w.steps, f) }
	control := func(f func(*Store) error) {
		w.controls = append(w.controls, len(w.steps))
		add(f)
	}
	entry := func(i, rows int) tokenwatch.Entry {
		tenant := "ab"[i%2 : i%2+1]
		return storagetest.Entry(tenant, fmt.Sprintf("key%d", i),
			storagetest.Events(rows, begin.Add(time.Duration(i)*time.Minute), "web", fmt.Sprint("r", i))...)
	}
	send := func(entries ...tokenwatch.Entry) {
		add(func(s *Store) error {
			_, err := s.Append(ctx, entries...)
			return err
		})
	}
	for i := range n {
		send(entry(3*i, 5), entry(3*i+1, 60))
		add(func(s *Store) error {
			_, err := s.Commit(ctx, storage.Step{
				Cursor:  s.Last(),
				Records: []storage.Record{{Key: fmt.Append(nil, "state", i%3), Value: fmt.Append(nil, "after", i)}},
				Findings: []tokenwatch.Finding{
					{Tenant: "a", ID: fmt.Sprint("f", i%4), Revision: i/4 + 1, Score: 70},
					{Tenant: "b", ID: fmt.Sprint("g", i), Revision: 1, Score: 90},
				},
			})
			return err
		})
		other := entry(3*i, 5)
		other.Requests[0].Digest[0]++
		send(entry(3*i, 5), other, entry(3*i+2, 7))
		if i%4 == 2 {
			add(func(s *Store) error {
				_, err := s.Retain(ctx)
				return err
			})
		}
		if i%2 == 1 {
			add(func(s *Store) error {
				merged, err := s.Merge(ctx)
				if err == nil && !merged && s.full.Load() {
					return fmt.Errorf("%w: merge", ErrDiskFull)
				}
				return err
			})
		}
		switch i % 4 {
		case 0:
			add(func(s *Store) error {
				_, err := s.Record(ctx, storage.Action{Tenant: "a", Actor: "key_1", Verb: "test", Object: fmt.Sprint(i)})
				return err
			})
			control(func(s *Store) error {
				note := fmt.Sprint("after ", i)
				_, err := s.Judge(ctx, "a", tokenwatch.Verdict{Finding: "f0", Note: &note, By: "key_1"},
					storage.Action{Tenant: "a", Actor: "key_1", Verb: "findings.update", Object: "f0"})
				return err
			})
		case 1:
			control(func(s *Store) error {
				_, err := s.Append(ctx, tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}})
				return err
			})
			control(func(s *Store) error {
				return s.Suppress(ctx, tokenwatch.Suppression{ID: fmt.Sprint("sup_", i%8), Tenant: "a", Reason: fmt.Sprint(i)},
					storage.Action{Tenant: "a", Actor: "key_1", Verb: "suppressions.create"})
			})
		case 2:
			add(func(s *Store) error {
				return s.PutLetters(ctx, storage.Record{Key: fmt.Append(nil, "letter", i%3), Value: fmt.Append(nil, i)})
			})
			add(func(s *Store) error {
				by := storage.Action{Actor: "key_1", Verb: "keys.create", Object: fmt.Sprint(i)}
				return s.PutKey(ctx, storage.APIKey{ID: fmt.Sprint("key_", i), Tenant: "a"}, by)
			})
		case 3:
			add(func(s *Store) error {
				if err := flushOrFull(s); err != nil {
					return err
				}
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				go func() { // a compaction that cannot write would be tried for ever
					for ctx.Err() == nil {
						if s.Err() != nil || s.full.Load() {
							cancel()
						}
						runtime.Gosched()
					}
				}()
				err := s.db.Compact(ctx, []byte{0}, []byte{255}, false)
				if stopped := s.Err(); stopped != nil {
					return stopped
				}
				if s.full.Load() && errors.Is(err, context.Canceled) {
					return fmt.Errorf("%w: compaction", ErrDiskFull)
				}
				return classify("compaction", err)
			})
		}
	}
	return w
}

// flushOrFull flushes, and gives up when there is no space: Pebble would try on.
func flushOrFull(s *Store) error {
	if err := s.Err(); err != nil {
		return err
	}
	if s.full.Load() {
		return fmt.Errorf("%w: flush", ErrDiskFull) // two flushes that cannot write stall the next
	}
	done, err := s.db.AsyncFlush()
	for err == nil {
		select {
		case <-done:
			return s.Err()
		case <-s.stopped:
			return s.Err()
		default:
			if s.full.Load() {
				return fmt.Errorf("%w: flush", ErrDiskFull)
			}
			runtime.Gosched()
		}
	}
	return err
}

// dump shows all that a store answers.
func dump(s *Store) (text string, err error) {
	ctx := context.Background()
	var b strings.Builder
	cursor, err := s.Cursor(ctx)
	fmt.Fprintf(&b, "last %d cursor %d\n", s.Last(), cursor)
	err = errors.Join(err,
		each(&b, s.Scan(ctx, storage.Range{}), storagetest.Text),
		each(&b, s.Records(ctx, nil), func(r storage.Record) string { return fmt.Sprintf("record %q %q\n", r.Key, r.Value) }),
		each(&b, s.Findings(ctx, "a"), func(f tokenwatch.Finding) string { return fmt.Sprintf("finding %+v\n", f) }),
		each(&b, s.Updates(ctx, "b", 0), func(f tokenwatch.Finding) string { return fmt.Sprintf("update %+v\n", f) }),
		each(&b, s.Suppressions(ctx, "a"), func(x tokenwatch.Suppression) string { return fmt.Sprintf("suppression %+v\n", x) }),
		each(&b, s.Letters(ctx, nil), func(r storage.Record) string { return fmt.Sprintf("letter %q %q\n", r.Key, r.Value) }),
		each(&b, s.Keys(ctx), func(k storage.APIKey) string { return fmt.Sprintf("key %+v\n", k) }),
		each(&b, s.AllLeaves(ctx, 0), func(l storage.Leaf) string {
			leaf, err := history.Decode(l.Bytes)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("leaf %d %v %x\n", l.Index, leaf.Kind(), l.Bytes)
		}))
	if err == nil {
		_, err = s.Verify(ctx)
	}
	return b.String(), err
}

func each[T any](b *strings.Builder, seq iter.Seq2[T, error], text func(T) string) error {
	for v, err := range seq {
		if err != nil {
			return err
		}
		b.WriteString(text(v))
	}
	return nil
}

// calm runs the workload untroubled: element i is what the store answers after
// i writes.
func calm(t *testing.T, w *workload) []string {
	t.Helper()
	s, err := Open(steady(vfs.NewMem(), w.clock))
	must(t, err)
	var dumps []string
	for i := range len(w.steps) + 1 {
		text, err := dump(s)
		must(t, err)
		dumps = append(dumps, text)
		if i < len(w.steps) {
			must(t, w.do(s, i))
		}
	}
	must(t, s.Close())
	return dumps
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// difference shows where two dumps part.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d:\n got %.300s\nwant %.300s", i, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}
