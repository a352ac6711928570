package engine

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/engine/sigma"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/storage"
)

// watch runs Sigma rules on one tenant's events. What a rule matches of an entity
// on one UTC day is one finding; so is what a correlation comes to in one group.
// Both depend only on which events there were up to the watermark.
type watch struct {
	*tenant
	rules   *sigma.Pack
	follow  *sigma.Follower
	matches map[matchKey]*match
	open    map[*match]struct{} // that have not settled
	out     []tokenwatch.Finding
	checked int32 // hours before this one were settled
	dirty   bool  // differs from what was stored
}

// matchKey names what is told in one finding: of a rule the entity counts, of a
// correlation the group.
type matchKey struct {
	rule, about string
	day         int32
}

// match is one rule matched on one day.
type match struct {
	_        struct{} `cbor:",toarray"`
	Rule     string
	About    string // entity of a rule, or group of a correlation
	Day      int32
	Entity   tokenwatch.Entity
	Events   []tokenwatch.EventRef // earliest first
	Done     []tokenwatch.EventRef // of a correlation: those that have settled,
	DoneLast int32                 // the last hour of them
	First    int32                 // hours of the first and the last event
	Last     int32
	Count    int // events that a rule matched
	Settled  bool
	Revision int
	Told     uint64            // digest of what was told last
	As       tokenwatch.Entity // whom it was told of
}

func newWatch(t *tenant) *watch {
	w := &watch{tenant: t, matches: map[matchKey]*match{}, open: map[*match]struct{}{}}
	w.use(t.rules)
	return w
}

// use has the watch go by other rules, from here on.
func (w *watch) use(p *sigma.Pack) {
	held := map[string][]sigma.Candidate{}
	if w.follow != nil {
		held = w.follow.Held
	}
	w.rules, w.follow = p, sigma.Follow(p)
	for _, c := range p.Correlations {
		if list, ok := held[c.Key()]; ok {
			w.follow.Held[c.Key()] = list
		}
	}
}

