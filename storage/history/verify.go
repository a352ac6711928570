package history

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Options of a verification. Key and checkpoints come from the verifier, never
// from the export.
type Options struct {
	VKey     string        // verifier key; its name is the origin
	Held     [][]byte      // signed checkpoints kept from earlier
	TickGap  time.Duration // how far apart ticks may be within a clock epoch; 0: 150 s; below 0: any
	Payloads bool          // the bytes of every log entry must be there, unless retention dropped them
}

const defaultTickGap = 150 * time.Second

// Verify checks an export without a network and without trusting it: that the
// pinned key signed the checkpoint, that the leaves give its root and those of
// all held checkpoints, that every leaf is canonical and keeps I1 to I6, that
// the hash tiles are those of the leaves, and that the bytes of log entries, as
// far as they are there, have the stated digests.
//
// What is wrong with the export is in the report. The error is for options that
// make no sense and for files that exist and cannot be read; nothing is said
// about the export then. It reads files one at a time, and keeps a few bytes in
// memory per chain and finding.
func Verify(dir fs.FS, o Options) (Report, error) {
	if o.TickGap == 0 {
		o.TickGap = defaultTickGap
	}
	v := &verifier{dir: dir, options: o, mismatch: NoIndex, hole: NoIndex, leaves: newLeafCheck(o)}
	if err := v.loadAnchors(); err != nil {
		return Report{}, fmt.Errorf("verify history: %w", err)
	}
	if err := v.readTiles(); err != nil {
		return Report{}, fmt.Errorf("verify history: %w", err)
	}
	payloads, err := openPayloads(dir)
	if err != nil {
		return Report{}, fmt.Errorf("verify history: %w", err)
	}
	v.leaves.payloads = payloads
	if err := v.readEntries(); err != nil {
		return Report{}, fmt.Errorf("verify history: %w", err)
	}
	v.judge()
	return v.finish(), nil
}

// verifier is one verification.
type verifier struct {
	dir     fs.FS
	options Options
	report  Report

	own     *anchor // the export's checkpoint, if the pinned key signed it
	anchors []*anchor
	trusted uint64 // so many hashes of tile level 0 are vouched for by an anchor

	tree     tree
	leaves   *leafCheck
	mismatch int64 // first leaf that is not the one in the trusted tiles
	hole     int64 // first leaf that is not there although later ones are
	found    problems
	tiles    problems
}

// anchor is a signed checkpoint to hold the leaves against.
type anchor struct {
	Checkpoint
	reached bool // so many leaves are there
	agrees  bool // and they give its root
}

// loadAnchors opens the held checkpoints and the export's.
func (v *verifier) loadAnchors() error {
	if v.options.VKey == "" {
		return errors.New("no verifier key given")
	}
	for i, signed := range v.options.Held {
		c, err := OpenCheckpoint(signed, v.options.VKey)
		if err != nil {
			return fmt.Errorf("held checkpoint %d of %d: %w", i+1, len(v.options.Held), err)
		}
		v.anchors = append(v.anchors, &anchor{Checkpoint: c})
	}
	signed, err := readFile(v.dir, checkpointFile, maxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		v.found.add(Unverifiable, NoIndex, "there is no checkpoint")
		return nil
	}
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	c, err := OpenCheckpoint(signed, v.options.VKey)
	switch {
	case err == nil:
		v.own = &anchor{Checkpoint: c}
		v.anchors = append(v.anchors, v.own)
		v.report.Checkpoint = c
	case errors.Is(err, ErrNotSigned):
		v.found.add(Unverifiable, NoIndex, "checkpoint: %v", ErrNotSigned)
	case errors.Is(err, ErrBadSignature):
		v.found.add(Altered, NoIndex, "checkpoint: %v", ErrBadSignature)
	case errors.Is(err, ErrMalformed):
		v.found.add(Altered, NoIndex, "checkpoint: %v", ErrMalformed)
	default: // the verifier key itself
		return err
	}
	return nil
}

