// Package local is the embedded store: every role of [storage.Store] in one
// Pebble.
//
// In go entries, Steps, actions and keys; out come the log, findings, history
// and what is proven about them. Whatever many callers want written at the same
// time becomes one atomic batch, written and synced once by whichever of them
// came first; then the watermark file is written and synced; then the answers
// go out and readers see it. keys.go has the layout of every key, mark.go that
// of the watermark file.
//
// Beside that, Run merges segments in the background, by tenant, into larger ones
// sorted by token and time, and drops what retention does not keep: each time one
// group puts the new in the place of the old, together with the leaf that says
// so. The log stays what it was; entries that were dropped are passed over.
//
// Promises, for one process per directory on a file system that honours fsync:
//
//	L1  What was acknowledged is there after a crash at any point.
//	L2  A batch of one Append, Commit, Record or PutKey is there whole or not at all.
//	L3  What is read was acknowledged before.
//	L4  If acknowledged data is missing, Open says so (storage.Loss), or names
//	    what is damaged (storage.Corruption).
//	L5  A failed write is final: the disk is left as it was then, every later
//	    write fails, and Err and Failed say why. Reads go on.
//	L6  While the disk is nearly full, Append fails with storage.ErrReadOnly;
//	    it works again once there is space.
//
// Each column of a segment has a checksum that is verified whenever it is read.
// The SHA-256 that the history holds of each segment is compared by Verify and
// by whoever exports, not on every read: it would cost more than decoding.
package local

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

var _ storage.Store = (*Store)(nil)

// Store is an open store. All methods may be called from many goroutines.
type Store struct {
	cfg     Config
	gate    *gate
	ballast ballast
	db      *pebble.DB
	id      string
	salt    history.Salt
	signer  *history.Signer
	decoder *block.Decoder
	merges  merges
	opened  openSegments
	apart   unmerged
	rows    rowCache
	queue   queue
	writer  writer // of the leader of a group commit
	full    atomic.Bool

	stopped  chan struct{} // closed when err is set
	stopOnce sync.Once
	err      error

	mu       sync.Mutex
	closed   bool
	view     *view
	pins     map[*func()]struct{} // give up a view that a caller of Segments may still use
	tail     tail
	last     tokenwatch.Offset
	waiting  map[string]*waiting // by tenant, what is not merged
	stepped  chan struct{}       // holds a token once a Step was committed
	head     history.Head
	sequence uint64        // of the last group commit
	overflow uint64        // event ids forgotten early
	appended chan struct{} // closed at the next append
	changed  chan struct{} // closed at the next update of a finding
	closing  chan struct{} // closed by Close
}

// ID returns the store's id, 32 hexadecimal digits made with it.
func (s *Store) ID() string { return s.id }

// Err returns why the store has stopped taking writes for good, nil if it has
// not. ExitCode tells what to do about it.
func (s *Store) Err() error {
	select {
	case <-s.stopped:
		return fmt.Errorf("%w: %w", storage.ErrReadOnly, s.err)
	default:
		return nil
	}
}

// Failed returns a channel that is closed once Err returns an error.
func (s *Store) Failed() <-chan struct{} { return s.stopped }

// Close waits for the commit at work and closes the store. Followers end with
// ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.closed = true
	close(s.closing)
	s.mu.Unlock()

	var err error
	// The last commit: it waits for those before it, and none comes after.
	s.queue.do(context.Background(), &work{plan: func(*group) error {
		s.mu.Lock()
		for unpin := range s.pins {
			(*unpin)()
		}
		s.release(s.view)
		s.view = nil
		s.mu.Unlock()
		err = errors.Join(s.writer.markFile.Close(), s.closeDB())
		return ErrClosed
	}})
	return err
}

