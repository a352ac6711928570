// Package storagetest is what a store has to prove: [Run] takes a way to make
// stores and runs every promise of package storage against it. It also makes
// the entries that tests of stores need.
package storagetest

import (
	"context"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Open makes a new, empty store that takes its wall clock from clock, and that
// is not used after the test. The lateness is storage.DefaultLateness.
type Open func(t *testing.T, clock func() time.Time) storage.Store

// Run tests a store.
func Run(t *testing.T, open Open) {
	tests := []struct {
		name string
		run  func(*suite)
	}{
		{"Empty", empty},
		{"AppendAndRead", appendAndRead},
		{"SameRequestAgain", sameRequestAgain},
		{"SameKeyOtherContent", sameKeyOtherContent},
		{"SomeRequestsAgain", someRequestsAgain},
		{"RejectsAndMarks", rejectsAndMarks},
		{"ImpossibleTimes", impossibleTimes},
		{"RepeatedEvents", repeatedEvents},
		{"Ticks", ticks},
		{"BadEntries", badEntries},
		{"FollowWaits", followWaits},
		{"ScanRange", scanRange},
		{"Segments", segments},
		{"Concurrent", concurrent},
		{"Steps", steps},
		{"Findings", findings},
		{"Verdicts", verdicts},
		{"Suppressions", suppressions},
		{"Outbox", outbox},
		{"HistoryByTenant", historyByTenant},
		{"Keys", keys},
		{"Closed", closed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &suite{T: t, ctx: t.Context(), clock: &clock{now: start}}
			s.Store = open(t, s.clock.Now)
			test.run(s)
			if test.name != "Closed" {
				s.must(s.Close())
			}
		})
	}
}

// suite is one test with its store.
type suite struct {
	*testing.T
	storage.Store
	ctx   context.Context
	clock *clock
}

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// add appends entries and returns their receipts.
func (s *suite) add(entries ...tokenwatch.Entry) []tokenwatch.Receipt {
	s.Helper()
	receipts, err := s.Append(s.ctx, entries...)
	s.must(err)
	return receipts
}

// scan returns the entries of a range.
func (s *suite) scan(r storage.Range) []tokenwatch.Entry {
	s.Helper()
	return collect(s, s.Scan(s.ctx, r))
}

func collect[T any](s *suite, seq iter.Seq2[T, error]) []T {
	s.Helper()
	var out []T
	for v, err := range seq {
		s.must(err)
		out = append(out, v)
	}
	return out
}

// equal fails unless got is want.
func equal[T comparable](s *suite, what string, got, want T) {
	s.Helper()
	if got != want {
		s.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
