package storagetest

import (
	"errors"
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// records shows the engine's records with a prefix.
func (s *suite) records(prefix string) string {
	s.Helper()
	text := ""
	for r, err := range s.Records(s.ctx, []byte(prefix)) {
		s.must(err)
		text += fmt.Sprintf("%q=%q ", r.Key, r.Value)
	}
	return text
}

// values shows the values of the engine's records by key, where the store has them.
func (s *suite) values(keys ...string) string {
	s.Helper()
	store, ok := s.Store.(storage.Values)
	if !ok {
		return ""
	}
	var raw [][]byte
	for _, k := range keys {
		raw = append(raw, []byte(k))
	}
	values, err := store.Values(s.ctx, raw)
	s.must(err)
	return fmt.Sprintf("%q", values)
}

func (s *suite) step(step storage.Step) []tokenwatch.Finding {
	s.Helper()
	findings, err := s.Commit(s.ctx, step)
	s.must(err)
	return findings
}

func steps(s *suite) {
	s.add(Entry("a", "1", Events(1, start, "web", "x")...), Entry("a", "2", Events(1, start, "web", "y")...))
	rec := func(k, v string) storage.Record { return storage.Record{Key: []byte(k), Value: []byte(v)} }
	s.step(storage.Step{Cursor: 1, Records: []storage.Record{rec("b/2", "two"), rec("b/1", "one"), rec("c", ""), rec("\xff\xff", "end"), rec("\xff", "ends")}})
	equal(s, "all", s.records(""), `"b/1"="one" "b/2"="two" "c"="" "\xff"="ends" "\xff\xff"="end" `)
	equal(s, "some", s.records("b/"), `"b/1"="one" "b/2"="two" `)
	equal(s, "last", s.records("\xff"), `"\xff"="ends" "\xff\xff"="end" `)
	s.step(storage.Step{Cursor: 2, Records: []storage.Record{{Key: []byte("b/1")}, rec("b/2", "zwei")}})
	equal(s, "changed", s.records("b/"), `"b/2"="zwei" `)
	if got := s.values("b/1", "b/2", "\xff", "b/"); got != "" {
		equal(s, "by key", got, `["" "zwei" "ends" ""]`)
	}
	cursor, err := s.Cursor(s.ctx)
	s.must(err)
	equal(s, "cursor", cursor, 2)
	if _, err := s.Commit(s.ctx, storage.Step{Cursor: 3, Records: []storage.Record{rec("d", "x")}}); err == nil {
		s.Fatal("a cursor beyond the log was accepted")
	}
	equal(s, "unchanged", s.records("d"), "")
}

// list shows findings in the order given.
func list(findings []tokenwatch.Finding) string {
	text := ""
	for _, f := range findings {
		text += fmt.Sprintf("%s/%d@%d ", f.ID, f.Revision, f.Update)
	}
	return text
}

func findings(s *suite) {
	s.add(Entry("a", "1", Events(1, start, "web", "x")...))
	rev := func(tenant, id string, revision int) tokenwatch.Finding {
		return tokenwatch.Finding{Tenant: tenant, ID: id, Revision: revision, Score: 80, Summary: "found"}
	}
	changed := s.Changed()
	out := s.step(storage.Step{Cursor: 1, Findings: []tokenwatch.Finding{rev("a", "f1", 1), rev("b", "g1", 1), rev("a", "f2", 1)}})
	<-changed
	equal(s, "committed", list(out), "f1/1@1 g1/1@2 f2/1@3 ")
	equal(s, "raised", out[0].Raised, start)
	equal(s, "leaves in order", out[1].HistoryIndex, out[0].HistoryIndex+1)
	// Two revisions in one Step: the last one counts.
	s.step(storage.Step{Cursor: 1, Findings: []tokenwatch.Finding{rev("a", "f1", 2), rev("a", "f3", 1), rev("a", "f1", 3)}})

	equal(s, "newest first", list(collect(s, s.Findings(s.ctx, "a"))), "f1/3@6 f3/1@5 f2/1@3 ")
	equal(s, "updates", list(collect(s, s.Updates(s.ctx, "a", 0))), "f2/1@3 f3/1@5 f1/3@6 ")
	equal(s, "updates", list(collect(s, s.Updates(s.ctx, "a", 3))), "f3/1@5 f1/3@6 ")
	equal(s, "updates", list(collect(s, s.Updates(s.ctx, "a", 6))), "")
	equal(s, "other tenant", list(collect(s, s.Findings(s.ctx, "b"))), "g1/1@2 ")
	equal(s, "no tenant", list(collect(s, s.Findings(s.ctx, "c"))), "")

	f, err := s.Finding(s.ctx, "a", "f1")
	s.must(err)
	equal(s, "finding", list([]tokenwatch.Finding{f}), "f1/3@6 ")
	for _, x := range [][2]string{{"a", "g1"}, {"b", "f1"}, {"", "f1"}, {"a", ""}} {
		if _, err := s.Finding(s.ctx, x[0], x[1]); !errors.Is(err, storage.ErrNotFound) {
			s.Fatalf("finding %q of tenant %q: got %v", x[1], x[0], err)
		}
	}
	select {
	case <-s.Changed():
		s.Fatal("changed without an update")
	default:
	}
	if _, err := s.Commit(s.ctx, storage.Step{Cursor: 1, Findings: []tokenwatch.Finding{rev("a", "f4", 1), rev("a", "", 1)}}); err == nil {
		s.Fatal("a finding without an id was accepted")
	}
	equal(s, "nothing of that Step", list(collect(s, s.Updates(s.ctx, "a", 6))), "")
}

func historyByTenant(s *suite) {
	s.add(Entry("a", "1", Events(1, start, "web", "x")...), Entry("b", "1", Events(1, start, "web", "y")...))
	index, err := s.Record(s.ctx, storage.Action{Tenant: "a", Actor: "key_1", Verb: "keys.create", Object: "key_2"})
	s.must(err)
	next, err := s.Record(s.ctx, storage.Action{Actor: "key_1", Verb: "loss.acknowledge"})
	s.must(err)
	equal(s, "index", next, index+1)
	indexes := func(tenant string, first uint64) (out []uint64) {
		for _, l := range collect(s, s.Leaves(s.ctx, tenant, first)) {
			if len(l.Bytes) == 0 {
				s.Fatal("a leaf is empty")
			}
			out = append(out, l.Index-index)
		}
		return out
	}
	const seg = ^uint64(0) // one before index
	equal(s, "of a", fmt.Sprint(indexes("a", 0)), fmt.Sprint([]uint64{seg - 1, 0, 1}))
	equal(s, "of b", fmt.Sprint(indexes("b", 0)), fmt.Sprint([]uint64{seg, 1}))
	equal(s, "of c", fmt.Sprint(indexes("c", 0)), "[1]")
	equal(s, "from on", fmt.Sprint(indexes("a", index)), "[0 1]")
}

func keys(s *suite) {
	by := storage.Action{Tenant: "a", Actor: "key_1", Verb: "keys.create", Object: "key_2"}
	key := storage.APIKey{ID: "key_2", Hash: [32]byte{1}, Tenant: "a", Role: "ingest", Created: start}
	s.must(s.PutKey(s.ctx, key, by))
	s.must(s.PutKey(s.ctx, storage.APIKey{ID: "key_1", Tenant: "b", Role: "admin", Created: start}, by))
	key.Revoked = start.Add(1)
	s.must(s.PutKey(s.ctx, key, by))
	got := collect(s, s.Keys(s.ctx))
	equal(s, "keys", len(got), 2)
	equal(s, "key", got[1], key)
	equal(s, "leaves", len(collect(s, s.Leaves(s.ctx, "a", 0))), 3)
	if err := s.PutKey(s.ctx, storage.APIKey{}, by); err == nil {
		s.Fatal("a key without an id was accepted")
	}
}

func closed(s *suite) {
	s.add(Entry("a", "1", Events(1, start, "web", "x")...))
	ended := make(chan error)
	go func() {
		for _, err := range s.Follow(s.ctx, 2) {
			ended <- err
		}
		close(ended)
	}()
	s.must(s.Close())
	if err := <-ended; err == nil {
		s.Fatal("a follower ended without an error though the store was closed")
	}
	<-ended
	if _, err := s.Append(s.ctx, Entry("a", "2", Events(1, start, "web", "x")...)); err == nil {
		s.Fatal("appended to a closed store")
	}
	for _, err := range s.Scan(s.ctx, storage.Range{}) {
		if err == nil {
			s.Fatal("scanned a closed store")
		}
	}
}
