package history

import (
	"testing"
	"time"
)

// BenchmarkStage is the cost of a leaf in batches of 100, storing left out.
func BenchmarkStage(b *testing.B) {
	m := &memory{}
	log := m.open(b)
	var batch []Leaf
	for range 100 {
		batch = append(batch, Leaf{Time: epoch0, Tenant: Commit(Salt{}, "a"), Body: &Finding{ID: "fnd_0123456789abcdef", Revision: 1}})
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += len(batch) {
		s, err := log.Stage(batch...)
		if err != nil {
			b.Fatal(err)
		}
		if err := log.Commit(s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify verifies an export of 200,000 leaves.
func BenchmarkVerify(b *testing.B) {
	const size = 200_000
	s := newStory(b, 1)
	var batch []Leaf
	for range size {
		if batch = append(batch, s.next()); len(batch) == 1000 {
			s.m.put(b, s.log, batch...)
			batch = batch[:0]
		}
	}
	key := testKey(b, 1)
	s.m.payloads = nil
	dir := s.m.export(b, key).fs()
	held := s.m.truncated(0).checkpoint(b, key)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		start := time.Now()
		r, err := Verify(dir, Options{VKey: key.Verifier(), Held: [][]byte{held}})
		if err != nil || r.Verdict != OK || r.Leaves != size {
			b.Fatal(err, r.Problems)
		}
		b.ReportMetric(size/time.Since(start).Seconds(), "leaves/s")
	}
}
