package engine

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/detect"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// score judges the windows of an entity that were touched, at once, against what has
// settled and the entity's own earlier open windows; e is nil if none were. What is
// raised of it is for conclude.
func (s *shard) score(e *entity, common *baseline.Common) {
	if len(s.touched) > 1 {
		slices.SortFunc(s.touched, func(a, b touch) int { return cmp.Compare(a.Hour, b.Hour) })
	}
	for _, t := range s.touched {
		at, _ := e.find(t.Hour)
		if !s.news(e, at) || s.idle(e, at, s.usualFor(e)) {
			continue
		}
		j := s.judge(e, at, s.usualFor(e), common)
		j.latest = t.latest
		s.see(t.Window, &j)
		if j.raises = s.raises(j.Combined); j.raises {
			s.judged = append(s.judged, j)
			s.raised = append(s.raised, t.Hour)
		}
	}
	s.raised = s.raised[:0]
	clear(s.touched)
	s.touched = s.touched[:0]
}

// news tells whether there is something to judge in a window that was not there the
// last time: values and minutes that are usual are not.
func (s *shard) news(e *entity, at int) bool {
	w := e.windows[at]
	begun, grown, axes, slots := w.Begun, w.Grown, w.Fresh, w.FreshSlots
	w.Begun, w.Grown, w.Fresh, w.FreshSlots = false, false, 0, 0
	if grown || e.life != nil {
		return true
	}
	v := baseline.View{Usual: s.usualFor(e), Open: e.windows[:at]}
	if begun && !v.Regular(w.Hour) {
		return true
	}
	for ; axes != 0; axes &= axes - 1 {
		a := feature.Axis(bits.TrailingZeros8(axes))
		for i := range w.Axes[a] {
			if !v.Current(a, w.Axes[a][i].Hash, w.Hour) {
				return true
			}
		}
	}
	for ; slots != 0; slots &= slots - 1 {
		if v.Rare(uint8(bits.TrailingZeros16(slots))) {
			return true
		}
	}
	return false
}

// raises tells whether what was combined is worth a finding.
func (t *tenant) raises(c finding.Combined) bool {
	return len(c.Signals) > 0 && finding.Score(c.Rate) >= t.threshold
}

// From which score on an hour is taken to be anomalous when it is learned, and
// from which on it is left out when the tail of ordinary hours is; both whatever
// rate of findings was asked for.
const (
	odd  = 60
	sure = 70
)

// escalates tells whether an open hour says enough more than the finding does
// already to revise it: five points of score, or a further reason.
func escalates(in *finding.Incident, hour int32, c finding.Combined) bool {
	if in.Revision == 0 {
		return true
	}
	for _, h := range in.Hours {
		if h.Hour == hour && len(h.Reasons) < len(c.Signals) {
			return true
		}
	}
	return finding.Score(c.Rate) >= in.Score+5
}

// usualFor is the baseline that an entity is judged by as long as nothing has
// settled: its own, or that of the token it turned out to be or follows.
func (s *shard) usualFor(e *entity) *baseline.Usual {
	if e.usual.Hours == 0 && e.before != nil {
		return &e.before.usual
	}
	if e.usual.Hours == 0 && len(s.lives.heirs) > 0 {
		if a := s.ancestor(e); a != nil {
			return &a.usual
		}
	}
	return &e.usual
}

// view is what is usual for an entity as seen from its window at a place.
func (s *shard) view(e *entity, at int, usual *baseline.Usual) baseline.View {
	return baseline.View{
		Kind: e.Kind, Usual: usual, Open: s.ordinary(e, at), Peers: s.peers(e.Kind), Group: s.group(usual.Group(e.Kind)), Begun: s.epoch.Begun,
	}
}

// judged is a window with what the detectors said of it.
type judged struct {
	finding.Combined
	e      *entity
	hour   int32
	lesson lesson
	latest int64 // greatest event time that led to it, UTC milliseconds; 0 when it settles
	shown  []window.Shown
	calm   bool
	raises bool
	alone  tokenwatch.Bans // rate, if nothing were taken for what came to many at once
	would  bool            // it would raise something then
	quiet  bool            // what it gives reason for is kept for a later revision
}

// idle tells whether no detector has anything to say of an entity's window.
func (s *shard) idle(e *entity, at int, usual *baseline.Usual) bool {
	w := e.windows[at]
	return w.Events == 0 && detect.Idle(s.others(e, w), &baseline.View{Kind: e.Kind, Usual: usual, Open: s.ordinary(e, at)})
}