// reach compares the tree with the anchors of its size.
func (v *verifier) reach() {
	for _, a := range v.anchors {
		if a.Size == v.tree.size {
			a.reached, a.agrees = true, a.Root == v.tree.root()
		}
	}
}

// judge draws the conclusions from what was read.
func (v *verifier) judge() {
	n := v.tree.size
	whole := v.own != nil && v.own.agrees // signed, and the leaves are what is signed
	for _, a := range v.anchors {
		if a == v.own {
			continue
		}
		switch {
		case a.agrees:
			v.report.Held = max(v.report.Held, a.Size)
		case v.own != nil && a.Size == v.own.Size && a.Root != v.own.Root:
			v.found.add(Forked, v.mismatch, "the checkpoint contradicts a held one of the same size %d", a.Size)
		case whole && a.reached && a.Size < v.own.Size:
			v.found.add(Forked, v.mismatch, "the leaves are signed whole, but contradict a held checkpoint of size %d", a.Size)
		case v.own != nil && a.Size > v.own.Size:
			v.found.add(Truncated, int64(min(n, v.own.Size)), "the checkpoint has size %d, a held one %d", v.own.Size, a.Size)
		}
		if a.reached && !a.agrees && !whole {
			v.found.add(Altered, v.mismatch, "the leaves contradict a held checkpoint of size %d", a.Size)
		}
		if !a.reached && a.Size > n && v.own == nil {
			v.found.add(Truncated, int64(n), "there are %d leaves, a held checkpoint has %d", n, a.Size)
		}
	}
	switch {
	case whole && n > v.own.Size:
		v.found.add(Truncated, int64(v.own.Size), "the checkpoint covers %d of %d leaves", v.own.Size, n)
	case whole && v.hole != NoIndex:
		v.found.add(Altered, v.hole, "there are leaves beyond the signed ones, not joined to them")
	case v.hole != NoIndex:
		v.found.add(Incomplete, v.hole, "leaves are missing, though later ones are there")
	case whole:
		v.leaves.finish(v.found.count[Truncated] == 0)
	case v.mismatch != NoIndex:
		v.found.add(Altered, v.mismatch, "not the leaf that was signed")
	case v.own == nil, v.leaves.broken:
		// said already
	case n < v.own.Size:
		v.found.add(Truncated, int64(n), "there are %d leaves, the checkpoint has %d", n, v.own.Size)
	default:
		v.found.add(Altered, NoIndex, "the leaves do not give the signed root; as far as leaf %d they agree with a held checkpoint", v.report.Held)
	}
}

// finish sorts the problems and takes the verdict from the gravest.
func (v *verifier) finish() Report {
	r := v.report
	r.Problems = slices.Concat(v.found.list, v.leaves.found.list)
	if v.own != nil && v.own.agrees && v.tree.size == v.own.Size {
		// Tiles tell something only about leaves that are those signed.
		r.Problems = append(r.Problems, v.tiles.list...)
	}
	slices.SortStableFunc(r.Problems, func(a, b Problem) int {
		// An unknown index is -1 and, unsigned, comes last.
		return cmp.Or(cmp.Compare(b.Verdict, a.Verdict), cmp.Compare(uint64(a.Index), uint64(b.Index)))
	})
	r.Problems = r.Problems[:min(len(r.Problems), maxProblems)]
	r.Index = NoIndex
	if len(r.Problems) > 0 {
		r.Verdict, r.Index = r.Problems[0].Verdict, r.Problems[0].Index
	}
	r.Leaves, r.Root = v.tree.size, v.tree.root()
	r.Payloads, r.Absent, r.Stops = v.leaves.hashed, v.leaves.absent, v.leaves.stops
	return r
}

// hashesOf cuts a tile into hashes.
func hashesOf(tile []byte, i int) tlog.Hash { return tlog.Hash(tile[i*tlog.HashSize:]) }
