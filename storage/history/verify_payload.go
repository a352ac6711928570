package history

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// payloads are the bytes of log entries in an export.
type payloads struct {
	dir   fs.FS
	names map[string]bool // not asked for yet
}

func openPayloads(dir fs.FS) (*payloads, error) {
	p := &payloads{dir: dir, names: make(map[string]bool)}
	for _, folder := range [...]string{segmentsFolder, mergedFolder} {
		list, err := fs.ReadDir(dir, folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read %s: %w", folder, err)
		}
		for _, f := range list {
			p.names[folder+"/"+f.Name()] = true
		}
	}
	return p, nil
}

// sum returns length and digest of a file of payload; ok is false if it is not
// there.
func (p *payloads) sum(name string) (bytes uint64, digest Digest, ok bool, err error) {
	if !p.names[name] {
		return 0, Digest{}, false, nil
	}
	delete(p.names, name)
	f, err := p.dir.Open(name)
	if err != nil {
		return 0, Digest{}, false, fmt.Errorf("read %s: %w", name, err)
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, Digest{}, false, fmt.Errorf("read %s: %w", name, err)
	}
	return uint64(n), Digest(h.Sum(nil)), true, nil
}

// payload compares the bytes of a log entry with its leaf.
func (c *leafCheck) payload(index, offset, bytes uint64, digest Digest) error {
	if c.broken {
		return nil
	}
	n, sum, ok, err := c.payloads.sum(SegmentPath(offset))
	switch {
	case err != nil:
		return err
	case !ok:
		c.absent++
		if c.all {
			c.missing = append(c.missing, missing{offset, index})
		}
	case n != bytes || sum != digest:
		// The leaf itself is sound: go on.
		c.hashed++
		c.found.add(Altered, int64(index), "the bytes of log entry %d are not those stated", offset)
	default:
		c.hashed++
	}
	return nil
}

// merged compares the bytes of a merged segment with its leaf. If they are not
// there, it may have been merged again.
func (c *leafCheck) merged(index uint64, m *Merge) error {
	n, sum, ok, err := c.payloads.sum(MergedPath(index))
	switch {
	case err != nil || !ok:
		return err
	case n != m.Bytes || sum != m.Digest:
		c.found.add(Altered, int64(index), "the bytes of the segments merged from log entry %d on are not those stated", m.Ranges[0].First)
	}
	c.hashed++
	c.retained = append(c.retained, m.Ranges...)
	return nil
}

// finish says what can be said of payloads once all leaves are known. If the
// end of the history is missing, payloads without a leaf are no surprise.
func (c *leafCheck) finish(whole bool) {
	if c.broken {
		return
	}
	retained := join(c.retained)
	var count uint64
	first := missing{}
	for _, m := range c.missing {
		if covered(m.offset, retained) {
			continue
		}
		if count == 0 {
			first = m
		}
		count++
	}
	if count > 0 {
		c.found.add(Incomplete, int64(first.index), "the bytes of %d log entries are missing, of entry %d first", count, first.offset)
	}
	if n := len(c.payloads.names); n > 0 && whole {
		c.found.add(Altered, NoIndex, "%d files of payloads belong to no leaf", n)
	}
}

// join returns the same offsets as ranges that are sorted and apart.
func join(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.First, b.First) })
	var joined []Range
	for _, r := range ranges {
		if n := len(joined); n > 0 && r.First <= joined[n-1].Last {
			joined[n-1].Last = max(joined[n-1].Last, r.Last)
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

// covered tells whether an offset lies in one of the ranges, sorted and apart.
func covered(offset uint64, ranges []Range) bool {
	_, ok := slices.BinarySearchFunc(ranges, offset, func(r Range, offset uint64) int {
		switch {
		case r.Last < offset:
			return -1
		case r.First > offset:
			return 1
		default:
			return 0
		}
	})
	return ok
}
