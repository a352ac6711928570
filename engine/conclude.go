package engine

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/finding"
)

// conclude tells what the shards have judged of a batch, all together: in order of
// the entities, so that it does not depend on how shards share them out.
func (t *tenant) conclude() error {
	causes := t.foresee()
	list := t.gatherJudged()
	for _, c := range causes {
		if err := t.takeBack(c, list); err != nil {
			return err
		}
	}
	for _, j := range list {
		if c := j.of(causes); c != nil && c.shared && c.hour == j.hour {
			t.home(j.e).again(j, t.causes.Now())
			if !j.raises {
				c.join(j)
			}
		}
	}
	for _, c := range causes {
		latest := int64(0)
		for _, j := range list {
			if j.hour == c.hour {
				latest = max(latest, j.latest)
			}
		}
		if latest == 0 {
			latest = c.changes[0].first.Millis
		}
		if err := t.tellCause(c, time.UnixMilli(latest).UTC()); err != nil {
			return err
		}
	}
	raised, err := t.describe(slices.DeleteFunc(list, func(j *judged) bool { return !j.news() }))
	if err != nil {
		return err
	}
	if err := t.tellAll(raised, causes, nil, 0); err != nil {
		return err
	}
	for _, s := range t.shards {
		s.judged = clearJudged(s.judged)
	}
	return nil
}

// news tells whether an open window gives reason for more than was told of it, and
// whether that is worth a revision.
func (j *judged) news() bool {
	in := j.e.existing(j.hour / 24)
	switch {
	case in == nil:
		return true
	case in.Covers(j.hour) && !in.Has(j.hour):
		return finding.Score(j.Rate) >= in.Score+5
	case escalates(in, j.hour, j.Combined):
		return true
	}
	j.quiet = true
	return !in.Has(j.hour)
}

// silent tells whether there is nothing to say of a window, nor was anything told of
// its entity: so it is with most of an hour that settles.
func (j *judged) silent() bool {
	return len(j.Signals) == 0 && len(j.shown) == 0 && len(j.e.incidents) == 0 && j.latest == 0
}

// gatherJudged lists what the shards have judged and is not silent, in order of the
// entities.
func (t *tenant) gatherJudged() []*judged {
	var list []*judged
	for _, s := range t.shards {
		for i := range s.judged {
			if j := &s.judged[i]; !j.silent() {
				list = append(list, j)
			}
		}
	}
	slices.SortFunc(list, func(a, b *judged) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), compareEntities(a.e, b.e))
	})
	return list
}

func compareEntities(a, b *entity) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
}

// again judges a window once more, with more taken for known.
func (s *shard) again(j *judged, common *baseline.Common) {
	usual := &j.e.usual
	if j.latest != 0 {
		usual = s.usualFor(j.e)
	}
	at, _ := j.e.find(j.hour)
	now := s.judge(j.e, at, usual, common)
	j.alone, j.would = j.Rate, j.raises
	j.Combined, j.lesson = now.Combined, now.lesson
	j.raises = s.raises(j.Combined)
}

// foresee recognises causes in hours that are open, as far as they are seen by now:
// those of hours in which the batch at hand showed more.
func (t *tenant) foresee() []*cause {
	var causes []*cause
	for _, hour := range t.mergeTallies() {
		tally := t.tallies[hour]
		if len(t.causes.Recognise(tally, t.peers(tokenwatch.EntityToken))) == 0 {
			continue
		}
		var sights []sight
		for _, s := range t.shards {
			for _, e := range s.open[hour] {
				at, _ := e.find(hour)
				if w := e.windows[at]; len(w.Shown) > 0 {
					sights = append(sights, sight{e, w.Shown, w.Calm})
				}
			}
		}
		found := t.causesOf(hour, tally, sights, &groups{t.openGroups, &groups{t.groupOf, nil}})
		t.causes.Foresee(hour, list(found))
		causes = append(causes, found...)
	}
	return causes
}

// takeBack withdraws what was raised before a cause was recognised and only for it.
func (t *tenant) takeBack(c *cause, now []*judged) error {
	if !c.shared {
		return nil
	}
	var told []*entity
	for e := range c.members {
		if in := e.existing(c.hour / 24); in != nil && in.Has(c.hour) {
			told = append(told, e)
		}
	}
	slices.SortFunc(told, compareEntities)
	for _, e := range told {
		in, s := e.existing(c.hour/24), t.home(e)
		j := judged{e: e, hour: c.hour, latest: 1, raises: true}
		j.Rate = in.At(c.hour).Rate
		s.again(&j, t.causes.Now())
		if j.raises {
			continue
		}
		c.join(&j)
		in.Explain(c.hour, t.id(t.groupNamed(c.group.ID), c.hour/24))
		s.tell(e, in, time.UnixMilli(c.changes[0].first.Millis).UTC())
	}
	return nil
}

