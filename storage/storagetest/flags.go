package storagetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// flags shows the flags of an entry's rows: a letter each, "-" for none.
func (s *suite) flags(offset tokenwatch.Offset) string {
	s.Helper()
	entries := s.scan(storage.Range{First: offset, Last: offset})
	equal(s, "entries", len(entries), 1)
	var b strings.Builder
	batch := entries[0].Batch
	for i := range batch.Rows() {
		letters := ""
		for _, c := range []tokenwatch.Col{tokenwatch.ColLate, tokenwatch.ColFuture, tokenwatch.ColDuplicate} {
			if batch.Bool(c, i) {
				letters += c.String()[:1]
			}
		}
		if letters == "" {
			letters = "-"
		}
		b.WriteString(letters)
		b.WriteByte(' ')
	}
	return strings.TrimSpace(b.String())
}

// at appends events of tenant a at the given times from the clock's, without
// ids, and returns their flags.
func (s *suite) at(offsets ...time.Duration) string {
	s.Helper()
	var events []Event
	for _, d := range offsets {
		events = append(events, Event{Time: s.clock.Now().Add(d), Source: "web"})
	}
	s.add(tokenwatch.Entry{Tenant: "a", Batch: Batch(events...)})
	return s.flags(s.Last())
}

func impossibleTimes(s *suite) {
	const day = 24 * time.Hour
	// An empty store has no watermark: nothing is late.
	equal(s, "first batch", s.at(-30*day, 10*365*day, -time.Minute), "- f -")
	// The watermark stands at a minute before the clock, less the lateness.
	equal(s, "late", s.at(-time.Minute-storage.DefaultLateness-1, -time.Minute-storage.DefaultLateness, 0), "l - -")
	equal(s, "future", s.at(storage.FutureLimit, storage.FutureLimit+1, 365*day), "- f f")
	// Five minutes ahead did move the watermark, ten years did not.
	equal(s, "after", s.at(storage.FutureLimit-storage.DefaultLateness, storage.FutureLimit-storage.DefaultLateness-1), "- l")
	s.add(Entry("a", "", Event{Time: time.Unix(0, 0), Source: "web"}, Event{Source: "web"}))
	equal(s, "1970 and none", s.flags(s.Last()), "l -")
	// Another tenant is not concerned.
	s.add(Entry("b", "", Event{Time: time.Unix(0, 0), Source: "web"}))
	equal(s, "other tenant", s.flags(s.Last()), "-")
}

func repeatedEvents(s *suite) {
	now := s.clock.Now()
	ev := func(source, id string, at time.Duration) Event {
		return Event{Time: now.Add(at), Source: source, ID: id}
	}
	put := func(events ...Event) string {
		s.add(tokenwatch.Entry{Tenant: "a", Batch: Batch(events...)})
		return s.flags(s.Last())
	}
	equal(s, "in one batch", put(ev("web", "1", 0), ev("web", "1", 0), ev("app", "1", 0), ev("web", "", 0), ev("web", "", 0)), "- d - - -")
	equal(s, "in another", put(ev("web", "2", 0), ev("web", "1", 0)), "- d")
	equal(s, "another event of that id", put(ev("web", "1", time.Second), ev("web", "1", time.Second)), "- d")
	s.add(tokenwatch.Entry{Tenant: "b", Batch: Batch(ev("web", "1", 0))})
	equal(s, "of another tenant", s.flags(s.Last()), "-")
	// Ids are remembered for the lateness.
	s.clock.move(storage.DefaultLateness)
	equal(s, "lateness after", put(ev("web", "3", storage.DefaultLateness+2*time.Second)), "-")
	equal(s, "forgotten", put(ev("web", "1", 0)), "l")
	equal(s, "not forgotten", put(ev("web", "3", storage.DefaultLateness+2*time.Second)), "d")
}

func ticks(s *suite) {
	tick := tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}}
	s.add(tick) // before there is any tenant
	equal(s, "first", s.at(0), "-")
	s.clock.move(storage.DefaultLateness - time.Second)
	s.add(tick) // moves the watermark to a second before the first event
	equal(s, "quiet", s.at(-storage.DefaultLateness, -storage.DefaultLateness-1), "- l")
	s.clock.move(storage.DefaultLateness) // the last event is that far behind now: ticks do not count
	s.add(tick)
	equal(s, "after a gap", s.at(-2*storage.DefaultLateness, -2*storage.DefaultLateness-1), "- l")
	s.clock.move(storage.DefaultLateness)
	kinds := map[tokenwatch.ControlKind]int{}
	for _, e := range s.scan(storage.Range{}) {
		if e.Control != nil {
			kinds[e.Control.Kind]++
		}
	}
	equal(s, "ticks", fmt.Sprint(kinds), "map[tick:3]")
}
