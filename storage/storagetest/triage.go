package storagetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// handled shows what people did about findings.
func handled(findings ...tokenwatch.Finding) string {
	text := ""
	for _, f := range findings {
		text += fmt.Sprintf("%s/%d@%d %s %q %q %s; ", f.ID, f.Revision, f.Update, f.Status, f.Verdict, f.Note, f.JudgedBy)
	}
	return text
}

// controls lists the control records of the log of one kind.
func (s *suite) controls(kind tokenwatch.ControlKind) (bodies [][]byte) {
	s.Helper()
	for e, err := range s.Scan(s.ctx, storage.Range{}) {
		s.must(err)
		if e.Control != nil && e.Control.Kind == kind {
			bodies = append(bodies, e.Control.Body)
		}
	}
	return bodies
}

func verdicts(s *suite) {
	s.add(Entry("a", "1", Events(1, start, "web", "x")...))
	found := func(revision int) tokenwatch.Finding {
		return tokenwatch.Finding{
			Tenant: "a", ID: "f1", Status: "new", Score: 80 + revision, Class: tokenwatch.ClassAnomaly, Detectors: []string{"novelty", fmt.Sprint("seen in ", revision)},
		}
	}
	out := s.step(storage.Step{Cursor: 1, Findings: []tokenwatch.Finding{found(1), {Tenant: "b", ID: "f1", Status: "new"}}})
	before := out[0].Canonical()
	leaves := len(collect(s, s.Leaves(s.ctx, "a", 0)))
	changed := s.Changed()
	resolved, benign, note := tokenwatch.StatusResolved, tokenwatch.VerdictBenign, "a \"drill\""
	by := storage.Action{Tenant: "a", Actor: "key_1", Verb: "findings.update", Object: "f1"}
	s.clock.move(time.Minute)
	f, err := s.Judge(s.ctx, "a", tokenwatch.Verdict{Finding: "f1", Status: &resolved, Note: &note, By: "key_1"}, by)
	s.must(err)
	<-changed
	equal(s, "judged", handled(f), `f1/1@3 resolved "" "a \"drill\"" key_1; `)
	equal(s, "when", f.Judged, start.Add(time.Minute))
	equal(s, "canonical bytes", string(f.Canonical()), string(before))
	equal(s, "leaves of the action and of the record", len(collect(s, s.Leaves(s.ctx, "a", 0))), leaves+2)
	equal(s, "as an update", handled(collect(s, s.Updates(s.ctx, "a", 1))...), handled(f))
	bodies := s.controls(tokenwatch.ControlVerdict)
	equal(s, "records in the log", len(bodies), 1)
	v, err := tokenwatch.DecodeVerdict(bodies[0])
	s.must(err)
	equal(s, "record", fmt.Sprint(v.Finding, *v.Status, v.Verdict, *v.Note, v.By), "f1resolved<nil>a \"drill\"key_1")
	equal(s, "detectors of what says nothing of them", len(v.Detectors), 0)

	// What is not named stays, and later revisions keep it.
	_, err = s.Judge(s.ctx, "a", tokenwatch.Verdict{Finding: "f1", Verdict: &benign, By: "key_2"}, by)
	s.must(err)
	s.step(storage.Step{Cursor: 1, Findings: []tokenwatch.Finding{found(2)}})
	f, err = s.Finding(s.ctx, "a", "f1")
	s.must(err)
	equal(s, "revised", handled(f), `f1/2@5 resolved "benign" "a \"drill\"" key_2; `)
	equal(s, "score", f.Score, 82)
	equal(s, "another tenant's", handled(collect(s, s.Findings(s.ctx, "b"))...), `f1/1@2 new "" "" ; `)

	for _, x := range [][2]string{{"a", "f2"}, {"c", "f1"}, {"", "f1"}} {
		if _, err := s.Judge(s.ctx, x[0], tokenwatch.Verdict{Finding: x[1], Status: &resolved}, by); !errors.Is(err, storage.ErrNotFound) {
			s.Fatalf("judge %q of tenant %q: got %v", x[1], x[0], err)
		}
	}
	wrong := "closed"
	for _, v := range []tokenwatch.Verdict{{Finding: "f1"}, {Finding: "f1", Status: &wrong}, {Finding: "f1", Verdict: &wrong}, {Status: &resolved}} {
		if _, err := s.Judge(s.ctx, "a", v, by); err == nil {
			s.Fatalf("%+v was accepted", v)
		}
	}
	bodies = s.controls(tokenwatch.ControlVerdict)
	equal(s, "nothing of those in the log", len(bodies), 2)
	v, err = tokenwatch.DecodeVerdict(bodies[1])
	s.must(err)
	equal(s, "detectors as they were when it was judged", fmt.Sprint(v.Detectors), "[novelty seen in 1]")
}

