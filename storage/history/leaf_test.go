package history

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func TestSetSources(t *testing.T) {
	long := strings.Repeat("x", MaxText+1)
	var s Segment
	err := s.SetSources([]SourceCount{
		{Source: "b", Rows: 1}, {Source: "a", Rows: 2, Rejected: 1}, {Source: "b", Rejected: 3}, {Source: long}, {Source: "\xff"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []SourceCount{
		{Source: "a", Rows: 2, Rejected: 1}, {Source: "b", Rows: 1, Rejected: 3}, {Source: Short(long)}, {Source: Short("\xff")},
	}
	if !slices.Equal(s.Sources, want) || s.Rejected != 4 || s.SourcesDigest != (Digest{}) {
		t.Errorf("%+v", s)
	}
	if a, b := Short(long), Short(long+"x"); a == b || !strings.HasPrefix(a, "sha256:") || Short("a") != "a" {
		t.Error("texts are not shortened as promised")
	}
}

// TestLeafSize holds the largest usual leaf against the aim of 1 KiB, and the
// largest possible one against the limit.
func TestLeafSize(t *testing.T) {
	var counts []SourceCount
	for i := range 8 {
		counts = append(counts, SourceCount{Source: fmt.Sprintf("%s%d", strings.Repeat("s", 74), i), Rows: 1 << 40, Rejected: 1 << 40})
	}
	s := &Segment{Offset: 1 << 60, Rows: 1 << 40, From: 1, To: 1 << 50, Bytes: 1 << 40}
	if err := s.SetSources(counts); err != nil {
		t.Fatal(err)
	}
	prev := uint64(1 << 60)
	b, err := Encode(&Leaf{Index: 1 << 60, Clock: 1 << 40, Tenant: Commitment{1}, Actor: Commitment{1}, Prev: &prev, Body: s})
	if err != nil || s.Sources == nil || len(b) > 1024 {
		t.Errorf("a full segment leaf has %d bytes, %v", len(b), err)
	}
	counts[0].Source += strings.Repeat("s", 100)
	if err := s.SetSources(counts); err != nil || s.Sources != nil || s.SourcesDigest == (Digest{}) {
		t.Error("long names are kept")
	}
	r := &Retention{Policy: "p"}
	for i := uint64(1); i < 10_000; i += 2 {
		r.Ranges = append(r.Ranges, Range{First: 1<<60 + i, Last: 1<<60 + i})
	}
	if _, err := Encode(&Leaf{Body: r}); err == nil {
		t.Error("encoded a leaf beyond the limit")
	}
	if _, err := Decode(make([]byte, MaxLeaf+1)); err == nil {
		t.Error("decoded a leaf beyond the limit")
	}
}

// TestCommit pins that names, salts and their boundary matter.
func TestCommit(t *testing.T) {
	seen := make(map[Commitment]bool)
	for _, salt := range []Salt{{}, {1}, {31: 1}} {
		for _, name := range []string{"", "a", "b", "\x00"} {
			seen[Commit(salt, name)] = true
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d commitments of 12", len(seen))
	}
}

func TestRebuildRefuses(t *testing.T) {
	m := newStory(t, 2).grow(t, 20).m
	keep := func(int64, []tlog.Hash) error { return nil }
	seq := func(leaves [][]byte) iter.Seq2[[]byte, error] {
		return (&memory{leaves: leaves}).Leaves(0, uint64(len(leaves)))
	}
	if _, err := Rebuild(seq(slices.Delete(slices.Clone(m.leaves), 3, 4)), keep); err == nil {
		t.Error("rebuilt without a leaf")
	}
	damaged := slices.Clone(m.leaves)
	damaged[5] = append(bytes.Clone(damaged[5]), 0)
	if _, err := Rebuild(seq(damaged), keep); err == nil {
		t.Error("rebuilt from a damaged leaf")
	}
	if _, err := Rebuild(m.Leaves(0, 21), keep); err == nil {
		t.Error("rebuilt past an error of reading")
	}
	if _, err := Rebuild(seq(m.leaves), func(int64, []tlog.Hash) error { return errDisk }); !errors.Is(err, errDisk) {
		t.Errorf("rebuilt past an error of writing: %v", err)
	}
}

// TestExportOnDisk goes through the operating system, twice for equal bytes.
func TestExportOnDisk(t *testing.T) {
	key := testKey(t, 1)
	m := newStory(t, 2).grow(t, 300).m
	signed := m.checkpoint(t, key)
	export := m.export(t, key)
	for range 2 {
		dir := Dir{Path: t.TempDir()}
		if _, err := Export(dir, signed, key.Verifier(), m, nil); err != nil {
			t.Fatal(err)
		}
		r, err := Verify(os.DirFS(dir.Path), Options{VKey: key.Verifier(), Held: [][]byte{signed}})
		if err != nil || r.Verdict != OK || r.Leaves != 300 || r.Held != 300 {
			t.Fatalf("%v %+v", err, r)
		}
		for name, b := range export {
			if strings.HasPrefix(name, segmentsFolder) || name == manifestFile {
				continue // this one has no payloads
			}
			if got, err := dir.ReadFile(name); err != nil || !bytes.Equal(got, b) {
				t.Errorf("%s differs, %v", name, err)
			}
		}
	}
}

// TestExportFails: an export that could not be written or read whole has no
// checkpoint.
func TestExportFails(t *testing.T) {
	key := testKey(t, 1)
	m := newStory(t, 2).grow(t, 300).m
	signed := m.checkpoint(t, key)
	if _, err := Export(brokenFiles{}, signed, key.Verifier(), m, nil); !errors.Is(err, errDisk) {
		t.Errorf("exported to a broken disk: %v", err)
	}
	lost := &memory{leaves: m.leaves[:299], hashes: m.hashes}
	f := make(files)
	if _, err := Export(f, signed, key.Verifier(), lost, nil); err == nil || f[checkpointFile] != nil {
		t.Errorf("exported a history that lost a leaf: %v", err)
	}
	if _, err := Export(f, signed, testKey(t, 2).Verifier(), m, nil); !errors.Is(err, ErrNotSigned) {
		t.Errorf("exported with a checkpoint of another key: %v", err)
	}
}
