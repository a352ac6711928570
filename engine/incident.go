package engine

import (
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/detect"
	"github.com/tokenwatch/tokenwatch/engine/finding"
)

// tell emits a revision of an incident's finding if it says something that the
// last one did not: a settled one whenever its bytes differ, a provisional one
// as score decided.
func (s *shard) tell(e *entity, in *finding.Incident, raisedBy time.Time) {
	in.Continues = ""
	if before := e.existing(in.Day - 1); before != nil {
		if in.Continues = before.Follows(); len(before.Hours) > 0 {
			in.Continues = s.id(e, in.Day-1)
		}
	}
	s.change(e)
	if len(in.Hours) == 0 && in.Revision == 0 {
		return
	}
	if s.hushed {
		return // and the incident was stored as of what was told last
	}
	if !in.Settled() && raisedBy.IsZero() {
		return // an hour settled while others are open: their turn comes
	}
	f := finding.Build(s.key, s.name, e.Entity, in, raisedBy)
	f.Controls = detect.Controls(f.Detectors)
	told := f.Canonical()
	if string(told) == string(in.Told) {
		return
	}
	in.Revision++
	in.Told, in.Score = told, f.Score
	f.Revision = in.Revision
	s.out, s.told = append(s.out, f), append(s.told, telling{e, in})
}

// id is that of the finding of an entity's day.
func (t *tenant) id(e *entity, day int32) string {
	return finding.ID(t.key, t.name, e.Entity, tokenwatch.ClassAnomaly, "", day)
}

func (e *entity) existing(day int32) *finding.Incident {
	for _, in := range e.incidents {
		if in.Day == day {
			return in
		}
	}
	return nil
}

func (s *shard) incident(e *entity, day int32) *finding.Incident {
	if in := e.existing(day); in != nil {
		return in
	}
	in := &finding.Incident{Day: day}
	e.incidents = append(e.incidents, in)
	s.incidental[e] = struct{}{}
	return in
}

// forgetIncidents drops those that no hour to come can continue.
func (s *shard) forgetIncidents(e *entity, hour int32) {
	e.incidents = slices.DeleteFunc(e.incidents, func(in *finding.Incident) bool {
		old := in.Day+2 <= hour/24
		if old {
			s.dropped = append(s.dropped, incidentKey(s.name, e.Entity, in.Day))
		}
		return old
	})
	if len(e.incidents) == 0 {
		delete(s.incidental, e)
	}
}