func suppressions(s *suite) {
	by := storage.Action{Tenant: "a", Actor: "key_1", Verb: "suppressions.create"}
	sup := tokenwatch.Suppression{
		ID: "sup_2", Tenant: "a", Scope: "kind = novelty", Reason: "a move", Author: "key_1",
		Created: start, Expires: start.Add(time.Hour),
	}
	s.must(s.Suppress(s.ctx, sup, by))
	s.must(s.Suppress(s.ctx, tokenwatch.Suppression{ID: "sup_1", Tenant: "a", Created: start, Expires: start}, by))
	s.must(s.Suppress(s.ctx, tokenwatch.Suppression{ID: "sup_3", Tenant: "b", Created: start, Expires: start}, by))
	equal(s, "active", sup.Active(start), true)
	equal(s, "expired", sup.Active(start.Add(time.Hour)), false)
	sup.Ended = start.Add(time.Second)
	s.must(s.Suppress(s.ctx, sup, by))
	equal(s, "ended", sup.Active(start), false)
	got := collect(s, s.Suppressions(s.ctx, "a"))
	equal(s, "suppressions", len(got), 2)
	equal(s, "in order", got[0].ID, "sup_1")
	equal(s, "changed", got[1], sup)
	equal(s, "of nobody", len(collect(s, s.Suppressions(s.ctx, "c"))), 0)
	bodies := s.controls(tokenwatch.ControlSuppression)
	equal(s, "records in the log", len(bodies), 4)
	logged, err := tokenwatch.DecodeSuppression(bodies[3])
	s.must(err)
	equal(s, "record", logged, sup)
	for _, bad := range []tokenwatch.Suppression{{Tenant: "a"}, {ID: "sup_4"}} {
		if err := s.Suppress(s.ctx, bad, by); err == nil {
			s.Fatalf("%+v was accepted", bad)
		}
	}
}

func outbox(s *suite) {
	text := func(prefix string) (out string) {
		for _, r := range collect(s, s.Letters(s.ctx, []byte(prefix))) {
			out += fmt.Sprintf("%q=%q ", r.Key, r.Value)
		}
		return out
	}
	rec := func(k, v string) storage.Record { return storage.Record{Key: []byte(k), Value: []byte(v)} }
	s.must(s.PutLetters(s.ctx, rec("b/2", "two"), rec("b/1", "one"), rec("\xff", "end"), rec("a", "")))
	equal(s, "all", text(""), `"a"="" "b/1"="one" "b/2"="two" "\xff"="end" `)
	s.must(s.PutLetters(s.ctx, storage.Record{Key: []byte("b/1")}, rec("b/2", "zwei")))
	equal(s, "some", text("b/"), `"b/2"="zwei" `)
	equal(s, "apart from the engine's", s.records(""), "")
	if err := s.PutLetters(s.ctx, rec("c", "x"), rec("", "x")); err == nil {
		s.Fatal("a record without a key was accepted")
	}
	equal(s, "nothing of that write", text("c"), "")
}
