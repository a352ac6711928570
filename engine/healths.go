package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/sources"
	"github.com/tokenwatch/tokenwatch/storage"
)

var _ storage.Sources = (*Engine)(nil)

// Sources returns the health of a tenant's sources, see [storage.Sources].
func (e *Engine) Sources(_ context.Context, tenant string) ([]tokenwatch.SourceRecord, error) {
	e.mu.Lock()
	t := e.tenants[tenant]
	e.mu.Unlock()
	if t == nil {
		return nil, nil
	}
	return t.health.list(), nil
}

// Tenants lists the tenants that have sent anything, in order.
func (e *Engine) Tenants() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.tenants))
}

func (h *health) list() []tokenwatch.SourceRecord {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]tokenwatch.SourceRecord, 0, len(h.by))
	for _, name := range slices.Sorted(maps.Keys(h.by)) {
		out = append(out, h.record(name, h.by[name]))
	}
	return out
}

func (h *health) record(name string, s *sources.Source) tokenwatch.SourceRecord {
	r := tokenwatch.SourceRecord{
		Tenant: h.name, Name: name, State: tokenwatch.SourceReporting,
		First: nanos(s.First), Last: nanos(s.Last), FirstRequest: nanos(s.Began), LastRequest: nanos(s.Came),
		Lag: time.Duration(s.Lag), Rate: s.Rate(h.now), Usual: s.Rhythm.Usual(),
		Records: s.Records, Rejects: s.Rejects, Holes: len(s.Holes),
		UsualShare: s.Quality.Share(), RejectShare: s.RejectShare(),
	}
	_, bad := s.Judge(h.now)
	since := s.SilentSince(h.now)
	switch {
	case since != 0:
		r.State, r.SilentSince = tokenwatch.SourceSilent, minuteStart(since)
	case len(bad) > 0:
		r.State = tokenwatch.SourceRejecting
	case s.Learning():
		r.State = tokenwatch.SourceLearning
	}
	return r
}

// nanos is a time in UTC nanoseconds; 0 is none.
func nanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
