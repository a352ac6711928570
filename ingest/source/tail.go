package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Tail follows files as they grow, through every usual way of rotating them, and
// goes on after a crash exactly where the log ends: how far a file was read is
// stored with the records, in one write.
//
// A file is known by its place on the disk (device and inode) and its first line,
// whatever its name. So one that is renamed goes on, one that is made anew under
// an old name or in an old inode begins anew, and so does one that was truncated.
// What was written between the last look and a truncation (copytruncate) is lost,
// as with every reader. A rotated file is read to its end; after a restart it is
// looked for only among the names that the patterns match.
type Tail struct {
	Patterns []string // as filepath.Glob has them; compressed files are left out
	To       Pipeline
	Marks    Marks
	Tenant   string
	Source   string
	Format   string        // default auto
	Every    time.Duration // how often files are looked at; default 200 ms
	Chunk    int           // bytes that go on at once, at most; default 1 MiB
	Logger   *slog.Logger  // default: nothing is logged

	files map[string]*tailed // by identity
	buf   []byte
}

// Marks tells how far inputs were read; storage.Marks is one.
type Marks interface {
	// Mark returns the offset before which all of an input is in the log.
	Mark(ctx context.Context, tenant, source, input string) (int64, error)
}

// tailed is one file that is followed.
type tailed struct {
	f       *os.File
	id      string
	at      int64 // everything before it was handed on
	long    bool  // within a line longer than a chunk, of which the beginning was handed on
	named   bool  // some name led to it in this look
	missing int   // looks in which no name did
}

// maxHead is how much of a first line tells a file from others.
const maxHead = 1024

// restAfter is in how many looks a file without a name must have had nothing more
// before it is closed: whoever writes it may not have opened the next one yet.
const restAfter = 25

// Run follows the files until ctx ends.
func (t *Tail) Run(ctx context.Context) error {
	t.fill()
	defer t.close()
	ticker := time.NewTicker(t.Every)
	defer ticker.Stop()
	for {
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = t.look(ctx); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (t *Tail) fill() {
	if t.Every <= 0 {
		t.Every = 200 * time.Millisecond
	}
	if t.Chunk <= 0 {
		t.Chunk = 1 << 20
	}
	if t.Logger == nil {
		t.Logger = slog.New(slog.DiscardHandler)
	}
	t.files, t.buf = map[string]*tailed{}, make([]byte, t.Chunk)
}

func (t *Tail) close() {
	for _, f := range t.files {
		f.f.Close()
	}
}

// look takes one look at all files, and tells whether some may have more.
func (t *Tail) look(ctx context.Context) (more bool, err error) {
	if err := t.find(ctx); err != nil {
		return false, err
	}
	for _, id := range sortedIDs(t.files) {
		f := t.files[id]
		progress, err := t.read(ctx, f)
		if err != nil {
			return false, err
		}
		more = more || progress
		switch {
		case f.named:
			f.missing = 0
		case progress:
			f.missing = 1
		default:
			if f.missing++; f.missing > restAfter {
				if err := t.last(ctx, f); err != nil {
					return false, err
				}
				t.drop(f)
			}
		}
	}
	return more, nil
}

func sortedIDs(files map[string]*tailed) []string {
	ids := make([]string, 0, len(files))
	for id := range files {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (t *Tail) drop(f *tailed) {
	f.f.Close()
	delete(t.files, f.id)
}

// find opens what the patterns match and is not followed yet.
func (t *Tail) find(ctx context.Context) error {
	for _, f := range t.files {
		f.named = false
	}
	for _, pattern := range t.Patterns {
		names, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("files to follow: %w", err)
		}
		for _, name := range names {
			if ext := strings.ToLower(filepath.Ext(name)); ext == ".gz" || ext == ".zst" || ext == ".bz2" || ext == ".xz" {
				continue
			}
			if err := t.open(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// open follows a file under a name, if it has a whole first line by now.
func (t *Tail) open(ctx context.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) { // gone again: it will be back under another name
			t.Logger.WarnContext(ctx, "a file cannot be followed", "source", t.Source, "error", err)
		}
		return nil
	}
	id, ok := identity(f)
	if known := t.files[id]; !ok || known != nil {
		f.Close()
		if known != nil {
			known.named = true
		}
		return nil
	}
	at, err := t.Marks.Mark(ctx, t.Tenant, t.Source, id)
	if err != nil {
		f.Close()
		return fmt.Errorf("how far a file was read: %w", err)
	}
	var before [1]byte // within a long line, if it is no line break
	if n, _ := f.ReadAt(before[:], at-1); at > 0 && n == 1 && before[0] != '\n' {
		t.files[id] = &tailed{f: f, id: id, at: at, named: true, long: true}
		return nil
	}
	t.files[id] = &tailed{f: f, id: id, at: at, named: true}
	return nil
}

// identity names an open file by its place and its first line. A file that has no
// whole line yet has none.
func identity(f *os.File) (string, bool) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	head := make([]byte, maxHead)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "", false
	}
	end := bytes.IndexByte(head[:n], '\n')
	if end < 0 && n < maxHead {
		return "", false
	}
	if end < 0 {
		end = n
	}
	sum := sha256.Sum256(head[:end])
	return placeOf(info) + "-" + hex.EncodeToString(sum[:8]), true
}

// read hands on what has come since, and tells whether there may be more. A file
// that is another than it was (truncated, or made anew in the same place) is no
// longer followed: the next look finds it under its new identity.
func (t *Tail) read(ctx context.Context, f *tailed) (more bool, err error) {
	info, err := f.f.Stat()
	if err != nil {
		return false, fmt.Errorf("look at a file: %w", err)
	}
	if info.Size() == f.at {
		return false, nil
	}
	if id, ok := identity(f.f); info.Size() < f.at || !ok || id != f.id {
		t.drop(f)
		return true, nil
	}
	n, err := f.f.ReadAt(t.buf, f.at)
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("read a file: %w", err)
	}
	b := t.buf[:n]
	if f.long { // the rest of a line that was too long is no record
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			f.at += int64(n)
			return n == len(t.buf), nil
		}
		f.at += int64(end) + 1
		f.long = false
		return true, nil
	}
	end := bytes.LastIndexByte(b, '\n') + 1
	if end == 0 {
		if n < len(t.buf) {
			return false, nil // the line is not whole
		}
		end, f.long = n, true
	}
	if err := t.deliver(ctx, f, b[:end]); err != nil {
		f.long = false
		return false, err
	}
	return n == len(t.buf), nil
}

// last hands on a last line without a line break, of a file that is not written
// any more.
func (t *Tail) last(ctx context.Context, f *tailed) error {
	n, err := f.f.ReadAt(t.buf, f.at)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read a file: %w", err)
	}
	if n == 0 || f.long {
		return nil
	}
	return t.deliver(ctx, f, t.buf[:n])
}

// deliver hands on whole lines, and with them how far the file is read then.
func (t *Tail) deliver(ctx context.Context, f *tailed, lines []byte) error {
	end := f.at + int64(len(lines))
	err := insist(ctx, t.To, Delivery{
		Tenant: t.Tenant, Principal: "tail", Source: t.Source, Format: t.Format,
		Mark: &tokenwatch.Mark{Input: f.id, Offset: end},
	}, lines)
	if err != nil {
		return fmt.Errorf("take in lines of a followed file: %w", err)
	}
	f.at = end
	return nil
}
