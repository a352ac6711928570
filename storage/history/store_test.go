package history

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// memory is a store of one history.
type memory struct {
	leaves   [][]byte
	hashes   []tlog.Hash
	records  map[string][]byte
	payloads []Payload
}

func (m *memory) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, x := range at {
		if x < 0 || x >= int64(len(m.hashes)) {
			return nil, fmt.Errorf("no hash %d", x)
		}
		out[i] = m.hashes[x]
	}
	return out, nil
}

func (m *memory) Leaves(first, end uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for i := first; i < end; i++ {
			if i >= uint64(len(m.leaves)) {
				yield(nil, errors.New("no such leaf"))
				return
			}
			if !yield(m.leaves[i], nil) {
				return
			}
		}
	}
}

func (m *memory) stored() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for k, v := range m.records {
			if !yield(Record{Key: []byte(k), Value: v}, nil) {
				return
			}
		}
	}
}

func (m *memory) write(t testing.TB, s *Staged) {
	t.Helper()
	if s.First != uint64(len(m.leaves)) || s.FirstHash != int64(len(m.hashes)) {
		t.Fatalf("staged leaf %d and hash %d, the store has %d and %d", s.First, s.FirstHash, len(m.leaves), len(m.hashes))
	}
	m.leaves = append(m.leaves, s.Leaves...)
	m.hashes = append(m.hashes, s.Hashes...)
	if m.records == nil {
		m.records = make(map[string][]byte)
	}
	for _, r := range s.Records {
		m.records[string(r.Key)] = r.Value
	}
}

func (m *memory) open(t testing.TB) *Log {
	t.Helper()
	l, err := Open(m.stored(), m)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// put stages, writes and commits.
func (m *memory) put(t testing.TB, l *Log, leaves ...Leaf) {
	t.Helper()
	s, err := l.Stage(leaves...)
	if err != nil {
		t.Fatal(err)
	}
	m.write(t, s)
	if err := l.Commit(s); err != nil {
		t.Fatal(err)
	}
}

// files is a directory in memory, for reading and writing.
type files map[string][]byte

func (f files) WriteFile(name string, data []byte) error {
	f[name] = bytes.Clone(data)
	return nil
}

func (f files) ReadFile(name string) ([]byte, error) {
	b, ok := f[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(b), nil
}

func (f files) fs() fs.FS {
	m := make(fstest.MapFS, len(f))
	for name, b := range f {
		m[name] = &fstest.MapFile{Data: b}
	}
	return m
}

func (f files) clone() files { return maps.Clone(f) } // contents are replaced, never changed

func testKey(t testing.TB, seed byte) *Key {
	t.Helper()
	k, err := NewKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 32)), "tokenwatch.example/history")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var epoch0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// story grows a history like those of real stores: segments and control
// records, findings with revisions, actions, ticks, of several tenants.
type story struct {
	rnd      *rand.Rand
	m        *memory
	log      *Log
	now      time.Time
	made     int
	offset   uint64
	findings []Finding // newest revision of each
	owners   []Commitment
	tenants  []Commitment
}

func newStory(t testing.TB, seed uint64) *story {
	m := &memory{}
	s := &story{rnd: rand.New(rand.NewPCG(seed, 1)), m: m, log: m.open(t), now: epoch0}
	for i := range 3 {
		s.tenants = append(s.tenants, Commit(Salt{byte(i)}, fmt.Sprintf("tenant %d", i)))
	}
	return s
}

func (s *story) next() Leaf {
	s.now = s.now.Add(time.Duration(s.rnd.IntN(4000)) * time.Millisecond)
	n := s.made
	s.made++
	leaf := Leaf{Time: s.now, Tenant: s.tenants[s.rnd.IntN(len(s.tenants))]}
	if n%20 == 19 {
		return Leaf{Time: s.now, Body: &Tick{}}
	}
	switch s.rnd.IntN(6) {
	case 0:
		i := s.rnd.IntN(len(s.findings) + 1)
		if i == len(s.findings) {
			s.findings = append(s.findings, Finding{ID: fmt.Sprintf("fnd_%d", i)})
			s.owners = append(s.owners, leaf.Tenant)
		}
		f := &s.findings[i]
		leaf.Tenant = s.owners[i]
		f.Revision++
		f.Score = int64(s.rnd.IntN(101))
		f.Digest = sha256.Sum256(fmt.Appendf(nil, "%s %d", f.ID, f.Revision))
		body := *f
		leaf.Body = &body
	case 1:
		leaf.Actor = Commit(Salt{9}, "somebody")
		leaf.Body = &AdminAction{Verb: "keys.create", Object: fmt.Sprintf("key_%d", n)}
	case 2:
		leaf.Tenant, leaf.Body = s.tenants[0], &Tick{}
	case 3:
		s.offset++
		b := fmt.Appendf(nil, "control %d", s.offset)
		s.m.payloads = append(s.m.payloads, Payload{Offset: s.offset, Bytes: b})
		leaf.Body = &Control{Offset: s.offset, Record: "tick", Digest: sha256.Sum256(b), Bytes: uint64(len(b))}
	default:
		s.offset++
		b := bytes.Repeat([]byte{byte(s.offset)}, 1+s.rnd.IntN(50))
		s.m.payloads = append(s.m.payloads, Payload{Offset: s.offset, Bytes: b})
		leaf.Body = &Segment{
			Offset: s.offset, Rows: uint64(s.rnd.IntN(1000)), From: s.now.UnixMilli() - 5, To: s.now.UnixMilli(),
			Digest: sha256.Sum256(b), Bytes: uint64(len(b)),
			Sources: []SourceCount{{Source: "a", Rows: 1}, {Source: "b", Rows: 2, Rejected: 1}},
		}
	}
	return leaf
}

func (s *story) grow(t testing.TB, size int) *story {
	t.Helper()
	for int(s.log.Head().Size) < size {
		s.m.put(t, s.log, s.next())
	}
	return s
}

// truncated returns the first n leaves as a store of their own.
func (m *memory) truncated(n int) *memory {
	offset := 0
	for _, b := range m.leaves[:n] {
		l, err := Decode(b)
		if err != nil {
			panic(err)
		}
		switch l.Kind() {
		case KindSegment, KindControl:
			offset++
		}
	}
	return &memory{
		leaves: m.leaves[:n], hashes: m.hashes[:tlog.StoredHashCount(int64(n))], payloads: m.payloads[:min(offset, len(m.payloads))],
	}
}

// rehash makes a tree over any leaves, as an attacker would.
func rehash(leaves [][]byte) *memory {
	m := &memory{leaves: leaves}
	var tr tree
	for _, b := range leaves {
		m.hashes = tr.add(tlog.RecordHash(b), m.hashes)
	}
	return m
}

func (m *memory) checkpoint(t testing.TB, key *Key) []byte {
	t.Helper()
	tr, err := readTree(uint64(len(m.leaves)), m)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := key.sign(Checkpoint{key.Origin(), tr.size, tr.root()}.text())
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (m *memory) export(t testing.TB, key *Key) files {
	t.Helper()
	f := make(files)
	payloads := func(yield func(Payload, error) bool) {
		for _, p := range m.payloads {
			if !yield(p, nil) {
				return
			}
		}
	}
	if _, err := Export(f, m.checkpoint(t, key), key.Verifier(), m, payloads); err != nil {
		t.Fatal(err)
	}
	return f
}

func sortedNames(f files) []string { return slices.Sorted(maps.Keys(f)) }
