package engine

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/engine/sources"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/storage"
)

// health watches one tenant's sources of logs. That one fell silent, or that much
// more of what it sent was refused than usually, is a finding about the source, one
// a day and kind. It is raised as soon as the tenant's time says so, and settles
// with the hours it is about.
type health struct {
	*tenant
	mu     sync.Mutex // readers ask while the engine works
	by     map[string]*sources.Source
	over   int64 // records of sources that there was no room for
	alarms map[alarmKey]*alarm
	judged int32 // minute of the last look at hours that have not settled
	now    int32 // minute of the greatest event time, for readers
	latest int32 // the same as of the last entry that was observed
	holes  atomic.Pointer[map[string][]sources.Hole]
	out    []tokenwatch.Finding
	dirty  bool

	minutes map[minuteKey]int64 // of the batch at hand
}

// maxSources is how many sources of a tenant are watched.
const maxSources = 1000

// The kinds of findings about a source.
const (
	kindSilent  = "source_silent"
	kindRejects = "source_rejects"
)

type alarmKey struct {
	source, kind string
	day          int32
}

// alarm is what is told in one finding about a source.
type alarm struct {
	_        struct{} `cbor:",toarray"`
	Source   string
	Kind     string
	Day      int32
	Final    []sources.Alarm // of hours that have settled
	Revision int
	Settled  bool
	Told     uint64 // digest of what was told last

	open []sources.Alarm // of hours that have not
}

type minuteKey struct {
	source uint32
	minute int32
}

func newHealth(t *tenant) *health {
	return &health{tenant: t, by: map[string]*sources.Source{}, alarms: map[alarmKey]*alarm{}, minutes: map[minuteKey]int64{}}
}

// observe takes in what a batch shows of its sources. It comes before the hours
// that the batch settles do.
func (h *health) observe(entry tokenwatch.Entry, r *feature.Rows) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latest = max(h.latest, h.minute())
	clock := h.latest // as of the entry before, however many are taken in together
	seen := map[string]*sources.Observation{}
	of := func(name string) *sources.Observation {
		o := seen[name]
		if o == nil {
			o = &sources.Observation{Came: entry.Time.UnixNano(), Clock: clock}
			seen[name] = o
		}
		return o
	}
	h.count(r, of)
	for _, request := range entry.Requests {
		if len(request.Rejects) > 0 && request.Source != "" {
			of(request.Source).Rejects += int64(len(request.Rejects))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		o := seen[name]
		if s := h.source(name); s != nil {
			s.Take(o)
		} else {
			h.over += o.Rows + o.Rejects
		}
		if o.Rejects > 0 {
			h.judged = 0 // look again though no minute has passed
		}
		h.latest = max(h.latest, int32(o.Newest/int64(time.Minute)))
	}
	h.dirty = h.dirty || len(seen) > 0
}

// count counts a batch's rows by source and minute. Nearly all batches have one
// source, and its rows come by time.
func (h *health) count(r *feature.Rows, of func(string) *sources.Observation) {
	v := r.Batch.Column(tokenwatch.ColSource)
	if v.Codes == nil {
		return
	}
	rows, newest := make([]int64, v.Dict.Len()), make([]int64, v.Dict.Len())
	clear(h.minutes)
	var at minuteKey
	n := int64(0)
	future := r.Batch.Column(tokenwatch.ColFuture).Bools
	for i, code := range v.Codes {
		rows[code]++
		e := &r.Events[i]
		if e.Millis > newest[code] && (future == nil || !future[i]) {
			newest[code] = e.Millis
		}
		if e.Hour == feature.NoHour || e.Hour < h.settled {
			continue
		}
		k := minuteKey{code, int32(e.Millis / 60_000)}
		if k != at {
			if n > 0 {
				h.minutes[at] += n
			}
			at, n = k, 0
		}
		n++
	}
	if n > 0 {
		h.minutes[at] += n
	}
	for code, n := range rows {
		if name := v.Dict.At(code); n > 0 && name != "" {
			o := of(name)
			o.Rows, o.Newest = n, newest[code]*int64(time.Millisecond)
		}
	}
	for k, n := range h.minutes {
		if name := v.Dict.At(int(k.source)); name != "" {
			o := of(name)
			o.Minutes = append(o.Minutes, sources.Minute{Minute: k.minute, Events: n})
		}
	}
}

// source finds or makes a source, nil if there is no room for another.
func (h *health) source(name string) *sources.Source {
	s, ok := h.by[name]
	if !ok {
		if len(h.by) >= maxSources {
			return nil
		}
		s = &sources.Source{}
		h.by[strings.Clone(name)] = s
	}
	return s
}

