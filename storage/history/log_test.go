package history

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// TestLogReopens writes in batches, drops some of them and opens anew now and
// then: the outcome is that of one batch, and what Rebuild makes of the leaves.
func TestLogReopens(t *testing.T) {
	const seed = 7
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := newStory(t, seed)
	var all []Leaf
	for range 400 {
		all = append(all, s.next())
	}
	for len(all) > 0 {
		n := min(len(all), rnd.IntN(9))
		if rnd.IntN(4) == 0 {
			if _, err := s.log.Stage(all[:n]...); err != nil { // dropped: the write failed
				t.Fatal(err)
			}
		}
		s.m.put(t, s.log, all[:n]...)
		all = all[n:]
		if rnd.IntN(10) == 0 {
			before := s.log.Head()
			s.log = s.m.open(t)
			if s.log.Head() != before {
				t.Fatalf("head %+v after opening, %+v before", s.log.Head(), before)
			}
		}
	}
	var hashes []tlog.Hash
	records, err := Rebuild(s.m.Leaves(0, s.log.Head().Size), func(first int64, h []tlog.Hash) error {
		if first != int64(len(hashes)) {
			t.Fatalf("hash %d emitted after %d", first, len(hashes))
		}
		hashes = append(hashes, h...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rebuilt := make(map[string][]byte)
	for _, r := range records {
		rebuilt[string(r.Key)] = r.Value
	}
	if !maps.EqualFunc(rebuilt, s.m.records, bytes.Equal) {
		t.Error("rebuilt records differ from those stored")
	}
	if !slices.Equal(hashes, s.m.hashes) {
		t.Error("rebuilt hashes differ from those stored")
	}
	key := testKey(t, 1)
	r, err := Verify(s.m.export(t, key).fs(), Options{VKey: key.Verifier(), Payloads: true})
	if err != nil || r.Verdict != OK {
		t.Fatalf("%v %v", err, r.Problems)
	}
}

// TestOpenRefuses damages each record, and some hashes, of a small history.
func TestOpenRefuses(t *testing.T) {
	m := newStory(t, 3).grow(t, 37).m
	for k := range m.records {
		damaged := &memory{hashes: m.hashes, records: maps.Clone(m.records)}
		delete(damaged.records, k)
		if _, err := Open(damaged.stored(), damaged); err == nil {
			t.Errorf("opened without record %q", k)
		}
	}
	for _, at := range []int64{tlog.StoredHashIndex(5, 0), tlog.StoredHashIndex(2, 8), tlog.StoredHashIndex(0, 36)} {
		damaged := &memory{hashes: slices.Clone(m.hashes), records: m.records}
		damaged.hashes[at][0] ^= 1
		if _, err := Open(damaged.stored(), damaged); err == nil {
			t.Errorf("opened with hash %d damaged", at)
		}
	}
}

func TestCommitRefusesAnotherHead(t *testing.T) {
	m := &memory{}
	l := m.open(t)
	action := Leaf{Time: epoch0, Body: &AdminAction{Verb: "x"}}
	first, err := l.Stage(action)
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.Stage(action)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Commit(second); err != nil {
		t.Fatal(err)
	}
	if err := l.Commit(first); err == nil {
		t.Error("committed what was staged on another head")
	}
}

// TestClockEpochs: an epoch begins with each start and each step of the clock.
func TestClockEpochs(t *testing.T) {
	m := &memory{}
	l := m.open(t)
	at := func(d time.Duration) Leaf { return Leaf{Time: epoch0.Add(d), Body: &AdminAction{Verb: "x"}} }
	m.put(t, l, at(0), at(time.Second))
	m.put(t, l, at(-time.Hour), at(-time.Hour)) // a step back is seen
	l.NewEpoch()                                // a step forward is told
	m.put(t, l, at(time.Hour))
	l = m.open(t)
	l.NewEpoch() // told before the first leaf
	m.put(t, l, at(time.Hour))
	m.put(t, l, at(2*time.Hour))
	var clocks []uint64
	for _, b := range m.leaves {
		leaf, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		clocks = append(clocks, leaf.Clock)
	}
	if want := []uint64{1, 1, 2, 2, 3, 5, 5}; !slices.Equal(clocks, want) {
		t.Errorf("epochs %v, want %v", clocks, want)
	}
}

// TestStageErrors: what cannot be encoded stops the batch, and nothing of it
// stays.
func TestStageErrors(t *testing.T) {
	m := &memory{}
	l := m.open(t)
	good := Leaf{Time: epoch0, Body: &AdminAction{Verb: "x"}}
	for _, body := range []Body{
		nil,
		&AdminAction{},
		&AdminAction{Verb: strings.Repeat("x", MaxText+1)},
		&AdminAction{Verb: "\xff"},
		&Segment{},
		&Segment{Offset: 1, From: 2, To: 1},
		&Segment{Offset: 1, Sources: []SourceCount{{Source: "b"}, {Source: "a"}}},
		&Control{},
		&Finding{ID: "f"},
		&Loss{First: 2, Last: 1, What: "log"},
		&KeyEpoch{Use: "signing"},
		&Retention{Policy: "p"},
		&Retention{Policy: "p", Ranges: []Range{{First: 1, Last: 4}, {First: 4, Last: 5}}},
		&Summary{First: 3, Last: 2},
		&Merge{Rows: 1},
		&Merge{Ranges: []Range{{First: 0, Last: 4}}},
	} {
		if _, err := l.Stage(good, Leaf{Time: epoch0, Body: body}); err == nil {
			t.Errorf("staged %T %+v", body, body)
		}
	}
	m.put(t, l, good)
	if head := l.Head(); head.Size != 1 {
		t.Errorf("size %d", head.Size)
	}
}