// closeDB closes Pebble, whose complaints no longer matter once it was frozen.
// What is in memory becomes tables first, so that no write-ahead log is left.
func (s *Store) closeDB() error {
	s.flushIfAble()
	err := s.db.Close()
	if err != nil && !s.gate.frozen.Load() {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// flushIfAble flushes if it can: while the disk is full Pebble would try for ever.
func (s *Store) flushIfAble() {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	var done <-chan struct{}
	for s.Err() == nil && !s.full.Load() {
		// With a flush at work that cannot write, asking for another one would stall.
		// None need be at work: Pebble lets small full tables wait for more of them.
		if m := s.db.Metrics(); done == nil && (m.MemTable.Count <= 1 || m.Flush.NumInProgress == 0) {
			var err error
			if done, err = s.db.AsyncFlush(); err != nil {
				return
			}
		}
		select {
		case <-done:
			return
		case <-s.stopped:
		case <-look.C:
		}
	}
}

// do has plan committed.
func (s *Store) do(ctx context.Context, rows int, plan func(*group) error) error {
	if err := s.Err(); err != nil {
		return err
	}
	return s.queue.do(ctx, &work{rows: rows, plan: func(g *group) error {
		if s.isClosed() {
			return ErrClosed
		}
		return plan(g)
	}})
}

func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// stop ends all writing for good, for the reason of the first call.
func (s *Store) stop(err error) error {
	s.stopOnce.Do(func() {
		s.err = err
		close(s.stopped)
	})
	s.gate.frozen.Store(true)
	return s.Err()
}

// now is the wall clock, UTC and without a monotonic part.
func (s *Store) now() time.Time { return s.cfg.Clock().UTC().Round(0) }

// commitment stands for a tenant or a person in the history; "" is nobody.
func (s *Store) commitment(name string) history.Commitment {
	if name == "" {
		return history.Commitment{}
	}
	return history.Commit(s.salt, name)
}

// checkSpace stops or resumes appends by how much room the disk has.
func (s *Store) checkSpace() {
	free, ok := s.ballast.free()
	reserve := max(0, s.ballast.size)
	switch full := s.full.Load(); {
	case !full && ok && free < reserve:
		s.full.Store(true)
		s.cfg.Logger.Warn("disk is nearly full: no more entries are taken", "free", free)
	case full && (!ok || free >= 3*reserve) && s.Err() == nil:
		if err := s.ballast.ensure(); err != nil {
			s.cfg.Logger.Warn("ballast not restored", "err", err)
			return
		}
		s.full.Store(false)
		s.cfg.Logger.Info("disk has space again", "free", free)
	}
}

// diskFull is told that a write found no space. The ballast makes some.
func (s *Store) diskFull() {
	s.full.Store(true)
	if err := s.ballast.drop(); err != nil {
		s.cfg.Logger.Error("ballast not removed", "err", err)
	}
}

// publish makes a committed group visible.
func (s *Store) publish(g *group) {
	next := &view{snapshot: s.db.NewSnapshot(), refs: 1}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(s.view)
	s.view = next
	s.last = tokenwatch.Offset(g.commit.Last)
	s.head = s.writer.history.Head()
	s.sequence = s.writer.sequence
	for tenant := range g.touched {
		s.overflow += s.writer.stampers[tenant].Overflow() - g.overflow[tenant]
	}
	for i := range g.entries {
		if e := &g.entries[i]; e.Batch != nil {
			s.wait(e.Tenant, 1, e.Batch.Rows())
		}
	}
	for _, r := range g.replaced {
		for i := range r.pieces {
			if p := &r.pieces[i]; !p.merged {
				s.wait(r.tenant, -1, -int(p.entry.Rows))
			}
		}
	}
	if g.dropped {
		s.tail = tail{} // it may hold some of them
	}
	if g.stepped {
		select {
		case s.stepped <- struct{}{}:
		default:
		}
	}
	if len(g.entries) > 0 {
		s.tail.add(g.entries)
		close(s.appended)
		s.appended = make(chan struct{})
	}
	if len(g.findings) > 0 {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// wait counts what is not merged of a tenant, under Store.mu.
func (s *Store) wait(tenant string, segments, rows int) {
	w := s.waiting[tenant]
	if w == nil {
		w = new(waiting)
		s.waiting[tenant] = w
	}
	w.segments += segments
	w.rows += rows
}

// view is the store as it was acknowledged; readers share it.
type view struct {
	snapshot *pebble.Snapshot
	refs     int // under Store.mu
}

// acquire returns the newest view; the caller releases it by calling done.
func (s *Store) acquire() (v *view, done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	v = s.view
	v.refs++
	return v, sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.release(v)
	}), nil
}

// release gives up one use of a view, under Store.mu.
func (s *Store) release(v *view) {
	if v.refs--; v.refs == 0 {
		if err := v.snapshot.Close(); err != nil {
			s.cfg.Logger.Warn("snapshot not closed", "err", err)
		}
	}
}

// get returns a copy of a value, or storage.ErrNotFound.
func get(r pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, storage.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(value)), value...)
	return out, closer.Close()
}

// randomHex returns n random bytes as hexadecimal digits.
func randomHex(r io.Reader, n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return hex.EncodeToString(b), nil
}