// settle ends what is about hours before one.
func (h *health) settle(end int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.minute()
	for _, name := range slices.Sorted(maps.Keys(h.by)) {
		s := h.by[name]
		silent, bad := s.Settle(min(end, now/60))
		if end == math.MaxInt32 { // no more events will come: the hour that has begun is whole
			rest, odd := s.Judge(now)
			silent, bad = append(silent, rest...), append(bad, odd...)
		}
		h.note(name, kindSilent, silent)
		h.note(name, kindRejects, bad)
		if s.Gone(end) {
			delete(h.by, name)
		}
	}
	h.publish()
	h.judged, h.dirty = 0, true
	h.judge(end)
	for k, a := range h.alarms {
		if a.Settled && k.day+2 <= min(end, now/60)/24 {
			delete(h.alarms, k)
		}
	}
}

// publish makes the holes of settled hours known to readers of the inventory.
func (h *health) publish() {
	var all map[string][]sources.Hole
	for name, s := range h.by {
		if len(s.Holes) > 0 {
			if all == nil {
				all = map[string][]sources.Hole{}
			}
			all[name] = slices.Clone(s.Holes)
		}
	}
	if all != nil || h.holes.Load() != nil {
		h.holes.Store(&all)
	}
}

// holesOf lists the holes of a source that are known at a time, in UTC nanoseconds.
func (h *health) holesOf(source string, now int64) []tokenwatch.Window {
	all := h.holes.Load()
	if all == nil {
		return nil
	}
	var out []tokenwatch.Window
	for _, x := range (*all)[source] {
		if minuteStart(x.Found).UnixNano() > now {
			continue
		}
		w := tokenwatch.Window{Start: minuteStart(x.From), End: time.Unix(0, now).UTC()}
		if x.To != 0 && minuteStart(x.To).Before(w.End) {
			w.End = minuteStart(x.To)
		}
		out = append(out, w)
	}
	return out
}

// note keeps what settled hours came to.
func (h *health) note(source, kind string, alarms []sources.Alarm) {
	for _, a := range alarms {
		to := h.alarm(alarmKey{source, kind, a.At / 60 / 24})
		to.Final = append(to.Final, a)
		to.Settled = false
	}
}

func (h *health) alarm(k alarmKey) *alarm {
	a := h.alarms[k]
	if a == nil {
		a = &alarm{Source: k.source, Kind: k.kind, Day: k.day}
		h.alarms[k] = a
	}
	return a
}

// minute is the minute of the greatest event time.
func (h *health) minute() int32 { return int32(max(0, h.watermark.Greatest()) / int64(time.Minute)) }

// look judges hours that have not settled, where time has passed.
func (h *health) look() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.minute()
	h.judge(h.settled)
}

// judge looks at the hours from one on, and tells what is new.
func (h *health) judge(settled int32) {
	now := h.minute()
	if now == h.judged {
		return
	}
	h.judged = now
	for _, a := range h.alarms {
		a.open = a.open[:0]
	}
	if settled != math.MaxInt32 {
		for name, s := range h.by {
			silent, bad := s.Judge(now)
			for _, a := range silent {
				to := h.alarm(alarmKey{name, kindSilent, a.At / 60 / 24})
				to.open = append(to.open, a)
			}
			for _, a := range bad {
				to := h.alarm(alarmKey{name, kindRejects, a.At / 60 / 24})
				to.open = append(to.open, a)
			}
		}
	}
	for k, a := range h.alarms {
		h.tell(a)
		if len(a.open)+len(a.Final) == 0 && a.Revision == 0 {
			delete(h.alarms, k)
		}
	}
}

// tell emits what is new of an alarm: that there is one, and how it settled.
func (h *health) tell(a *alarm) {
	none := len(a.open)+len(a.Final) == 0
	settled := len(a.open) == 0
	if a.Settled && settled || none && a.Revision == 0 || a.Revision > 0 && !settled {
		return
	}
	f := h.finding(a, settled)
	told := vec.NewHash([16]byte(h.key[:16])).String(string(f.Canonical()))
	a.Settled = settled
	if told == a.Told {
		return
	}
	a.Revision++
	a.Told = told
	f.Revision = a.Revision
	h.out = append(h.out, f)
	h.dirty = true
}

// titles of the kinds, and what they bear on.
var healthKinds = map[string]struct {
	attack, controls []string
}{
	kindSilent:  {[]string{"T1562.008"}, []string{"NIST-800-53:AU-5", "PCI-DSS:10.7.2", "CIS8:8.2", "ISO27001:A.8.15"}},
	kindRejects: {[]string{}, []string{"NIST-800-53:AU-5", "PCI-DSS:10.7.2", "CIS8:8.2"}},
}

