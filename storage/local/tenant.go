package local

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// greatest is what is kept of a tenant beside its entries.
type greatest struct {
	time int64  // greatest event time, math.MinInt64 if there is none
	last uint64 // offset of its newest segment, 0 if there is none
}

func (t *greatest) encode() []byte {
	return binary.AppendUvarint(binary.AppendVarint(nil, t.time), t.last)
}

func decodeGreatest(b []byte) (greatest, error) {
	time, size := binary.Varint(b)
	if size <= 0 {
		return greatest{}, errors.New("not a tenant's record")
	}
	last, n := binary.Uvarint(b[size:])
	if n <= 0 || size+n != len(b) {
		return greatest{}, errors.New("not a tenant's record")
	}
	return greatest{time, last}, nil
}

// tenant returns what is kept of a tenant, as the group leaves it.
func (g *group) tenant(name string) (*greatest, error) {
	if t, ok := g.greatest[name]; ok {
		return t, nil
	}
	t := &greatest{time: math.MinInt64}
	b, err := get(g.s.db, tenanted(keyGreatest, name))
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return nil, classify("tenant", err)
	default:
		if *t, err = decodeGreatest(b); err != nil {
			return nil, damaged("tenant", err)
		}
	}
	g.greatest[name] = t
	return t, nil
}

// stamper returns the stamper of a tenant, made from the log if need be, and
// notes that it will move.
func (g *group) stamper(name string) (*storage.Stamper, error) {
	if st, ok := g.touch(name); ok {
		return st, nil
	}
	t, err := g.tenant(name)
	if err != nil {
		return nil, err
	}
	st, err := g.s.replay(t)
	if err != nil {
		return nil, err
	}
	g.w.stampers[name] = st
	return st, nil
}

// touch returns the stamper of a tenant if there is one, and notes that it, or
// the one that is made now, will move.
func (g *group) touch(name string) (*storage.Stamper, bool) {
	st, ok := g.w.stampers[name]
	if _, again := g.touched[name]; !again && ok {
		g.overflow[name] = st.Overflow()
	}
	g.touched[name] = struct{}{}
	return st, ok
}

// replay makes a tenant's stamper from its newest segments: those appended when
// its greatest event time was within the lateness of what it is now, as far as
// they fit the memory for ids. Only the columns it needs are decoded.
func (s *Store) replay(t *greatest) (*storage.Stamper, error) {
	mark := storage.WatermarkAt(s.cfg.Lateness, t.time)
	st := storage.NewStamper(mark, s.cfg.IDMemory)
	oldest, started := mark.Value()
	type segment struct {
		offset   uint64
		greatest int64
	}
	var segments []segment
	ids := uint64(0)
	for offset := t.last; offset != 0 && ids < uint64(s.cfg.IDMemory); {
		at, err := s.indexAt(s.db, offset)
		if err != nil {
			return nil, err
		}
		if started && at.Greatest < oldest.UnixNano() {
			break
		}
		if at.IDs > 0 {
			segments = append(segments, segment{offset, at.Greatest})
			ids += at.IDs
		}
		offset = at.Prev
	}
	for i := len(segments) - 1; i >= 0; i-- {
		offset := segments[i].offset
		batch, err := s.replayed(offset)
		if errors.Is(err, errDropped) {
			continue
		}
		if err != nil {
			return nil, err
		}
		st.Replay(batch, segments[i].greatest)
	}
	return st, nil
}

// replayed returns of an entry the columns that a stamper needs, or more.
func (s *Store) replayed(offset uint64) (*tokenwatch.Batch, error) {
	value, err := s.logAt(s.db, offset)
	if err != nil {
		return nil, err
	}
	if value[0] != tagSegment {
		e, err := s.entry(s.db, tokenwatch.Offset(offset))
		return e.Batch, err
	}
	batch, err := s.decoder.Columns(value[1:], storage.ReplayColumns()...)
	if err != nil {
		return nil, broken("segment", tokenwatch.Offset(offset), err)
	}
	return batch, nil
}

// tenants lists the tenants that have segments.
func (s *Store) tenants() ([]string, error) {
	var names []string
	for it, err := range s.scan(context.Background(), []byte{keyGreatest}, []byte{keyGreatest + 1}) {
		if err != nil {
			return nil, err
		}
		name, _, ok := tenantOf(it.Key()[1:])
		if !ok {
			return nil, damaged("tenant", errors.New("not a key of a tenant"))
		}
		names = append(names, name)
	}
	return names, nil
}

// Mark returns how far a source has got with an input: everything before it is
// in the log. 0 if nothing is known. See storage.Marks.
func (s *Store) Mark(_ context.Context, tenant, source, input string) (int64, error) {
	v, done, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer done()
	b, err := get(v.snapshot, markKey(tenant, source, input))
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, classify("mark", err)
	}
	offset, n := binary.Varint(b)
	if n <= 0 {
		return 0, damaged("mark", errors.New("not a number"))
	}
	return offset, nil
}
