package local

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"golang.org/x/mod/sumdb/tlog"
)

// recover takes up where the last group commit that is there left off. The
// commits before it must be there without a gap.
func (s *Store) recover() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyCommit}, UpperBound: []byte{keyCommit + 1}})
	if err != nil {
		return classify("store", err)
	}
	defer it.Close()
	w := &s.writer
	for ok := it.First(); ok; ok = it.Next() {
		n := number(it.Key())
		if w.sequence != 0 && n != w.sequence+1 || w.sequence == 0 && n > 1 && n%(commitWindow/16) != 0 {
			return damaged("store", fmt.Errorf("group commits before %d are missing", n))
		}
		c, err := decodeCommit(it.Value())
		if err != nil || c.Last < w.commit.Last || c.Size < w.commit.Size {
			return damaged("store", fmt.Errorf("group commit %d cannot be read", n))
		}
		w.sequence, w.commit = n, c
	}
	if err := it.Error(); err != nil {
		return classify("store", err)
	}
	w.history, err = history.Open(s.historyRecords(), tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		return readHashes(s.db, at)
	}))
	if err != nil {
		return damaged("history", err)
	}
	s.head = w.history.Head()
	if s.head.Size != w.commit.Size {
		return damaged("history", fmt.Errorf("it has %d leaves, the last group commit says %d", s.head.Size, w.commit.Size))
	}
	s.last, s.sequence = tokenwatch.Offset(w.commit.Last), w.sequence
	return nil
}

// historyRecords yields the records of the history's head.
func (s *Store) historyRecords() iter.Seq2[history.Record, error] {
	return func(yield func(history.Record, error) bool) {
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyHead}, UpperBound: []byte{keyHead + 1}})
		if err != nil {
			yield(history.Record{}, err)
			return
		}
		defer it.Close()
		for ok := it.First(); ok; ok = it.Next() {
			if !yield(history.Record{Key: bytes.Clone(it.Key()[1:]), Value: bytes.Clone(it.Value())}, nil) {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(history.Record{}, err)
		}
	}
}

// compare holds what was recovered against the watermark. What is lost is an
// error, or returned if that is accepted.
func (s *Store) compare(m mark, unverified bool) (*history.Loss, error) {
	w := &s.writer
	var err error
	lost := &history.Loss{}
	switch {
	case unverified:
		return &history.Loss{What: "watermark"}, nil
	case w.commit.Last < m.Last:
		lost.What, lost.First, lost.Last = "log", w.commit.Last+1, m.Last
		err = &storage.Loss{First: tokenwatch.Offset(lost.First), Last: tokenwatch.Offset(lost.Last)}
	case w.sequence < m.Sequence:
		lost.What = "history"
		if w.commit.Size >= m.Size {
			lost.What = "engine state"
		}
		err = damaged(lost.What, fmt.Errorf("the last %d group commits are missing", m.Sequence-w.sequence))
	default:
		root, err := tlog.TreeHash(int64(m.Size), tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
			return readHashes(s.db, at)
		}))
		if err != nil {
			return nil, damaged("history", err)
		}
		if m.Size > 0 && root != m.Root {
			return nil, damaged("history", fmt.Errorf("its first %d leaves are not those that were acknowledged", m.Size))
		}
		return nil, nil
	}
	if s.cfg.AcceptLoss {
		return lost, nil
	}
	return nil, err
}

// mark is the watermark of what is there.
func (s *Store) mark() mark {
	return mark{Sequence: s.writer.sequence, Last: s.writer.commit.Last, Size: s.head.Size, Root: s.head.Root}
}

// report puts an accepted loss in the history.
func (s *Store) report(lost *history.Loss) error {
	s.cfg.Logger.Error("loss accepted", "what", lost.What, "first", lost.First, "last", lost.Last)
	return s.do(context.Background(), 0, func(g *group) error {
		g.leaf("", "", lost)
		return nil
	})
}
