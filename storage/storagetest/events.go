package storagetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

func empty(s *suite) {
	equal(s, "last", s.Last(), 0)
	equal(s, "entries", len(s.scan(storage.Range{})), 0)
	cursor, err := s.Cursor(s.ctx)
	s.must(err)
	equal(s, "cursor", cursor, 0)
	equal(s, "receipts of nothing", len(s.add()), 0)
}

func appendAndRead(s *suite) {
	long := Events(300, s.clock.Now(), "web", "long")
	long[7].Time = time.Time{}
	long[8] = Event{}
	receipts := s.add(Entry("a", "k1", Events(3, s.clock.Now(), "web", "one")...), Entry("b", "k2", long...))
	equal(s, "receipts", len(receipts), 2)
	s.clock.move(time.Second)
	s.add(Entry("a", "", Events(1, s.clock.Now(), "app", "two")...),
		tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlEnd, Body: []byte{1, 2}}},
		tokenwatch.Entry{Tenant: "a", Batch: Batch()})
	equal(s, "last", s.Last(), 5)

	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	var followed []string
	for e, err := range s.Follow(ctx, 0) {
		s.must(err)
		followed = append(followed, Text(e))
		equal(s, "offset", e.Offset, tokenwatch.Offset(len(followed)))
		if e.Offset == 5 {
			break
		}
	}
	scanned := s.scan(storage.Range{})
	equal(s, "entries", len(scanned), 5)
	for i, e := range scanned {
		equal(s, "entry by Scan and Follow", Text(e), followed[i])
	}
	equal(s, "time of append", scanned[0].Time, start)
	equal(s, "ingest time", scanned[1].Batch.Int(tokenwatch.ColIngestTime, 0), start.UnixNano())
	equal(s, "time of append", scanned[2].Time, start.Add(time.Second))
	want := Entry("a", "k1", Events(3, start, "web", "one")...)
	want.Offset, want.Time, want.Batch = 1, start, want.Batch.WithIngestTime(start)
	equal(s, "entry", followed[0], Text(want))
	for i, r := range receipts {
		equal(s, "receipt", fmt.Sprint(r), fmt.Sprint(tokenwatch.Receipt{
			Offset: tokenwatch.Offset(i + 1), Rows: scanned[i].Batch.Rows(),
		}))
	}
}

func sameRequestAgain(s *suite) {
	e := Entry("a", "k", Events(3, s.clock.Now(), "web", "x")...)
	e.Requests[0].Rejects = []tokenwatch.Reject{{Index: 3, Reason: tokenwatch.ReasonMalformed, Length: 9}}
	first := s.add(e, e) // both in one call
	again := s.add(e)
	equal(s, "first is duplicate", first[0].Duplicate, false)
	for _, r := range []tokenwatch.Receipt{first[1], again[0]} {
		equal(s, "is duplicate", r.Duplicate, true)
		r.Duplicate = false
		equal(s, "receipt", fmt.Sprint(r), fmt.Sprint(first[0]))
	}
	equal(s, "entries", len(s.scan(storage.Range{})), 1)

	// The same key in another scope is another request.
	other := e
	other.Requests = slices.Clone(e.Requests)
	other.Requests[0].Source = "app"
	equal(s, "of another source", s.add(other)[0].Duplicate, false)
	other.Requests[0].Principal = "key_2"
	equal(s, "of another principal", s.add(other)[0].Duplicate, false)
	other.Tenant = "b"
	equal(s, "of another tenant", s.add(other)[0].Duplicate, false)
}

func sameKeyOtherContent(s *suite) {
	s.add(Entry("a", "k", Events(2, s.clock.Now(), "web", "x")...))
	before := len(collect(s, s.Leaves(s.ctx, "a", 0)))
	changed := Entry("a", "k", Events(2, s.clock.Now(), "web", "planted")...)
	changed.Requests[0].Digest = sha256.Sum256([]byte("other"))
	fine := Entry("a", "k2", Events(1, s.clock.Now(), "web", "y")...)
	receipts := s.add(changed, fine)
	equal(s, "conflict", receipts[0].Conflict, true)
	equal(s, "conflict stores", receipts[0].Rows, 0)
	equal(s, "the other request", receipts[1].Conflict, false)
	equal(s, "leaves for a conflict and a segment", len(collect(s, s.Leaves(s.ctx, "a", 0))), before+2)
	for _, e := range s.scan(storage.Range{}) {
		if strings.Contains(Text(e), "planted") {
			s.Fatal("content of a refused request was stored")
		}
	}
}

