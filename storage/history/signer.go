package history

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// Errors of a Signer on which a caller acts: stop signing, put a loss report in
// the history, and tell the operator.
var (
	// ErrRollback: the tree is smaller than one signed before.
	ErrRollback = errors.New("the history is shorter than the last one signed")
	// ErrInconsistent: the tree does not continue the one signed before.
	ErrInconsistent = errors.New("the history does not continue the last one signed")
	// ErrDamaged: what is stored does not hash to what was committed.
	ErrDamaged = errors.New("stored history differs from what was committed")
)

// Reader reads a stored history.
type Reader interface {
	tlog.HashReader
	// Leaves yields the bytes of the leaves from first up to, not including,
	// end. The consumer does not keep them.
	Leaves(first, end uint64) iter.Seq2[[]byte, error]
}

// StateFiles is where a signer keeps its state, apart from the history itself.
type StateFiles interface {
	// ReadFile fails with fs.ErrNotExist if there is no such file.
	ReadFile(name string) ([]byte, error)
	// WriteFile replaces a file whole, and returns once it is durable.
	WriteFile(name string, data []byte) error
}

// signerState is the file with the last checkpoint signed.
const signerState = "checkpoint"

// Signer signs heads, and never two that contradict each other: it keeps the
// last checkpoint it signed and signs only what continues it. All methods may be
// called from many goroutines.
type Signer struct {
	key   *Key
	files StateFiles

	mu   sync.Mutex
	last Checkpoint
	note []byte
}

// NewSigner begins the state of a new key with a checkpoint of the empty tree.
// It refuses if there is a state already.
func NewSigner(key *Key, files StateFiles) (*Signer, error) {
	_, err := files.ReadFile(signerState)
	if err == nil {
		return nil, errors.New("begin signer state: there is one already")
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("begin signer state: %w", err)
	}
	s := &Signer{key: key, files: files}
	if err := s.advance(Checkpoint{Origin: key.Origin(), Root: emptyRoot}); err != nil {
		return nil, fmt.Errorf("begin signer state: %w", err)
	}
	return s, nil
}

// OpenSigner continues a signer. A missing state (fs.ErrNotExist) is an error:
// without it a rollback would go unnoticed.
func OpenSigner(key *Key, files StateFiles) (*Signer, error) {
	b, err := files.ReadFile(signerState)
	if err != nil {
		return nil, fmt.Errorf("open signer state: %w", err)
	}
	c, err := OpenCheckpoint(b, key.Verifier())
	if err != nil {
		return nil, fmt.Errorf("open signer state: %w", err)
	}
	return &Signer{key: key, files: files, last: c, note: b}, nil
}

// Last returns the last checkpoint signed, and what it says.
func (s *Signer) Last() ([]byte, Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.note), s.last
}

// Sign signs a committed head and returns the checkpoint, which is durable in
// the signer's state by then. Before, it reads the leaves since the last
// checkpoint back, hashes them anew, compares the stored hashes and checks a
// consistency proof. A head signed before gives the same bytes.
func (s *Signer) Sign(head Head, stored Reader) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if head.Size < s.last.Size {
		return nil, fmt.Errorf("sign tree of size %d after %d: %w", head.Size, s.last.Size, ErrRollback)
	}
	if head.Size == s.last.Size {
		if head.Root != s.last.Root {
			return nil, fmt.Errorf("sign tree of size %d: %w", head.Size, ErrInconsistent)
		}
		return bytes.Clone(s.note), nil
	}
	if err := s.recompute(head, stored); err != nil {
		return nil, fmt.Errorf("sign tree of size %d: %w", head.Size, err)
	}
	if err := s.consistent(head, stored); err != nil {
		return nil, fmt.Errorf("sign tree of size %d: %w", head.Size, err)
	}
	if err := s.advance(Checkpoint{Origin: s.key.Origin(), Size: head.Size, Root: head.Root}); err != nil {
		return nil, fmt.Errorf("sign tree of size %d: %w", head.Size, err)
	}
	return bytes.Clone(s.note), nil
}

// recompute grows the tree last signed by the leaves as they are stored.
func (s *Signer) recompute(head Head, stored Reader) error {
	t, err := readTree(s.last.Size, stored)
	if err != nil {
		return err
	}
	if t.root() != s.last.Root {
		return fmt.Errorf("hashes up to leaf %d: %w", s.last.Size, ErrInconsistent)
	}
	var (
		hashes []tlog.Hash
		at     []int64
	)
	for b, err := range stored.Leaves(s.last.Size, head.Size) {
		if err != nil {
			return fmt.Errorf("read leaf %d: %w", t.size, err)
		}
		index := t.size
		leaf, err := Decode(b)
		if err != nil {
			return fmt.Errorf("leaf %d: %w: %w", index, ErrDamaged, err)
		}
		if leaf.Index != index {
			return fmt.Errorf("leaf %d says it is leaf %d: %w", index, leaf.Index, ErrDamaged)
		}
		first := tlog.StoredHashCount(int64(index))
		hashes, at = t.add(tlog.RecordHash(b), hashes[:0]), at[:0]
		for i := range hashes {
			at = append(at, first+int64(i))
		}
		kept, err := stored.ReadHashes(at)
		if err != nil {
			return fmt.Errorf("read hashes of leaf %d: %w", index, err)
		}
		for i, h := range hashes {
			if i >= len(kept) || kept[i] != h {
				return fmt.Errorf("hashes of leaf %d: %w", index, ErrDamaged)
			}
		}
	}
	if t.size != head.Size || t.root() != head.Root {
		return fmt.Errorf("leaves %d to %d: %w", s.last.Size, head.Size, ErrDamaged)
	}
	return nil
}

// consistent asks the store for the proof that a separate signer would be
// given, so that the stored hashes are known to serve proofs.
func (s *Signer) consistent(head Head, stored tlog.HashReader) error {
	if s.last.Size == 0 {
		return nil // everything continues the empty tree
	}
	size, last := int64(head.Size), int64(s.last.Size)
	proof, err := tlog.ProveTree(size, last, stored)
	if err != nil {
		return fmt.Errorf("prove consistency: %w", err)
	}
	if err := tlog.CheckTree(proof, size, head.Root, last, s.last.Root); err != nil {
		return ErrInconsistent
	}
	return nil
}

// advance signs c and makes it the state: on disk first, so that no checkpoint
// is out that a restarted signer does not know.
func (s *Signer) advance(c Checkpoint) error {
	signed, err := s.key.sign(c.text())
	if err != nil {
		return err
	}
	if err := s.files.WriteFile(signerState, signed); err != nil {
		return fmt.Errorf("write signer state: %w", err)
	}
	s.last, s.note = c, signed
	return nil
}
