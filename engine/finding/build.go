package finding

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// maxReasonValues is how many values a reason shows.
const maxReasonValues = 10

var idEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// ID makes the id of a finding from its key, under the store's secret: ids do
// not tell which entities exist.
func ID(key [32]byte, tenant string, e tokenwatch.Entity, class tokenwatch.Class, kind string, day int32) string {
	mac := hmac.New(sha256.New, key[:])
	for _, part := range []string{tenant, e.Kind.String(), e.ID, string(class), kind} {
		mac.Write(binary.AppendUvarint(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(day)))
	return "fnd_" + strings.ToLower(idEncoding.EncodeToString(mac.Sum(nil)[:15]))
}

// Build makes the finding that an incident tells of. An incident without hours
// gives a withdrawn finding. raisedBy is the time of the event that led to a
// provisional revision.
func Build(key [32]byte, tenant string, e tokenwatch.Entity, in *Incident, raisedBy time.Time) tokenwatch.Finding {
	f := tokenwatch.Finding{
		ID:         ID(key, tenant, e, tokenwatch.ClassAnomaly, "", in.Day),
		Tenant:     tenant,
		EntityKind: e.Kind,
		Entity:     e.ID,
		Class:      tokenwatch.ClassAnomaly,
		Settled:    in.Settled(),
		Status:     "new",
		Continues:  in.Continues,
		Detectors:  []string{},
		Reasons:    []tokenwatch.Reason{},
		Evidence:   []tokenwatch.Event{},
		RequestIDs: []string{},
		Attack:     []string{},
	}
	if e.Kind == tokenwatch.EntityToken {
		f.Token = tokenwatch.TokenID(e.ID)
	}
	if len(in.Hours) == 0 {
		day := HourStart(in.Day * 24)
		f.Withdrawn, f.Time, f.Window = true, day, tokenwatch.Window{Start: day, End: day.Add(24 * time.Hour)}
		f.Severity = tokenwatch.SeverityLow
		f.Summary = "withdrawn: with all events of the hour at hand, it was not unusual enough"
		if into := in.Into(); into != "" {
			f.MergedInto, f.Summary = into, "withdrawn: another finding tells of it, with what else belongs to it"
		}
		return f
	}
	strongest := &in.Hours[0]
	for i := range in.Hours {
		if h := &in.Hours[i]; h.Rate < strongest.Rate {
			strongest = h
		}
	}
	// Of hours in which something was as odd, the one that the sentence is about tells.
	f.Reasons = append(f.Reasons, strongest.Reasons...)
	var hours []*Hour
	for i := range in.Hours {
		h := &in.Hours[i]
		if h.Rate > strongest.Rate+faint {
			continue
		}
		hours = append(hours, h)
		f.Learning = f.Learning || h.Learning
		f.Evidence = append(f.Evidence, h.Events...)
		if h != strongest {
			f.Reasons = append(f.Reasons, h.Reasons...)
		}
	}
	f.Reasons = strongestReasons(f.Reasons)
	f.Evidence = earliest(f.Evidence)
	f.Score = Score(strongest.Rate)
	f.Severity = tokenwatch.SeverityOf(f.Score)
	f.Window = tokenwatch.Window{Start: HourStart(hours[0].Hour), End: HourStart(hours[len(hours)-1].Hour + 1)}
	if in.Band.Step > 0 {
		band := in.Band.Cut(f.Window.Start.Add(-context), f.Window.End)
		f.Series = &band
	}
	f.Time = raisedBy
	if f.Settled {
		f.Time = f.Evidence[0].Time
	}
	f.Kind = f.Reasons[0].Detector
	if e.Kind == tokenwatch.EntityGroup {
		f.Kind = KindOf(e)
	}
	for _, r := range f.Reasons {
		f.Detectors = append(f.Detectors, r.Detector)
		f.Attack = append(f.Attack, r.Attack...)
	}
	f.Detectors, f.Attack = sortedSet(f.Detectors), sortedSet(f.Attack)
	for _, ev := range f.Evidence {
		if ev.RequestID != "" {
			f.RequestIDs = append(f.RequestIDs, ev.RequestID)
		}
	}
	if e.Kind != tokenwatch.EntityGroup || f.Kind == KindSource {
		f.SrcIP = strongest.Telling.SrcIP
	}
	if e.Kind != tokenwatch.EntityGroup {
		f.Actor = strongest.Telling.Actor
		if f.Token == "" {
			f.Token = strongest.Telling.Token
		}
	}
	f.Summary = summary(e, strongest)
	f.Members, f.MemberCount = members(in.Hours, f.Kind == KindOutage || f.Kind == KindSurge || f.Kind == KindSchedule)
	return f
}

// context is how much of the time before its window a finding shows.
const context = 24 * time.Hour

// faint is how much less telling than the strongest one an hour may be to be part
// of what is told: beyond, it is most likely another matter.
const faint tokenwatch.Bans = 1000

// summary is the one sentence an analyst reads first.
func summary(e tokenwatch.Entity, h *Hour) string {
	var clauses []string
	for _, r := range h.Reasons[:min(3, len(h.Reasons))] {
		clauses = append(clauses, r.Text)
	}
	if e.Kind == tokenwatch.EntityGroup {
		return fmt.Sprintf("One cause over %d entities: %s.", h.Count, strings.Join(clauses, "; and "))
	}
	often := "more than once a week"
	if h.Rate < 0 {
		often = "once in " + odds(-h.Rate) + " weeks"
	}
	with := ""
	if n := h.Count; n > 0 {
		m := h.Members[0]
		with = fmt.Sprintf(" %d more share it, the most telling %s %s.", n, m.EntityKind, m.Entity)
	}
	return fmt.Sprintf("This %s %s; so odd an hour is expected of an honest one %s.%s", e.Kind, strings.Join(clauses, "; and "), often, with)
}

// odds prints 10^(sum/1000) with one significant digit.
func odds(sum tokenwatch.Bans) string {
	digits := [10]string{"1", "1", "2", "2", "3", "3", "4", "5", "6", "8"} // 10^0.0 … 10^0.9
	places := int(sum) / 1000
	if places >= 9 {
		return "more than 1,000,000,000"
	}
	n := digits[int(sum)%1000/100] + strings.Repeat("0", places)
	for i := len(n) - 3; i > 0; i -= 3 {
		n = n[:i] + "," + n[i:]
	}
	return n
}

// strongestReasons keeps, for each detector and axis, the hour in which it was
// most surprised.
func strongestReasons(reasons []tokenwatch.Reason) []tokenwatch.Reason {
	slices.SortStableFunc(reasons, func(a, b tokenwatch.Reason) int {
		return cmp.Or(-cmp.Compare(a.Surprise, b.Surprise), cmp.Compare(a.Detector, b.Detector), cmp.Compare(a.Axis, b.Axis))
	})
	out := reasons[:0]
	for _, r := range reasons {
		if !slices.ContainsFunc(out, func(o tokenwatch.Reason) bool { return o.Detector == r.Detector && o.Axis == r.Axis }) {
			out = append(out, r)
		}
	}
	return out
}

// earliest orders events by time and then content, drops repeats, and keeps the
// first MaxEvidence.
func earliest(events []tokenwatch.Event) []tokenwatch.Event {
	slices.SortFunc(events, compareEvents)
	events = slices.CompactFunc(events, func(a, b tokenwatch.Event) bool { return compareEvents(a, b) == 0 })
	return events[:min(len(events), tokenwatch.MaxEvidence)]
}

func compareEvents(a, b tokenwatch.Event) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.RequestID, b.RequestID), cmp.Compare(a.Source, b.Source),
		cmp.Compare(a.Token, b.Token), cmp.Compare(a.Actor, b.Actor), cmp.Compare(a.SrcIP, b.SrcIP),
		cmp.Compare(a.Action, b.Action), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Status, b.Status),
		cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Error, b.Error))
}

func sortedSet(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}