func someRequestsAgain(s *suite) {
	s.add(Entry("a", "old", Events(2, s.clock.Now(), "web", "old")...))
	events := slices.Concat(Events(1, s.clock.Now(), "web", "new1"), Events(2, s.clock.Now(), "web", "old"),
		Events(3, s.clock.Now(), "web", "new2"), Events(2, s.clock.Now(), "web", "planted"))
	conflict := Request("old", 2)
	conflict.Digest[0]++
	e := tokenwatch.Entry{Tenant: "a", Batch: Batch(events...), Requests: []tokenwatch.Request{
		Request("new1", 1), Request("old", 2), Request("new2", 3), conflict,
	}}
	receipts := s.add(e)
	equal(s, "receipts", fmt.Sprintf("%+v", receipts), fmt.Sprintf("%+v", []tokenwatch.Receipt{
		{Offset: 2, Rows: 1}, {Offset: 1, Rows: 2, Duplicate: true}, {Offset: 2, Rows: 3}, {Conflict: true},
	}))
	stored := s.scan(storage.Range{First: 2})
	equal(s, "entries", len(stored), 1)
	equal(s, "rows", stored[0].Batch.Rows(), 4)
	equal(s, "requests", len(stored[0].Requests), 2)
	var paths []string
	for i := range 4 {
		paths = append(paths, stored[0].Batch.Text(tokenwatch.ColPath, i))
	}
	equal(s, "paths", fmt.Sprint(paths), "[/v1/new1/0 /v1/new2/0 /v1/new2/1 /v1/new2/2]")
	// Not even a dictionary or a name may keep what was refused.
	if text := fmt.Sprintf("%q %v", stored[0].Batch.Column(tokenwatch.ColToken).Dict.Bytes, Text(stored[0])); strings.Contains(text, "planted") {
		s.Fatal("content of a refused request was stored")
	}
}

func rejectsAndMarks(s *suite) {
	e := tokenwatch.Entry{Tenant: "a", Batch: Batch(), Requests: []tokenwatch.Request{Request("k", 0)}}
	e.Requests[0].Rejects = []tokenwatch.Reject{
		{Index: 0, Offset: 0, Length: 12, Digest: "dg_x", Reason: tokenwatch.ReasonNoTime},
		{Index: 1, Offset: 13, Length: 40, Digest: "dg_y", Reason: tokenwatch.ReasonMalformed},
	}
	e.Requests[0].Mark = &tokenwatch.Mark{Input: "file 1", Offset: 53}
	receipts := s.add(e)
	equal(s, "rejects", fmt.Sprint(receipts[0].Rejects), fmt.Sprint(e.Requests[0].Rejects))
	s.add(Entry("a", "", Events(1, s.clock.Now(), "web", "x")...))
	rejects := collect(s, s.Rejects(s.ctx, "a"))
	equal(s, "rejects", len(rejects), 2)
	equal(s, "reject", rejects[1].Reject, e.Requests[0].Rejects[1])
	equal(s, "source", rejects[1].Source, "web")
	equal(s, "entry", rejects[1].Entry, 1)
	equal(s, "rejects of another tenant", len(collect(s, s.Rejects(s.ctx, "b"))), 0)
	for _, test := range []struct {
		tenant, source, input string
		want                  int64
	}{{"a", "web", "file 1", 53}, {"a", "web", "file 2", 0}, {"a", "app", "file 1", 0}, {"b", "web", "file 1", 0}} {
		got, err := s.Mark(s.ctx, test.tenant, test.source, test.input)
		s.must(err)
		equal(s, "mark", got, test.want)
	}
}

