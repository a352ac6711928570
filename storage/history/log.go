package history

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// Log is the growing end of a history. One goroutine stages and commits; Head
// may be asked for by any.
type Log struct {
	mu     sync.Mutex
	head   Head
	tree   tree
	chains *chains
	clock  uint64 // epoch of the next leaf
}

// Staged is what one atomic write must store, beside the things that its leaves
// are about.
type Staged struct {
	First     uint64      // index of the first leaf
	Leaves    [][]byte    // canonical encodings; leaf First+i is Leaves[i]
	FirstHash int64       // stored-hash index (tlog.StoredHashIndex) of the first hash
	Hashes    []tlog.Hash // hash FirstHash+i is Hashes[i]
	Records   []Record    // to be set, replacing those with equal keys

	before uint64
	head   Head
	tree   tree
	chains *chains
}

// Head is where the history will stand once s is committed.
func (s *Staged) Head() Head { return s.head }

// Open continues a history from its records, given in any order, and its stored
// hashes. No records begin a new history. It fails if the records and the
// hashes do not fit together; [Rebuild] makes both anew from the leaves. Opening
// begins a clock epoch.
func Open(records iter.Seq2[Record, error], hashes tlog.HashReader) (*Log, error) {
	l := &Log{head: Head{Root: emptyRoot}, chains: newChains()}
	for r, err := range records {
		if err != nil {
			return nil, fmt.Errorf("open history: %w", err)
		}
		if string(r.Key) == headKey {
			if l.head, err = decodeHead(r.Value); err != nil {
				return nil, fmt.Errorf("open history: %w", err)
			}
			continue
		}
		k, h, err := decodeChain(r)
		if err != nil {
			return nil, fmt.Errorf("open history: %w", err)
		}
		l.chains.set(k, h)
	}
	var leaves uint64
	for _, h := range l.chains.heads {
		leaves += h.Count
		if h.Last >= l.head.Size {
			return nil, fmt.Errorf("open history: a chain ends at leaf %d of %d", h.Last, l.head.Size)
		}
	}
	if leaves != l.head.Size {
		return nil, fmt.Errorf("open history: the chains have %d leaves, the history %d", leaves, l.head.Size)
	}
	var err error
	if l.tree, err = readTree(l.head.Size, hashes); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	if l.tree.root() != l.head.Root {
		return nil, fmt.Errorf("open history: the hashes of the tree of size %d do not give its root", l.head.Size)
	}
	l.clock = l.head.Clock + 1
	return l, nil
}

// Head returns where the history stands.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// NewEpoch makes the next leaf begin a clock epoch: call it when the wall clock
// was seen to step. Steps back are noticed without.
func (l *Log) NewEpoch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
}

// Stage prepares leaves for writing; it changes neither the log nor the leaves.
// A Staged that was not written is simply dropped, and Stage called anew.
func (l *Log) Stage(leaves ...Leaf) (*Staged, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &Staged{
		First:     l.head.Size,
		Leaves:    make([][]byte, 0, len(leaves)),
		FirstHash: tlog.StoredHashCount(int64(l.head.Size)),
		Hashes:    make([]tlog.Hash, 0, 2*len(leaves)+8),
		before:    l.head.Size,
		head:      l.head,
		tree:      l.tree.clone(),
		chains:    l.chains.over(),
	}
	clock := l.clock
	for i, leaf := range leaves {
		if leaf.Body == nil {
			return nil, fmt.Errorf("stage leaf %d: no body", s.head.Size)
		}
		leaf.Index = s.head.Size
		leaf.Time = millis(leaf.Time)
		if s.head.Clock == clock && leaf.Time.Before(s.head.Time) {
			clock++ // I4
		}
		leaf.Clock = clock
		if _, ok := leaf.Body.(*Tick); ok {
			leaf.Body = &Tick{Chains: s.chains.tick(leaf.Tenant)} // I3
		}
		key := chainKey{leaf.Tenant, leaf.Body.Kind()}
		leaf.Prev = s.chains.prev(key)
		b, err := Encode(&leaf)
		if err != nil {
			return nil, fmt.Errorf("stage leaf %d, %d of %d: %w", s.head.Size, i+1, len(leaves), err)
		}
		s.chains.add(key, leaf.Index)
		s.Leaves = append(s.Leaves, b)
		s.Hashes = s.tree.add(tlog.RecordHash(b), s.Hashes)
		s.head.Size, s.head.Time, s.head.Clock = s.tree.size, leaf.Time, clock
	}
	s.head.Root = s.tree.root()
	var err error
	s.Records, err = recordsOf(s.head, s.chains)
	return s, err
}

// Commit makes s, which has been written and synced, the end of the history. It
// fails if another Staged was committed since s was made; then what is stored
// is damaged and the store must stop.
func (l *Log) Commit(s *Staged) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.before != l.head.Size || s.chains.base != l.chains {
		return errors.New("commit history: staged on another head")
	}
	s.chains.merge()
	l.head, l.tree = s.head, s.tree
	l.clock = max(l.clock, s.head.Clock)
	return nil
}

// Rebuild makes the records of a history from all its leaves, from leaf 0 on,
// and passes the hashes to store to emit, in the order of their index. It fails
// on a leaf that is not canonical or not in its place.
func Rebuild(leaves iter.Seq2[[]byte, error], emit func(first int64, hashes []tlog.Hash) error) ([]Record, error) {
	var (
		c    = newChains()
		t    tree
		head = Head{Root: emptyRoot}
		out  []tlog.Hash
	)
	for b, err := range leaves {
		if err != nil {
			return nil, fmt.Errorf("rebuild history: %w", err)
		}
		leaf, err := Decode(b)
		if err != nil {
			return nil, fmt.Errorf("rebuild history at leaf %d: %w", t.size, err)
		}
		if leaf.Index != t.size {
			return nil, fmt.Errorf("rebuild history at leaf %d: it says it is leaf %d", t.size, leaf.Index)
		}
		c.add(chainKey{leaf.Tenant, leaf.Kind()}, leaf.Index)
		first := tlog.StoredHashCount(int64(t.size))
		out = t.add(tlog.RecordHash(b), out[:0])
		if err := emit(first, out); err != nil {
			return nil, fmt.Errorf("rebuild history at leaf %d: %w", leaf.Index, err)
		}
		head.Size, head.Time, head.Clock = t.size, leaf.Time, leaf.Clock
	}
	head.Root = t.root()
	return recordsOf(head, c)
}

// recordsOf returns the records of a head and of the chains in c itself, in
// order of key, so that equal histories give equal writes.
func recordsOf(head Head, c *chains) ([]Record, error) {
	h, err := head.record()
	if err != nil {
		return nil, err
	}
	records := []Record{h}
	for k, chain := range c.heads {
		r, err := chainRecord(k, chain)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b Record) int { return cmp.Compare(string(a.Key), string(b.Key)) })
	return records, nil
}