// take looks at a batch.
func (w *watch) take(r *feature.Rows) error {
	if len(w.rules.Rules) == 0 {
		return nil
	}
	view := sigma.NewView(r.Batch)
	found := map[string][]int{}
	latest := int64(0)
	for _, rule := range w.rules.Rules {
		rows := slices.DeleteFunc(rule.Match(view), func(row int) bool {
			return r.Events[row].Hour == feature.NoHour || r.Events[row].Hour < w.settled || r.Events[row].Lead == feature.NoLead
		})
		if len(rows) == 0 {
			continue
		}
		found[rule.Key()] = rows
		for _, row := range rows {
			latest = max(latest, r.Events[row].Millis)
			if !rule.Silent {
				w.hit(rule.Key(), entityOf(r, row), r.Ref(row))
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	if w.follow.Take(view, found, r.Ref, func(row int) tokenwatch.Entity { return entityOf(r, row) }) {
		w.dirty = true
		w.correlate(w.settled)
	}
	return w.tell(latest)
}

// entityOf is whose habits a row belongs to.
func entityOf(r *feature.Rows, row int) tokenwatch.Entity {
	e := tokenwatch.Entity{Kind: r.Events[row].Lead}
	switch e.Kind {
	case tokenwatch.EntityToken:
		e.ID = strings.Clone(r.Batch.Text(tokenwatch.ColToken, row))
	case tokenwatch.EntityActor:
		e.ID = strings.Clone(r.Batch.Text(tokenwatch.ColActor, row))
	default:
		e.ID = r.Batch.Addr(row).String()
	}
	return e
}

// maxMatches is how many things rules may find in two days of a tenant, and how many
// breaches of policies by events are told of.
const maxMatches = 1 << 16

// match finds or makes what is told under a key.
func (w *watch) match(k matchKey) *match {
	m, ok := w.matches[k]
	if !ok {
		m = &match{Rule: k.rule, About: k.about, Day: k.day, First: math.MaxInt32, Last: math.MinInt32}
		w.matches[k] = m
	}
	return m
}

// change notes that a match is to be told, and stored.
func (w *watch) change(m *match) {
	m.Settled = false
	w.open[m] = struct{}{}
	w.dirty = true
}

// hit notes an event that a rule matches.
func (w *watch) hit(rule string, e tokenwatch.Entity, ref tokenwatch.EventRef) {
	hour := int32(ref.Millis / 3600_000)
	k := matchKey{rule, e.Kind.String() + " " + e.ID, hour / 24}
	if w.matches[k] == nil && len(w.matches) >= maxMatches {
		w.missed(overflow{Hour: hour, Untold: 1, First: ref})
		return
	}
	m := w.match(k)
	m.Entity = e
	m.Count++
	m.First, m.Last = min(m.First, hour), max(m.Last, hour)
	m.Events = insertRef(m.Events, ref)
	w.change(m)
}

// insertRef adds a reference in its place, and keeps the earliest.
func insertRef(list []tokenwatch.EventRef, ref tokenwatch.EventRef) []tokenwatch.EventRef {
	at, same := slices.BinarySearchFunc(list, ref, tokenwatch.EventRef.Compare)
	if same || at == tokenwatch.MaxEvidence {
		return list
	}
	list = slices.Insert(list, at, ref)
	return list[:min(len(list), tokenwatch.MaxEvidence)]
}

// correlate finds anew what correlations come to in hours from the given one on.
// What came true in hours before was told.
func (w *watch) correlate(from int32) {
	type sum struct {
		entity tokenwatch.Entity
		events []tokenwatch.EventRef
		hours  []int32
	}
	now := map[matchKey]*sum{}
	for _, f := range w.follow.Fired() {
		hour := int32(f.Events[len(f.Events)-1].Millis / 3600_000)
		if hour < from {
			continue
		}
		k := matchKey{f.By.Key(), f.Group, hour / 24}
		s := now[k]
		if s == nil {
			s = &sum{entity: f.Entity}
			now[k] = s
		}
		s.hours = append(s.hours, hour)
		for _, ref := range f.Events {
			s.events = insertRef(s.events, ref)
		}
	}
	for _, c := range w.rules.Correlations {
		for k, m := range w.matches {
			if k.rule == c.Key() && now[k] == nil && len(m.Events) > len(m.Done) && k.day >= from/24 {
				m.Events, m.Last = slices.Clone(m.Done), m.DoneLast
				w.change(m)
			}
		}
	}
	for k, s := range now {
		m := w.match(k)
		events := slices.Clone(m.Done)
		for _, ref := range s.events {
			events = insertRef(events, ref)
		}
		last := max(m.DoneLast, slices.Max(s.hours))
		first, entity := m.First, m.Entity
		if len(m.Done) == 0 {
			first, entity = slices.Min(s.hours), s.entity
		}
		if slices.Equal(events, m.Events) && m.Last == last && m.First == first && m.Entity == entity {
			continue
		}
		m.Events, m.First, m.Last, m.Entity = events, first, last, entity
		w.change(m)
	}
}

// settle ends what is about hours before one.
func (w *watch) settle(end int32) error {
	for _, f := range w.follow.Fired() {
		hour := int32(f.Events[len(f.Events)-1].Millis / 3600_000)
		if hour < w.checked || hour >= end {
			continue
		}
		m := w.match(matchKey{f.By.Key(), f.Group, hour / 24})
		if len(m.Done) == 0 {
			m.Entity, m.First = f.Entity, hour
		}
		m.DoneLast = max(m.DoneLast, hour)
		for _, ref := range f.Events {
			m.Done = insertRef(m.Done, ref)
		}
		w.dirty = true
	}
	w.checked = end
	if len(w.follow.Held) > 0 && end != math.MaxInt32 {
		w.follow.Forget(int64(end) * 3600_000)
		w.dirty = true
	}
	if err := w.tell(0); err != nil {
		return err
	}
	for k, m := range w.matches {
		if m.Settled && k.day+2 <= end/24 {
			delete(w.matches, k)
			w.dirty = true
		}
	}
	return nil
}

// tell emits what is new of matches. latest is the time of the event that led to
// it, in UTC milliseconds.
func (w *watch) tell(latest int64) error {
	open := slices.SortedFunc(maps.Keys(w.open), func(a, b *match) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.About, b.About), cmp.Compare(a.Day, b.Day))
	})
	for _, m := range open {
		none := len(m.Events) == 0
		settled := none || m.Last < w.tenant.settled
		if m.Revision > 0 && !settled && m.As == m.Entity {
			continue // told; the rest when it has settled
		}
		if settled {
			m.Settled = true
			delete(w.open, m)
		}
		if none && m.Revision == 0 {
			continue
		}
		if m.Revision > 0 && m.As != m.Entity { // told of another, who did not come first after all
			if err := w.emit(m, m.As, true, settled, latest); err != nil {
				return err
			}
			m.Revision = 0
		}
		if err := w.emit(m, m.Entity, none, settled, latest); err != nil {
			return err
		}
	}
	return nil
}

// emit tells of a match, if there is anything new to tell.
func (w *watch) emit(m *match, e tokenwatch.Entity, withdrawn, settled bool, latest int64) error {
	f, err := w.finding(m, e, withdrawn, settled, latest)
	if err != nil {
		return err
	}
	told := vec.NewHash([16]byte(w.key[:16])).String(string(f.Canonical()))
	if told == m.Told && e == m.As {
		return nil
	}
	m.Revision++
	m.Told, m.As = told, e
	f.Revision = m.Revision
	w.out = append(w.out, f)
	w.dirty = true
	return nil
}