// finding makes the finding that an alarm tells of.
func (h *health) finding(a *alarm, settled bool) tokenwatch.Finding {
	e := tokenwatch.Entity{Kind: tokenwatch.EntitySource, ID: a.Source}
	about := healthKinds[a.Kind]
	day := time.Unix(int64(a.Day)*86400, 0).UTC()
	f := tokenwatch.Finding{
		ID: finding.ID(h.key, h.name, e, tokenwatch.ClassPolicy, a.Kind, a.Day), Tenant: h.name,
		EntityKind: e.Kind, Entity: e.ID, Class: tokenwatch.ClassPolicy, Kind: a.Kind, Settled: settled,
		Status: tokenwatch.StatusNew, Detectors: []string{a.Kind}, Reasons: []tokenwatch.Reason{}, Evidence: []tokenwatch.Event{},
		RequestIDs: []string{}, Attack: about.attack, Controls: about.controls,
	}
	all := slices.Concat(a.Final, a.open)
	slices.SortFunc(all, func(x, y sources.Alarm) int { return cmp.Compare(x.At, y.At) })
	if len(all) == 0 {
		f.Withdrawn, f.Time, f.Window = true, day, tokenwatch.Window{Start: day, End: day.Add(24 * time.Hour)}
		f.Severity = tokenwatch.SeverityOf(f.Score)
		f.Summary = "withdrawn: with all events at hand, the source did as it usually does"
		return f
	}
	for _, x := range all[:min(len(all), tokenwatch.MaxEvidence)] {
		score, reason := silence(&x)
		if a.Kind == kindRejects {
			score, reason = refusal(&x)
		} else {
			f.Evidence = append(f.Evidence, tokenwatch.Event{Time: minuteStart(x.Since), Source: a.Source})
		}
		f.Score = max(f.Score, score)
		f.Reasons = append(f.Reasons, reason)
	}
	first, last := all[0], all[len(all)-1]
	f.Severity = tokenwatch.SeverityOf(f.Score)
	f.Time = minuteStart(first.At)
	f.Window = tokenwatch.Window{Start: f.Time, End: minuteStart(last.At)}
	if a.Kind == kindSilent {
		f.Window.Start = minuteStart(first.Since)
	} else {
		f.Window.End = f.Window.End.Add(time.Hour)
	}
	f.Summary = "This source " + f.Reasons[0].Text
	if n := len(all); n > 1 {
		f.Summary += fmt.Sprintf("; it was so %d times that day", n)
	}
	f.Summary += "."
	return f
}

func minuteStart(minute int32) time.Time { return time.Unix(int64(minute)*60, 0).UTC() }

// silence says of a source that it fell silent.
func silence(a *sources.Alarm) (score int, r tokenwatch.Reason) {
	return 75, tokenwatch.Reason{
		Detector: kindSilent, Observed: float64(a.At - a.Since), Expected: float64(a.Longest), Attack: healthKinds[kindSilent].attack,
		Text: fmt.Sprintf("sent nothing from %s to %s; of the time at which it usually sends, it was never without events for more than %s in four weeks",
			minuteStart(a.Since+1).Format("2006-01-02 15:04"), minuteStart(a.At).Format("2006-01-02 15:04"), minutes(max(1, a.Longest))),
	}
}

func minutes(n int32) string {
	if n == 1 {
		return "a minute"
	}
	return fmt.Sprintf("%d minutes", n)
}

// refusal says of a source that much of what it sent could not be stored.
func refusal(a *sources.Alarm) (score int, r tokenwatch.Reason) {
	share := 10_000 * a.Rejects / (a.Events + a.Rejects)
	score = 60
	if share >= 5_000 {
		score = 75
	}
	return score, tokenwatch.Reason{
		Detector: kindRejects, Observed: float64(share) / 100, Expected: float64(a.Usual) / 100,
		Text: fmt.Sprintf("had %d of %d records refused in the hour from %s, where %d.%02d of a hundred are usual",
			a.Rejects, a.Events+a.Rejects, minuteStart(a.At).Format("2006-01-02 15:04"), a.Usual/100, a.Usual%100),
	}
}

// healthRecord is what is stored of a tenant's sources.
type healthRecord struct {
	_       struct{} `cbor:",toarray"`
	Over    int64
	Now     int32
	Sources map[string]*sources.Source
	Alarms  []*alarm
}

// records puts what has changed since the last snapshot.
func (h *health) records(out *[]storage.Record) {
	if !h.dirty {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dirty = false
	r := healthRecord{Over: h.over, Now: h.now, Sources: h.by}
	r.Alarms = slices.SortedFunc(maps.Values(h.alarms), func(a, b *alarm) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Day, b.Day))
	})
	*out = append(*out, storage.Record{Key: appendPart([]byte{recHealth}, h.name), Value: encode(&r)})
}

// load takes back what was stored.
func (h *health) load(r storage.Record) error {
	var stored healthRecord
	if err := decode(r, &stored); err != nil {
		return err
	}
	h.over, h.now = stored.Over, stored.Now
	for name, s := range stored.Sources {
		if s == nil {
			return corrupt(r)
		}
		h.by[name] = s
	}
	for _, a := range stored.Alarms {
		if a == nil {
			return corrupt(r)
		}
		h.alarms[alarmKey{a.Source, a.Kind, a.Day}] = a
	}
	h.publish()
	return nil
}
