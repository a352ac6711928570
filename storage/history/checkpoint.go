package history

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is what a signed head says (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   tlog.Hash
}

// The ways in which OpenCheckpoint fails, apart because they mean different
// things to an auditor.
var (
	// ErrMalformed: not a checkpoint at all.
	ErrMalformed = errors.New("not a checkpoint")
	// ErrBadSignature: it claims to be signed by the pinned key and is not.
	ErrBadSignature = errors.New("the signature does not hold")
	// ErrNotSigned: it carries no signature by the pinned key.
	ErrNotSigned = errors.New("not signed by the pinned key")
)

// text returns the body of the signed note.
func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// OpenCheckpoint reads a signed checkpoint and checks it with a verifier key,
// whose name must be the origin. Signatures by others, such as witnesses, are
// passed over.
func OpenCheckpoint(signed []byte, vkey string) (Checkpoint, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: verifier key: %w", err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		var (
			unsigned *note.UnverifiedNoteError
			bad      *note.InvalidSignatureError
		)
		switch {
		case errors.As(err, &unsigned):
			err = ErrNotSigned
		case errors.As(err, &bad):
			err = ErrBadSignature
		default:
			err = ErrMalformed
		}
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	// One spelling only: unused bits of the last digit would not matter otherwise.
	if sig, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64); err != nil ||
		base64.StdEncoding.EncodeToString(sig) != n.Sigs[0].Base64 {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", ErrMalformed)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	if c.Origin != v.Name() {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w: it is about another history", ErrNotSigned)
	}
	return c, nil
}

// parseCheckpoint reads the body of a signed note: origin, size and root, a
// line each, and lines of extensions, which mean nothing to us.
func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 || lines[0] == "" {
		return Checkpoint{}, ErrMalformed
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return Checkpoint{}, ErrMalformed
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize || base64.StdEncoding.EncodeToString(root) != lines[2] {
		return Checkpoint{}, ErrMalformed
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: tlog.Hash(root)}, nil
}