// judge runs the detectors over an entity's window. What came to many at once is
// taken for known.
func (s *shard) judge(e *entity, at int, usual *baseline.Usual, common *baseline.Common) judged {
	w := s.others(e, e.windows[at])
	s.subject.Set(e.Entity, e.life, w, s.view(e, at, usual))
	s.subject.Usual.Common = common
	j := judged{e: e, hour: w.Hour}
	s.signals = s.signals[:0]
	if !detect.Idle(w, &s.subject.Usual) {
		for _, d := range s.detectors {
			s.signals = d.Score(0, &s.subject, s.signals)
		}
		if !s.noPeers && (len(s.signals) > 0 || common.Foreseen()) {
			s.closed = *s.causes.Closed()
			s.subject.Usual.Common = &s.closed
			j.shown, j.calm = detect.Changes(&s.subject, s.signals)
			s.signals = detect.Individual(s.signals, w, common)
		}
	}
	s.combine(&j, usual)
	return j
}

// ordinary lists the open windows before the one at a place, without those that
// are part of an incident: what an attacker did an hour ago is not usual yet.
func (s *shard) ordinary(e *entity, at int) []*window.Window {
	open := e.windows[:at]
	if len(e.incidents)+len(s.raised) == 0 {
		return open
	}
	return slices.DeleteFunc(slices.Clone(open), func(w *window.Window) bool {
		in := e.existing(w.Hour / 24)
		return in != nil && in.Covers(w.Hour) || slices.Contains(s.raised, w.Hour)
	})
}

// judgeHour gives the windows of an hour that settles the final judgement, but for
// what many of them have in common. What no detector has anything to say of is learned
// and closed while it is at hand: most windows of addresses, and many of actors.
func (s *shard) judgeHour(hour int32, delta *baseline.Epoch) error {
	if err := s.listen(hour); err != nil {
		return err
	}
	common := s.causes.Closed()
	list := s.open[hour]
	for i, e := range list {
		if i%ahead == 0 {
			s.warmSettling(list[i:min(i+ahead, len(list))])
		}
		// Hours settle in order, so the first window is it.
		if len(e.incidents) == 0 && s.idle(e, 0, &e.usual) {
			j := judged{e: e, hour: hour}
			s.signals = s.signals[:0]
			s.combine(&j, &e.usual)
			s.learnWindow(&j, common, delta)
			continue
		}
		j := s.judge(e, 0, &e.usual, common)
		s.note(&j)
		s.judged = append(s.judged, j)
	}
	return nil
}

// learnHour closes the windows of an hour that were judged, and learns from them.
func (s *shard) learnHour(hour int32, delta *baseline.Epoch) {
	common := s.causes.Closed()
	for i := range s.judged {
		if i%ahead == 0 {
			s.warmJudged(s.judged[i:min(i+ahead, len(s.judged))])
		}
		s.learnWindow(&s.judged[i], common, delta)
	}
	s.judged = clearJudged(s.judged)
	delete(s.open, hour)
	if len(s.open) == 0 {
		s.pool, s.judged = window.Pool{}, nil // it is quiet now
	}
	for e := range s.incidental {
		s.forgetIncidents(e, hour)
	}
	s.sweep(hour)
	s.rest()
}

// listen opens a window for each token whose silence is worth judging, in the hour that
// settles first of a day. Whether a token has come back since does not count: how much
// of that is known depends on the order of arrival.
func (s *shard) listen(hour int32) error {
	day := hour / 24
	if s.epoch.Hour/24 == day || !s.noPeers && !s.epoch.Busy(day) {
		return nil
	}
	for _, e := range s.entities[tokenwatch.EntityToken] {
		if _, ok := e.find(hour); !ok && e.usual.Silence(day) {
			s.addWindow(e, window.New(hour))
		}
	}
	return s.listenAsleep(hour)
}

func clearJudged(list []judged) []judged {
	if cap(list) > 1<<10 {
		return nil // an hour's worth shall not take the memory for ever
	}
	clear(list)
	return list[:0]
}

func (s *shard) learnWindow(j *judged, common *baseline.Common, delta *baseline.Epoch) {
	e := j.e
	s.opened--
	if e.windows[0].Empty() {
		// Opened by listen: there is nothing to learn.
		e.windows = slices.Delete(e.windows, 0, 1)
		return
	}
	e.usual.Learn(e.windows[0], baseline.Lesson{
		Odd: finding.Score(j.lesson.rate) >= odd, Sure: finding.Score(j.lesson.rate) >= sure, Sum: j.lesson.sum, Peers: s.peers(e.Kind),
		Delta: &delta.Kinds[e.Kind], Group: &delta.Groups[e.usual.Group(e.Kind)], Common: common,
	})
	if e.windows[0].Stored {
		s.dropped = append(s.dropped, windowKey(s.name, e.Entity, j.hour))
	}
	s.pool.Put(e.windows[0])
	e.windows = slices.Delete(e.windows, 0, 1)
	if e.spent() {
		s.forget(e)
		return
	}
	s.change(e)
}
