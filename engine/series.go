package engine

import (
	"context"
	"math"
	"net/netip"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/storage"
)

var _ storage.Baselines = (*Engine)(nil)

// Expected returns what an entity is expected to do, see [storage.Baselines]. It
// waits while an entry is taken in.
func (e *Engine) Expected(_ context.Context, tenant string, of tokenwatch.Entity, from time.Time, step, n int) (tokenwatch.Series, error) {
	first := from.Unix() / 3600
	if first < 0 || first > math.MaxInt32-int64(step)*int64(n) {
		return tokenwatch.Series{}, storage.ErrNotFound // there are no such windows
	}
	e.taking.Lock()
	defer e.taking.Unlock()
	t := e.tenants[tenant]
	if t == nil {
		return tokenwatch.Series{}, storage.ErrNotFound
	}
	known, err := t.known(of)
	if err != nil {
		return tokenwatch.Series{}, err
	}
	if known == nil {
		return tokenwatch.Series{}, storage.ErrNotFound
	}
	v := t.shardOf(known.hash).view(known, len(known.windows), &known.usual)
	return bandOf(&v, int32(first), step, n), nil
}

// band is what was expected of an entity by the baseline that its window at a
// place was judged by: from a day before on to the end of a day.
func (s *shard) band(e *entity, at int, usual *baseline.Usual, day int32) tokenwatch.Series {
	v := s.view(e, at, usual)
	first := max(e.windows[at].Hour-24, 0)
	return bandOf(&v, first, 1, int(24*(day+1)-first))
}

// bandOf is what a view expects of n steps of hours.
func bandOf(v *baseline.View, first int32, step, n int) tokenwatch.Series {
	s := tokenwatch.Series{
		Start: finding.HourStart(first), Step: step,
		Low: make([]uint32, n), Median: make([]uint32, n), High: make([]uint32, n),
	}
	if v.Usual.Last != 0 {
		s.AsOf = finding.HourStart(v.Usual.Last + 1)
	}
	s.Peers, s.PeerMean = v.PeerMean()
	for i := range n {
		s.Low[i], s.Median[i], s.High[i] = v.Band(first+int32(i*step), step)
	}
	return s
}

// known finds an entity as it is, nil if there is no such.
func (t *tenant) known(of tokenwatch.Entity) (*entity, error) {
	if of.Kind >= tokenwatch.NumEntityKinds {
		return nil, nil
	}
	hash := t.hash.String(of.ID)
	if of.Kind == tokenwatch.EntityAddress {
		a, err := netip.ParseAddr(of.ID)
		if err != nil {
			return nil, nil
		}
		hash = feature.AddrHash(t.hash, a.As16())
	}
	if of.Kind == tokenwatch.EntityToken {
		hash = t.hash.String(string(t.settledID(tokenwatch.TokenID(of.ID))))
	}
	return t.shardOf(hash).peek(of.Kind, hash)
}
