package local

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Errors that end a store, besides storage.Corruption and storage.Loss.
var (
	// ErrDiskFull: the disk is full. Free space and start again; nothing
	// acknowledged is missing.
	ErrDiskFull = errors.New("disk is full")
	// ErrIO: the file system failed. Nothing acknowledged is missing, as far as
	// the file system kept what it said it kept.
	ErrIO = errors.New("file system failed")
	// ErrNewer: the data are of a later version of tokenwatch. Nothing was
	// written.
	ErrNewer = errors.New("store was written by a newer version")
	// ErrNoSigner: the store was opened without a signer, so it signs no
	// checkpoints.
	ErrNoSigner = errors.New("no signing key")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
)

// Exit codes of a program that must stop for the error of a store.
const (
	ExitDiskFull   = 10
	ExitIO         = 11
	ExitCorruption = 12
	ExitLoss       = 13
	ExitNewer      = 14
)

// ExitCode returns the exit code that goes with the error of a store, 0 if it
// is of no such kind.
func ExitCode(err error) int {
	var corruption *storage.Corruption
	var loss *storage.Loss
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrNewer):
		return ExitNewer
	case errors.As(err, &loss):
		return ExitLoss
	case errors.As(err, &corruption):
		return ExitCorruption
	case errors.Is(err, ErrDiskFull):
		return ExitDiskFull
	case errors.Is(err, ErrIO):
		return ExitIO
	default:
		return 0
	}
}

// classify gives an error that came from below one of the kinds above. what
// names the data that was being read or written.
func classify(what string, err error) error {
	var corruption *storage.Corruption
	switch {
	case err == nil:
		return nil
	case ExitCode(err) != 0, errors.Is(err, ErrClosed), errors.Is(err, pebble.ErrClosed):
		return err
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: %s: %w", ErrDiskFull, what, err)
	case errors.As(err, &corruption):
		return err
	case pebble.IsCorruptionError(err):
		return &storage.Corruption{What: what, Err: told(err)}
	default:
		return fmt.Errorf("%w: %s: %w", ErrIO, what, err)
	}
}

// told is an error of Pebble without what it joins to it to carry details: a line of
// its own that says nothing.
func told(err error) error {
	text, carried := strings.CutSuffix(err.Error(), "\n<corruption detail carrier>")
	if !carried {
		return err
	}
	return errors.New(text)
}

// damaged is a Corruption of stored bytes that read well and mean nothing.
func damaged(what string, err error) error {
	return &storage.Corruption{What: what, Err: err}
}
