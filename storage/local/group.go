package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// writer is what only the leader of a group commit touches.
type writer struct {
	history  *history.Log
	encoder  *block.Encoder
	decoder  *block.Decoder
	markFile vfs.File
	buf      []byte

	commit   commitRecord
	sequence uint64                      // of the last group commit
	stampers map[string]*storage.Stamper // by tenant, made when needed
	dirty    map[string]struct{}         // tenants with leaves since their last tick
	expires  time.Time                   // when the oldest request with a key may be forgotten
}

// commitRecord is what a group commit says of itself. The records of the last
// commits have no gap between their sequence numbers; a gap is lost data.
type commitRecord struct {
	Last   uint64 // offset of the newest entry
	Size   uint64 // leaves of the history
	Update uint64 // of the newest finding
	Keys   uint64 // requests remembered
}

// commitWindow is how many commit records are kept: more than Pebble can hold
// in tables it has not flushed.
const commitWindow = 1 << 18

func (c *commitRecord) encode() []byte {
	var b []byte
	for _, n := range [...]uint64{c.Last, c.Size, c.Update, c.Keys} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func decodeCommit(b []byte) (commitRecord, error) {
	var c commitRecord
	for _, p := range [...]*uint64{&c.Last, &c.Size, &c.Update, &c.Keys} {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return c, errors.New("not a commit record")
		}
		*p, b = n, b[size:]
	}
	return c, nil
}

// group is one group commit in the making.
type group struct {
	s      *Store
	w      *writer
	batch  *pebble.Batch
	now    time.Time
	commit commitRecord
	leaves []history.Leaf

	entries  []tokenwatch.Entry   // appended, as readers will see them
	replaced []replaced           // taken out of the index of segments
	dropped  bool                 // entries are not there any more
	stepped  bool                 // the engine's cursor has moved
	requests map[string]*request  // remembered by this group, by key
	findings map[string][]byte    // set by this group, by key
	greatest map[string]*greatest // of tenants, by name
	touched  map[string]struct{}  // tenants whose stampers have moved
	overflow map[string]uint64    // ids their stampers had forgotten early before
	dirty    map[string]struct{}  // tenants with leaves that no tick of the group restates
	ticked   bool                 // a tick restated what was dirty before
	failed   error                // of the batch itself
}

func (s *Store) begin() *group {
	return &group{
		s: s, w: &s.writer, batch: s.db.NewBatch(), now: s.now(), commit: s.writer.commit,
		requests: make(map[string]*request),
		findings: make(map[string][]byte),
		greatest: make(map[string]*greatest),
		touched:  make(map[string]struct{}),
		overflow: make(map[string]uint64),
		dirty:    make(map[string]struct{}),
	}
}

// set puts a key in the group's batch.
func (g *group) set(key, value []byte) {
	if err := g.batch.Set(key, value, nil); err != nil && g.failed == nil {
		g.failed = err
	}
}

func (g *group) delete(key []byte) {
	if err := g.batch.Delete(key, nil); err != nil && g.failed == nil {
		g.failed = err
	}
}

// leaf adds a leaf about a tenant, "" for all, and returns its index.
func (g *group) leaf(tenant, actor string, body history.Body) uint64 {
	g.leaves = append(g.leaves, history.Leaf{
		Time: g.now, Tenant: g.s.commitment(tenant), Actor: g.s.commitment(actor), Body: body,
	})
	if tenant != "" {
		g.dirty[tenant] = struct{}{}
	}
	return g.commit.Size + uint64(len(g.leaves)) - 1
}

// undo forgets a group of which nothing was written.
func (g *group) undo() {
	for tenant := range g.touched {
		delete(g.w.stampers, tenant) // made anew from the log when needed
	}
	g.batch.Close()
}

// commitWorks is the leader's task: all works in one batch. A work that cannot
// be planned gets its error, and the others are planned again without it.
func (s *Store) commitWorks(works []*work) {
	for s.checkSpace(); len(works) > 0; {
		g := s.begin()
		bad := slices.IndexFunc(works, func(w *work) bool {
			w.err = w.plan(g)
			return w.err != nil
		})
		if bad >= 0 {
			g.undo()
			works = slices.Delete(slices.Clone(works), bad, bad+1)
			continue
		}
		err := g.write()
		if err != nil {
			g.undo()
		}
		for _, w := range works {
			w.err = err
		}
		return
	}
}

// write makes the group durable, then what is acknowledged of it, then visible.
func (g *group) write() error {
	s, w := g.s, g.w
	if err := s.Err(); err != nil {
		return err
	}
	if g.batch.Empty() && len(g.leaves) == 0 {
		g.batch.Close()
		return nil
	}
	g.expire()
	staged, err := w.history.Stage(g.leaves...)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for i, b := range staged.Leaves {
		g.set(numbered(keyLeaf, staged.First+uint64(i)), b)
	}
	for i, h := range staged.Hashes {
		g.set(numbered(keyHash, uint64(staged.FirstHash)+uint64(i)), h[:])
	}
	for _, r := range staged.Records {
		g.set(append([]byte{keyHead}, r.Key...), r.Value)
	}
	head := staged.Head()
	g.commit.Size = head.Size
	sequence := w.sequence + 1
	g.set(numbered(keyCommit, sequence), g.commit.encode())
	if sequence%(commitWindow/16) == 0 && sequence > commitWindow {
		g.failed = errors.Join(g.failed, g.batch.DeleteRange(numbered(keyCommit, 0), numbered(keyCommit, sequence-commitWindow), nil))
	}
	if g.failed != nil {
		return fmt.Errorf("commit: %w", g.failed)
	}
	if err := g.batch.Commit(pebble.Sync); err != nil {
		return s.stop(classify("commit", err))
	}
	m := mark{Sequence: sequence, Last: g.commit.Last, Size: head.Size, Root: head.Root}
	if err := s.Err(); err != nil {
		return err // the gate has told Pebble that a failed write went well
	}
	if err := writeMark(w.markFile, m); err != nil {
		return s.stop(classify("watermark", err))
	}
	if err := s.Err(); err != nil {
		return err
	}
	if err := w.history.Commit(staged); err != nil {
		return s.stop(damaged("history", err))
	}
	g.batch.Close()
	w.commit, w.sequence = g.commit, sequence
	g.settle()
	s.publish(g)
	return nil
}

// settle notes which tenants have leaves that no tick restates yet.
func (g *group) settle() {
	if g.ticked {
		clear(g.w.dirty)
	}
	maps.Copy(g.w.dirty, g.dirty)
}
