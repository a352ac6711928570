package history

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// brokenFiles fails to write.
type brokenFiles struct{ files }

var errDisk = errors.New("disk is broken")

func (brokenFiles) WriteFile(string, []byte) error { return errDisk }

func TestSigner(t *testing.T) {
	key := testKey(t, 1)
	state := make(files)
	if _, err := OpenSigner(key, state); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("opened without a state: %v", err)
	}
	signer, err := NewSigner(key, state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewSigner(key, state); err == nil {
		t.Fatal("began a state over another")
	}

	s := newStory(t, 5)
	for _, size := range []int{0, 1, 2, 100, 255, 256, 257, 400} {
		s.grow(t, size)
		head := s.log.Head()
		signed, err := signer.Sign(head, s.m)
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		c, err := OpenCheckpoint(signed, key.Verifier())
		if err != nil || c != (Checkpoint{key.Origin(), head.Size, head.Root}) {
			t.Fatalf("size %d: signed %+v, %v", size, c, err)
		}
		again, err := signer.Sign(head, s.m)
		if err != nil || !bytes.Equal(again, signed) {
			t.Fatalf("size %d: the same head gave another checkpoint, %v", size, err)
		}
		if signer, err = OpenSigner(key, state); err != nil {
			t.Fatal(err)
		}
		if last, lc := signer.Last(); !bytes.Equal(last, signed) || lc != c {
			t.Fatalf("size %d: reopened at %+v", size, lc)
		}
	}

	smaller := s.m.truncated(399)
	tr, err := readTree(399, smaller)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(Head{Size: 399, Root: tr.root()}, smaller); !errors.Is(err, ErrRollback) {
		t.Errorf("smaller tree: %v", err)
	}
	other := newStory(t, 6).grow(t, 400)
	if _, err := signer.Sign(other.log.Head(), other.m); !errors.Is(err, ErrInconsistent) {
		t.Errorf("another tree of the same size: %v", err)
	}
	other.grow(t, 500)
	if _, err := signer.Sign(other.log.Head(), other.m); !errors.Is(err, ErrInconsistent) {
		t.Errorf("a larger tree that is another: %v", err)
	}

	s.grow(t, 450)
	head := s.log.Head()
	for name, damage := range map[string]func(*memory){
		"leaf": func(m *memory) {
			m.leaves[420] = bytes.Clone(m.leaves[420])
			m.leaves[420][60] ^= 1
		},
		"swapped leaves":   func(m *memory) { m.leaves[420], m.leaves[421] = m.leaves[421], m.leaves[420] },
		"hash of a leaf":   func(m *memory) { m.hashes[tlog.StoredHashIndex(0, 449)][3] ^= 4 },
		"hash of the tree": func(m *memory) { m.hashes[tlog.StoredHashIndex(2, 110)][3] ^= 4 },
	} {
		m := &memory{leaves: slices.Clone(s.m.leaves), hashes: slices.Clone(s.m.hashes)}
		damage(m)
		if _, err := signer.Sign(head, m); !errors.Is(err, ErrDamaged) {
			t.Errorf("damaged %s: %v", name, err)
		}
	}
	old := &memory{leaves: s.m.leaves, hashes: slices.Clone(s.m.hashes)}
	old.hashes[tlog.StoredHashIndex(8, 0)][0] ^= 1
	if _, err := signer.Sign(head, old); !errors.Is(err, ErrInconsistent) {
		t.Errorf("damaged hash below the last checkpoint: %v", err)
	}

	broken, err := OpenSigner(key, brokenFiles{state})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broken.Sign(head, s.m); !errors.Is(err, errDisk) {
		t.Errorf("signed without a durable state: %v", err)
	}
	if _, c := broken.Last(); c.Size != 400 {
		t.Errorf("the state moved to %d without being durable", c.Size)
	}
	if _, err := signer.Sign(head, s.m); err != nil {
		t.Errorf("undamaged after all: %v", err)
	}
}

func TestSignerStateOnDisk(t *testing.T) {
	key := testKey(t, 1)
	dir := Dir{Path: t.TempDir() + "/keys", Durable: true}
	signer, err := NewSigner(key, dir)
	if err != nil {
		t.Fatal(err)
	}
	s := newStory(t, 5).grow(t, 10)
	if _, err := signer.Sign(s.log.Head(), s.m); err != nil {
		t.Fatal(err)
	}
	reopened, err := OpenSigner(key, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, c := reopened.Last(); c.Size != 10 {
		t.Errorf("size %d", c.Size)
	}
	if _, err := OpenSigner(testKey(t, 2), dir); !errors.Is(err, ErrNotSigned) {
		t.Errorf("opened the state of another key: %v", err)
	}
}

// TestKeyKeepsItsSecret prints a key in every way, bare and nested.
func TestKeyKeepsItsSecret(t *testing.T) {
	key := testKey(t, 1)
	again, err := DecodeKey(key.Encode())
	if err != nil || again.Verifier() != key.Verifier() || !bytes.Equal(again.Encode(), key.Encode()) {
		t.Fatalf("decoded another key: %v", err)
	}
	secret := strings.Split(string(key.Encode()), "\n")[0]
	seed := secret[strings.LastIndex(secret, "+")+1:]
	signer, err := NewSigner(key, make(files))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{key, *key, struct{ k *Key }{key}, struct{ k Key }{*key}, []any{key}, signer} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, seed) || strings.Contains(out, fmt.Sprintf("%x", seed)) || strings.Contains(out, fmt.Sprintf("%X", seed)) {
				t.Errorf("%s of %T shows the key", verb, v)
			}
		}
	}
	for _, bad := range []string{"", "x\ny\n", secret + "\n", secret + "\n" + testKey(t, 2).Verifier() + "\n", string(key.Encode()) + "x"} {
		if _, err := DecodeKey([]byte(bad)); err == nil {
			t.Error("decoded a broken key")
		} else if strings.Contains(err.Error(), seed) {
			t.Error("an error shows the key")
		}
	}
	// The encoding is that of x/mod, which signs the same.
	theirs, err := note.NewSigner(secret)
	if err != nil || theirs.Name() != key.Origin() {
		t.Errorf("not a key of C2SP signed-note: %v", err)
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	key, err := NewKey(bytes.NewReader(make([]byte, 32)), "example.org/x")
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range []Checkpoint{{Origin: "example.org/x", Root: emptyRoot}, {Origin: "example.org/x", Size: 1 << 40}} {
		signed, err := key.sign(c.text())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(signed, c.text())
	}
	f.Add([]byte("x\n\n— y z\n"), "a\n01\nAA==\n")
	f.Fuzz(func(t *testing.T, signed []byte, text string) {
		if c, err := OpenCheckpoint(signed, key.Verifier()); err == nil && c.Origin != key.Origin() {
			t.Errorf("opened a checkpoint of %q", c.Origin)
		}
		c, err := parseCheckpoint(text)
		if err == nil && !strings.HasPrefix(text, c.text()) {
			t.Errorf("%q parses as %+v", text, c)
		}
	})
}
