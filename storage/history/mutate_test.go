package history

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// want is what a verification must come to.
type want struct {
	verdict Verdict
	index   int64
}

// world is a history, its export and what an attacker has.
type world struct {
	t     testing.TB
	key   *Key
	evil  *Key // of the same name
	m     *memory
	files files
	held  int // size of the checkpoint saved earlier
}

func newWorld(t testing.TB, seed uint64, size, held int) *world {
	w := &world{t: t, key: testKey(t, 1), evil: testKey(t, 66), m: newStory(t, seed).grow(t, size).m, held: held}
	w.files = w.m.export(t, w.key)
	return w
}

func (w *world) size() int { return len(w.m.leaves) }

func (w *world) verify(f files) Report {
	w.t.Helper()
	r, err := Verify(f.fs(), Options{
		VKey: w.key.Verifier(),
		Held: [][]byte{w.m.truncated(w.held).checkpoint(w.t, w.key)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// withLeaves replaces the entry bundles, and nothing else.
func (w *world) withLeaves(leaves [][]byte) files {
	f := w.files.clone()
	maps.DeleteFunc(f, func(name string, _ []byte) bool { return strings.HasPrefix(name, entriesFolder) })
	for n := 0; n*tileWidth < len(leaves); n++ {
		part := leaves[n*tileWidth : min(len(leaves), (n+1)*tileWidth)]
		var bundle []byte
		for _, b := range part {
			bundle = AppendEntry(bundle, b)
		}
		f[entriesPath(uint64(n), len(part))] = bundle
	}
	return f
}

// rewrite hides what happened at a leaf: a leaf that keeps all invariants.
func (w *world) rewrite(i int) [][]byte {
	leaves := slices.Clone(w.m.leaves)
	l, err := Decode(leaves[i])
	if err != nil {
		w.t.Fatal(err)
	}
	l.Actor[5] ^= 1
	if leaves[i], err = Encode(&l); err != nil {
		w.t.Fatal(err)
	}
	return leaves
}

// without leaves a leaf out and renumbers all that follow.
func (w *world) without(i int) [][]byte {
	m := &memory{}
	log := m.open(w.t)
	for n, b := range w.m.leaves {
		if n == i {
			continue
		}
		l, err := Decode(b)
		if err != nil {
			w.t.Fatal(err)
		}
		m.put(w.t, log, l)
	}
	return m.leaves
}

// resigned is the export of a whole other tree.
func (w *world) resigned(leaves [][]byte, key *Key) files {
	m := rehash(leaves)
	m.payloads = w.m.payloads
	return m.export(w.t, key)
}

// mutation is one way of changing the past.
type mutation struct {
	name string
	// apply returns the changed export and what to say about it; ok is false if
	// there is nothing to change.
	apply func(w *world, rnd *rand.Rand) (f files, expect want, ok bool)
}

// mutations are all that V17 lists, and the attackers with and without the
// signing key.
func mutations() []mutation {
	pick := func(w *world, rnd *rand.Rand) (int, bool) {
		if w.size() == 0 {
			return 0, false
		}
		return rnd.IntN(w.size()), true
	}
	return []mutation{
		{"edit one byte", func(w *world, rnd *rand.Rand) (files, want, bool) {
			i, ok := pick(w, rnd)
			if !ok {
				return nil, want{}, false
			}
			leaves := slices.Clone(w.m.leaves)
			leaves[i] = bytes.Clone(leaves[i])
			leaves[i][rnd.IntN(len(leaves[i]))] ^= byte(1 + rnd.IntN(255))
			return w.withLeaves(leaves), want{Altered, int64(i)}, true
		}},
		{"remove one", func(w *world, rnd *rand.Rand) (files, want, bool) {
			i, ok := pick(w, rnd)
			if !ok {
				return nil, want{}, false
			}
			expect := want{Altered, int64(i)}
			if i == w.size()-1 {
				expect.verdict = Truncated
			}
			return w.withLeaves(slices.Delete(slices.Clone(w.m.leaves), i, i+1)), expect, true
		}},
		{"swap two", func(w *world, rnd *rand.Rand) (files, want, bool) {
			i, ok := pick(w, rnd)
			j, _ := pick(w, rnd)
			if !ok || i == j {
				return nil, want{}, false
			}
			leaves := slices.Clone(w.m.leaves)
			leaves[i], leaves[j] = leaves[j], leaves[i]
			return w.withLeaves(leaves), want{Altered, int64(min(i, j))}, true
		}},
		{"insert one", func(w *world, rnd *rand.Rand) (files, want, bool) {
			i := rnd.IntN(w.size() + 1)
			extra := newStory(w.t, 99).grow(w.t, w.size()+2).m.leaves[w.size()+1]
			return w.withLeaves(slices.Insert(slices.Clone(w.m.leaves), i, extra)), want{Altered, int64(i)}, true
		}},
		{"cut the last hundred", func(w *world, _ *rand.Rand) (files, want, bool) {
			n := max(0, w.size()-100)
			return w.withLeaves(w.m.leaves[:n]), want{Truncated, int64(n)}, w.size() > 0
		}},
		{"cut the last hundred, tiles too", func(w *world, _ *rand.Rand) (files, want, bool) {
			n := max(0, w.size()-100)
			f := w.m.truncated(n).export(w.t, w.key)
			f[checkpointFile] = w.files[checkpointFile]
			return f, want{Truncated, int64(n)}, w.size() > 0
		}},
		{"an older checkpoint", func(w *world, rnd *rand.Rand) (files, want, bool) {
			n, ok := pick(w, rnd)
			f := w.files.clone()
			f[checkpointFile] = w.m.truncated(n).checkpoint(w.t, w.key)
			return f, want{Truncated, int64(n)}, ok
		}},
		{"an older export", func(w *world, rnd *rand.Rand) (files, want, bool) {
			if w.held == 0 {
				return nil, want{}, false
			}
			n := rnd.IntN(w.held) // at or above the held size it is an honest older export
			return w.m.truncated(n).export(w.t, w.key), want{Truncated, int64(n)}, true
		}},
		{"re-hash without the key, keep the checkpoint", func(w *world, rnd *rand.Rand) (files, want, bool) {
			i, ok := pick(w, rnd)
			if !ok {
				return nil, want{}, false
			}
			f := w.resigned(w.rewrite(i), w.evil)
			f[checkpointFile] = w.files[checkpointFile]
			return f, want{Altered, NoIndex}, true
		}},
		{"re-hash without the key, keep the signature", func(w *world, rnd *rand.Rand) (files, want, bool) {
			i, ok := pick(w, rnd)
			if !ok {
				return nil, want{}, false
			}
			f := w.resigned(w.rewrite(i), w.evil)
			text, _, _ := bytes.Cut(f[checkpointFile], []byte("\n\n"))
			_, sig, _ := bytes.Cut(w.files[checkpointFile], []byte("\n\n"))
			f[checkpointFile] = slices.Concat(text, []byte("\n\n"), sig)
			return f, want{Altered, NoIndex}, true
		}},
		{"re-hash and sign with another key", func(w *world, rnd *rand.Rand) (files, want, bool) {
			i, ok := pick(w, rnd)
			if !ok {
				return nil, want{}, false
			}
			expect := want{Unverifiable, NoIndex}
			if i < w.held {
				expect.verdict = Altered
			}
			return w.resigned(w.rewrite(i), w.evil), expect, true
		}},
		{"re-hash with the key", func(w *world, rnd *rand.Rand) (files, want, bool) {
			if w.held == 0 {
				return nil, want{}, false
			}
			return w.resigned(w.rewrite(rnd.IntN(w.held)), w.key), want{Forked, NoIndex}, true
		}},
		{"re-hash with the key, above the held checkpoint", func(w *world, rnd *rand.Rand) (files, want, bool) {
			if w.held == w.size() {
				return nil, want{}, false
			}
			i := w.held + rnd.IntN(w.size()-w.held)
			return w.resigned(w.rewrite(i), w.key), want{OK, NoIndex}, true // the stated exposure
		}},
		{"remove one and renumber with the key", func(w *world, rnd *rand.Rand) (files, want, bool) {
			if w.held == 0 {
				return nil, want{}, false
			}
			expect := want{Forked, NoIndex}
			if w.held == w.size() {
				expect = want{Truncated, int64(w.size() - 1)}
			}
			i := rnd.IntN(w.held)
			f := w.resigned(w.without(i), w.key)
			if l, err := Decode(w.m.leaves[i]); err != nil {
				w.t.Fatal(err)
			} else if k := l.Kind(); k == KindFinding || k == KindRevision {
				expect.index = anyIndex // a gap of revisions may come with it
			}
			return f, expect, true
		}},
		{"flip a bit of a hash tile", func(w *world, rnd *rand.Rand) (files, want, bool) {
			return w.flip(rnd, func(name string) bool {
				return strings.HasPrefix(name, "tile/") && !strings.HasPrefix(name, entriesFolder)
			})
		}},
		{bundleFlip, func(w *world, rnd *rand.Rand) (files, want, bool) {
			return w.flip(rnd, func(name string) bool { return strings.HasPrefix(name, entriesFolder) })
		}},
		{"flip a bit of a payload", func(w *world, rnd *rand.Rand) (files, want, bool) {
			return w.flip(rnd, func(name string) bool { return strings.HasPrefix(name, segmentsFolder) })
		}},
	}
}

const bundleFlip = "flip a bit of a bundle"

// anyIndex is for mutations whose index the test does not work out.
const anyIndex = NoIndex - 1

// flip flips one bit of one file.
func (w *world) flip(rnd *rand.Rand, of func(name string) bool) (files, want, bool) {
	names := slices.DeleteFunc(sortedNames(w.files), func(name string) bool { return !of(name) })
	if len(names) == 0 {
		return nil, want{}, false
	}
	name := names[rnd.IntN(len(names))]
	f := w.files.clone()
	b := bytes.Clone(f[name])
	b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
	f[name] = b
	return f, want{Altered, anyIndex}, true
}

// run applies a mutation and says how the verdict fails to be the expected one.
func (m mutation) run(w *world, rnd *rand.Rand) (ok bool, complaint string) {
	f, expect, ok := m.apply(w, rnd)
	if !ok {
		return false, ""
	}
	r := w.verify(f)
	if m.name == bundleFlip && r.Verdict == Incomplete {
		return true, "" // a bit of a leaf's length can make it swallow the ones behind it
	}
	if r.Verdict != expect.verdict || expect.index != anyIndex && r.Index != expect.index {
		return true, fmt.Sprintf("%s, %d leaves, %d held: %v at %d, want %v at %d: %v",
			m.name, w.size(), w.held, r.Verdict, r.Index, expect.verdict, expect.index, r.Problems)
	}
	return true, ""
}

// TestVerifyV17 tries every mutation on histories of the sizes at which tiles
// and bundles change their shape.
func TestVerifyV17(t *testing.T) {
	rnd := rand.New(rand.NewPCG(17, 17))
	count := 0
	for _, size := range []int{0, 1, 2, 255, 256, 257, 700} {
		for _, held := range slices.Compact([]int{0, size / 2, size}) {
			w := newWorld(t, 17, size, held)
			if r := w.verify(w.files); r.Verdict != OK || r.Leaves != uint64(size) || r.Held != uint64(held) {
				t.Errorf("clean, %d leaves: %+v", size, r)
			}
			for _, m := range mutations() {
				ok, complaint := m.run(w, rnd)
				if complaint != "" {
					t.Error(complaint)
				}
				if ok {
					count++
				}
			}
		}
	}
	t.Logf("%d mutations judged right", count)
}

// TestVerifyLarge tries the six changes of the list on a history with full
// tiles on two levels, of which an older checkpoint is held.
func TestVerifyLarge(t *testing.T) {
	const size = 65_536
	s := newStory(t, 8).grow(t, size)
	s.m.payloads = nil
	w := &world{t: t, key: testKey(t, 1), m: s.m}
	w.files = w.m.export(t, w.key)
	if r := w.verify(w.files); r.Verdict != OK || r.Leaves != size {
		t.Fatalf("clean: %v", r.Problems)
	}
	six := map[string]bool{
		"edit one byte": true, "remove one": true, "swap two": true, "insert one": true,
		"cut the last hundred": true, "an older checkpoint": true,
	}
	rnd := rand.New(rand.NewPCG(65, 536))
	count := 0
	for _, m := range mutations() {
		if !six[m.name] {
			continue
		}
		ok, complaint := m.run(w, rnd)
		if !ok || complaint != "" {
			t.Errorf("%s: %s", m.name, complaint)
		}
		count++
	}
	if count != len(six) {
		t.Errorf("%d of %d changes tried", count, len(six))
	}
}

// mutationCount is raised for the nightly run: go test -run Mutations -mutations 10000.
var (
	mutationCount = flag.Int("mutations", 400, "how many random mutations to try")
	mutationSeed  = flag.Uint64("seed", 1, "their seed; 0 takes a random one")
)

// TestMutations applies random mutations to random histories, ten to each.
func TestMutations(t *testing.T) {
	seed := *mutationSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	all := mutations()
	count := make(map[string]int)
	worlds, total := 0, 0
	for ; total < *mutationCount; worlds++ {
		size := rnd.IntN(600)
		w := newWorld(t, rnd.Uint64(), size, rnd.IntN(size+1))
		if r := w.verify(w.files); r.Verdict != OK {
			t.Fatalf("history %d: false alarm: %v", worlds, r.Problems)
		}
		for range 10 {
			m := all[rnd.IntN(len(all))]
			ok, complaint := m.run(w, rnd)
			if complaint != "" {
				t.Fatalf("history %d: %s", worlds, complaint)
			}
			if ok {
				count[m.name]++
				total++
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		t.Logf("%6d %s", count[name], name)
	}
	t.Logf("%d of %d mutations judged right, 0 false alarms on %d clean histories", total, total, worlds)
}

// TestEveryBitOfACheckpoint flips each in turn.
func TestEveryBitOfACheckpoint(t *testing.T) {
	w := newWorld(t, 3, 3, 0)
	signed := w.files[checkpointFile]
	for i := range signed {
		for bit := range 8 {
			f := w.files.clone()
			b := bytes.Clone(signed)
			b[i] ^= 1 << bit
			f[checkpointFile] = b
			if r := w.verify(f); r.Verdict != Altered && r.Verdict != Unverifiable {
				t.Errorf("byte %d, bit %d: %v", i, bit, r.Verdict)
			}
		}
	}
}

// TestMissingFiles removes each file of an export in turn.
func TestMissingFiles(t *testing.T) {
	w := newWorld(t, 4, 600, 0)
	for i, name := range sortedNames(w.files) {
		if strings.HasPrefix(name, segmentsFolder) && i%16 != 0 {
			continue // they are all alike
		}
		f := w.files.clone()
		delete(f, name)
		r, err := Verify(f.fs(), Options{VKey: w.key.Verifier(), Payloads: true})
		if err != nil {
			t.Fatal(err)
		}
		expect := Incomplete
		switch name {
		case manifestFile:
			expect = OK
		case checkpointFile:
			expect = Unverifiable
		case entriesPath(2, 88):
			expect = Truncated
		}
		if r.Verdict != expect {
			t.Errorf("without %s: %v, want %v: %v", name, r.Verdict, expect, r.Problems)
		}
	}
}

// TestVerifyOptions: what the verifier brings along must make sense.
func TestVerifyOptions(t *testing.T) {
	w := newWorld(t, 4, 3, 0)
	other := w.m.checkpoint(t, w.evil)
	for _, o := range []Options{{}, {VKey: "x"}, {VKey: w.key.Verifier(), Held: [][]byte{other}}} {
		if _, err := Verify(w.files.fs(), o); err == nil {
			t.Errorf("accepted %+v", o)
		}
	}
}