func badEntries(s *suite) {
	good := Entry("a", "k", Events(2, s.clock.Now(), "web", "x")...)
	for what, e := range map[string]tokenwatch.Entry{
		"nothing":          {Tenant: "a"},
		"both":             {Tenant: "a", Batch: good.Batch, Control: &tokenwatch.Control{}},
		"no tenant":        {Batch: good.Batch},
		"too few rows":     {Tenant: "a", Batch: good.Batch, Requests: []tokenwatch.Request{Request("k", 1)}},
		"too many rows":    {Tenant: "a", Batch: good.Batch, Requests: []tokenwatch.Request{Request("k", 3)}},
		"negative rows":    {Tenant: "a", Batch: good.Batch, Requests: []tokenwatch.Request{Request("k", 3), Request("l", -1)}},
		"tenant too long":  {Tenant: strings.Repeat("a", 300), Batch: good.Batch},
		"control requests": {Control: &tokenwatch.Control{}, Requests: good.Requests},
	} {
		if _, err := s.Append(s.ctx, good, e); err == nil {
			s.Fatalf("%s: no error", what)
		}
	}
	equal(s, "entries", len(s.scan(storage.Range{})), 0)
	equal(s, "the good one is new", s.add(good)[0].Duplicate, false)
}

func followWaits(s *suite) {
	s.add(Entry("a", "1", Events(1, s.clock.Now(), "web", "x")...))
	ctx, cancel := context.WithCancel(s.ctx)
	got := make(chan tokenwatch.Offset)
	ended := make(chan error, 1)
	go func() {
		for e, err := range s.Follow(ctx, 1) {
			if err != nil {
				ended <- err
				return
			}
			got <- e.Offset
		}
		ended <- nil
	}()
	equal(s, "offset", <-got, 1)
	s.add(Entry("a", "2", Events(1, s.clock.Now(), "web", "y")...), Entry("b", "3", Events(1, s.clock.Now(), "web", "z")...))
	equal(s, "offset", <-got, 2)
	equal(s, "offset", <-got, 3)
	cancel()
	s.must(<-ended)
	for range s.Follow(ctx, 1) {
		s.Fatal("followed after the context ended")
	}
}

func scanRange(s *suite) {
	day := 24 * time.Hour
	s.add(Entry("a", "1", Events(2, start, "web", "x")...))
	s.add(Entry("b", "2", Events(2, start, "web", "y")...))
	s.add(Entry("a", "3", Events(2, start.Add(-day), "web", "z")...))
	s.add(tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}})
	s.add(Entry("a", "5", Event{Source: "web"}))
	for _, test := range []struct {
		r    storage.Range
		want string
	}{
		{storage.Range{}, "[1 2 3 4 5]"},
		{storage.Range{First: 2, Last: 4}, "[2 3 4]"},
		{storage.Range{First: 6}, "[]"},
		{storage.Range{Tenant: "a"}, "[1 3 5]"},
		{storage.Range{Tenant: "c"}, "[]"},
		{storage.Range{From: start}, "[1 2]"},
		{storage.Range{From: start.Add(time.Second), To: start.Add(day)}, "[1 2]"},
		{storage.Range{To: start}, "[3]"},
		{storage.Range{From: start.Add(2 * time.Second)}, "[]"},
		{storage.Range{Tenant: "b", From: start, To: start.Add(1)}, "[2]"},
	} {
		var offsets []tokenwatch.Offset
		for _, e := range s.scan(test.r) {
			offsets = append(offsets, e.Offset)
		}
		equal(s, fmt.Sprintf("%+v", test.r), fmt.Sprint(offsets), test.want)
	}
}

func concurrent(s *suite) {
	const callers, each = 16, 8
	now := s.clock.Now()
	var wg sync.WaitGroup
	offsets := make([][]tokenwatch.Offset, callers)
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("c%d-%d", c, i)
				receipts, err := s.Append(s.ctx, Entry("a", name, Events(2, now, "web", name)...))
				if err != nil {
					s.Error(err)
					return
				}
				offsets[c] = append(offsets[c], receipts[0].Offset)
			}
		})
	}
	wg.Wait()
	var all []tokenwatch.Offset
	for _, o := range offsets {
		if !slices.IsSorted(o) {
			s.Fatal("offsets of one caller are not in order")
		}
		all = append(all, o...)
	}
	slices.Sort(all)
	equal(s, "entries", len(all), callers*each)
	for i, o := range all {
		equal(s, "offset", o, tokenwatch.Offset(i+1))
	}
	equal(s, "stored", len(s.scan(storage.Range{})), callers*each)
}