// sigmaScores are the scores of findings by the level of their rule.
var sigmaScores = map[sigma.Level]int{
	sigma.Informational: 20, sigma.Low: 40, sigma.Medium: 70, sigma.High: 80, sigma.Critical: 95,
}

// finding makes the finding that a match tells of.
func (w *watch) finding(m *match, e tokenwatch.Entity, withdrawn, settled bool, latest int64) (tokenwatch.Finding, error) {
	kind := m.Rule
	title, author, level, attack, correlation := w.about(m.Rule)
	if correlation {
		kind += " " + m.About // of one entity and day, each group has its own
	}
	day := time.Unix(int64(m.Day)*86400, 0).UTC()
	f := tokenwatch.Finding{
		ID: finding.ID(w.key, w.name, e, tokenwatch.ClassPolicy, kind, m.Day), Tenant: w.name,
		EntityKind: e.Kind, Entity: e.ID, Class: tokenwatch.ClassPolicy, Kind: m.Rule, Settled: settled,
		Status: tokenwatch.StatusNew, Detectors: []string{"sigma"}, Reasons: []tokenwatch.Reason{}, Evidence: []tokenwatch.Event{},
		RequestIDs: []string{}, Attack: append([]string{}, attack...), Score: sigmaScores[level],
	}
	f.Severity = tokenwatch.SeverityOf(f.Score)
	if e.Kind == tokenwatch.EntityToken {
		f.Token = tokenwatch.TokenID(e.ID)
	}
	if withdrawn {
		f.Withdrawn, f.Time, f.Window = true, day, tokenwatch.Window{Start: day, End: day.Add(24 * time.Hour)}
		f.Summary = "withdrawn: with all events at hand, the rule does not match"
		return f, nil
	}
	text := fmt.Sprintf("matched the Sigma rule %q", title)
	if author != "" {
		text += " by " + author
	}
	f.Reasons = append(f.Reasons, tokenwatch.Reason{Detector: "sigma", Text: text, Observed: float64(max(m.Count, len(m.Events))), Attack: f.Attack})
	f.Summary = fmt.Sprintf("This %s %s.", e.Kind, text)
	for _, ref := range m.Events {
		ev, err := finding.EventOf(ref, w.log)
		if err != nil {
			return f, err
		}
		f.Evidence = append(f.Evidence, ev)
		if ev.RequestID != "" {
			f.RequestIDs = append(f.RequestIDs, ev.RequestID)
		}
	}
	f.Window = tokenwatch.Window{Start: finding.HourStart(min(m.First, m.Last)), End: finding.HourStart(m.Last + 1)}
	f.Time = f.Evidence[0].Time
	if !settled && latest > 0 {
		f.Time = time.UnixMilli(latest).UTC()
	}
	f.SrcIP, f.Actor = f.Evidence[0].SrcIP, f.Evidence[0].Actor
	if f.Token == "" {
		f.Token = f.Evidence[0].Token
	}
	return f, nil
}

// about is what a finding says of its rule or correlation.
func (w *watch) about(key string) (title, author string, level sigma.Level, attack []string, correlation bool) {
	for _, c := range w.rules.Correlations {
		if c.Key() == key {
			return c.Title, c.Author, c.Level, c.Attack, true
		}
	}
	for _, r := range w.rules.Rules {
		if r.Key() == key {
			return r.Title, r.Author, r.Level, r.Attack, false
		}
	}
	return key, "", sigma.Medium, nil, strings.Contains(key, "\x00") // of rules that are no longer in use
}

// watchRecord is what is stored of a watch.
type watchRecord struct {
	_       struct{} `cbor:",toarray"`
	Checked int32
	Matches []*match
	Held    map[string][]sigma.Candidate
}

// records puts what has changed since the last snapshot.
func (w *watch) records(out *[]storage.Record) {
	if !w.dirty {
		return
	}
	w.dirty = false
	r := watchRecord{Checked: w.checked, Held: w.follow.Held}
	r.Matches = slices.SortedFunc(maps.Values(w.matches), func(a, b *match) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.About, b.About), cmp.Compare(a.Day, b.Day))
	})
	*out = append(*out, storage.Record{Key: appendPart([]byte{recWatch}, w.name), Value: encode(&r)})
}

// load takes back what was stored.
func (w *watch) load(r storage.Record) error {
	var stored watchRecord
	if err := decode(r, &stored); err != nil {
		return err
	}
	w.checked = stored.Checked
	for _, m := range stored.Matches {
		w.matches[matchKey{m.Rule, m.About, m.Day}] = m
		if !m.Settled {
			w.open[m] = struct{}{}
		}
	}
	if stored.Held != nil {
		w.follow.Held = stored.Held
	}
	return nil
}