// settleHour gives the final word on an hour: all entities' windows of it are judged
// by the epoch before it, and make the next one together.
func (t *tenant) settleHour(hour int32) error {
	t.namesakes.settling = true
	defer func() { t.namesakes.settling = false }()
	if err := t.passOn(hour); err != nil {
		return err
	}
	if err := t.guard.settleWindows(hour); err != nil {
		return err
	}
	if err := t.inherit(hour); err != nil {
		return err
	}
	t.judgeMints(hour)
	if err := t.remakeHour(hour); err != nil {
		return err
	}
	deltas := make([]baseline.Epoch, len(t.shards))
	if err := t.each(t.opened(hour), func(s *shard) error { return s.judgeHour(hour, &deltas[s.index]) }); err != nil {
		return err
	}
	var tally baseline.Tally
	for _, s := range t.shards {
		if d := s.tallies[hour]; d != nil {
			tally.Merge(d)
		}
		clear(s.tallies)
	}
	delete(t.tallies, hour)
	list := t.gatherJudged()
	causes, common := t.settleCauses(hour, &tally, list)
	for _, j := range list {
		if c := j.of(causes); c != nil && c.shared {
			t.home(j.e).again(j, common)
			if j.would && !j.raises {
				c.join(j)
			}
		}
	}
	if err := t.settleIncidents(hour, list, causes); err != nil {
		return err
	}
	if err := t.settleOverflow(hour); err != nil {
		return err
	}
	if err := t.each(t.opened(hour), func(s *shard) error { s.learnHour(hour, &deltas[s.index]); return nil }); err != nil {
		return err
	}
	t.closeNames(hour)
	t.forgetGroups(hour)
	t.epoch.Settle(hour, deltas)
	t.dirty = true
	return nil
}

// opened is how many windows of an hour are open.
func (t *tenant) opened(hour int32) int {
	n := 0
	for _, s := range t.shards {
		n += len(s.open[hour])
	}
	return n
}

// settleCauses recognises the causes of an hour that settles.
func (t *tenant) settleCauses(hour int32, tally *baseline.Tally, judgements []*judged) ([]*cause, *baseline.Common) {
	var sights []sight
	for _, j := range judgements {
		if j.raises = t.raises(j.Combined); len(j.shown) > 0 {
			sights = append(sights, sight{j.e, j.shown, j.calm})
		}
	}
	causes := t.causesOf(hour, tally, sights, &groups{t.groupOf, nil})
	t.causes.Settle(hour, tally, list(causes))
	return causes, t.causes.Closed()
}

// settleIncidents tells the settled revisions of what is about an hour.
func (t *tenant) settleIncidents(hour int32, list []*judged, causes []*cause) error {
	var calm []*entity // of which something was told while the hour was open
	for _, j := range list {
		in := j.e.existing(hour / 24)
		if j.raises || in == nil {
			continue
		}
		into := ""
		if j.would {
			into = t.id(t.groupNamed(j.of(causes).group.ID), hour/24)
		}
		in.Explain(hour, into)
		in.Put(hour, nil)
		calm = append(calm, j.e)
	}
	raised, err := t.describe(list)
	if err != nil {
		return err
	}
	if err := t.tellAll(raised, causes, calm, hour); err != nil {
		return err
	}
	for _, c := range causes {
		if err := t.tellCause(c, time.Time{}); err != nil {
			return err
		}
	}
	// What was told of others while the hour was open, and has not been told again.
	for _, s := range t.shards {
		for e := range s.incidental {
			in := e.existing(hour / 24)
			if in == nil {
				continue
			}
			if h := in.At(hour); h != nil && !h.Settled {
				if by := t.bearer(tokenwatch.TokenID(e.ID), hour); e.raw != nil && by != nil && by != e {
					t.leave(e, hour, by, time.Time{})
					continue
				}
				in.Put(hour, nil)
				s.tell(e, in, time.Time{})
			}
		}
	}
	return nil
}

// forgetGroups drops what no hour to come can go on with.
func (t *tenant) forgetGroups(hour int32) {
	for _, of := range []map[baseline.Change]known{t.groupOf, t.openGroups} {
		maps.DeleteFunc(of, func(_ baseline.Change, k known) bool { return k.Until < hour })
	}
	for p, list := range t.sprayers {
		list = slices.DeleteFunc(list, func(e *entity) bool { return len(e.incidents) == 0 })
		if t.sprayers[p] = list; len(list) == 0 {
			delete(t.sprayers, p)
		}
	}
	for id, e := range t.groups {
		if len(e.incidents) == 0 {
			delete(t.groups, id)
		}
	}
}
