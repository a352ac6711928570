package history

import (
	"bytes"
	"testing"
)

// seeds returns leaves of every kind.
func seeds(t testing.TB) [][]byte {
	m := &memory{}
	log := m.open(t)
	for _, line := range []string{
		"restore origin=example.org/old size=10 offset=5",
		"segment offset=6 rows=3 bytes=abc sources=8 tenant=a",
		"segment offset=7 rows=3 bytes=abc sources=9 tenant=a",
		"control offset=8 bytes=x",
		"finding id=f revision=1 tenant=a",
		"finding id=f revision=2 settled=true withdrawn=true tenant=a",
		"action verb=x object=y detail=z actor=b",
		"conflict offset=1 stored=x refused=y",
		"tick", "tick tenant=a",
		"loss first=1 last=2",
		"summary first=1 last=2 late=3",
		"key-epoch use=signing epoch=1",
		"retention first=1 last=2",
	} {
		l, _ := parseLeaf(t, line)
		m.put(t, log, l)
	}
	return m.leaves
}

// FuzzDecode: what is decoded encodes back alike.
func FuzzDecode(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Encode(&l)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x decodes, and encodes to %x, %v", b, again, err)
		}
	})
}

// FuzzVerify puts any bytes in the place of an export's files: only the signed
// ones pass. Reading folders in memory differs from run to run, so shorten the
// fuzzer's minimizing: -fuzzminimizetime 10x.
func FuzzVerify(f *testing.F) {
	m := rehash(seeds(f))
	key, err := NewKey(bytes.NewReader(make([]byte, 32)), "example.org/x")
	if err != nil {
		f.Fatal(err)
	}
	honest := m.export(f, key)
	bundle := entriesPath(0, len(m.leaves))
	f.Add(honest[bundle], honest[tilePath(0, 0, len(m.leaves))], honest[checkpointFile])
	f.Add([]byte{0, 1, 2, 0}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, entries, tile, checkpoint []byte) {
		export := files{bundle: entries, tilePath(0, 0, len(m.leaves)): tile, checkpointFile: checkpoint}
		r, err := Verify(export.fs(), Options{VKey: key.Verifier()})
		if err != nil {
			t.Fatal(err)
		}
		same := bytes.Equal(entries, honest[bundle]) && bytes.Equal(tile, honest[tilePath(0, 0, len(m.leaves))])
		if r.Verdict == OK && !same {
			t.Errorf("passed: %+v", r)
		}
	})
}

// FuzzRecords: records of any content open to an error, not to a panic, unless
// they are those stored.
func FuzzRecords(f *testing.F) {
	m := newStory(f, 1).grow(f, 3).m
	for k, v := range m.records {
		f.Add([]byte(k), v)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		damaged := &memory{hashes: m.hashes, records: map[string][]byte{string(key): value}}
		for k, v := range m.records {
			if k != string(key) {
				damaged.records[k] = v
			}
		}
		l, err := Open(damaged.stored(), damaged)
		if err == nil && l.Head().Size != 3 && l.Head().Size != 0 {
			t.Errorf("opened at size %d", l.Head().Size)
		}
	})
}
