package source

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/tokenwatch/tokenwatch"
)

// Splitter yields the records of a body that is not made of lines, for example
// the elements of a JSON array, with their place in it. A record it cannot yield
// is a *tokenwatch.Rejection, after which it goes on; io.EOF ends it. The record
// is valid until the next call.
type Splitter interface {
	Next() (record []byte, offset int64, err error)
}

// chunk is a piece of a file that holds whole records.
type chunk struct {
	bytes  []byte
	offset int64 // in the expanded file, of the first byte
	end    int64 // in the expanded file, behind the last byte
}

// chunker cuts a file into chunks. Where it cuts depends on the content alone,
// so that the same file is cut alike each time.
type chunker interface {
	// next returns a chunk that is valid until the next call, or io.EOF.
	next() (chunk, error)
}

// lineChunker cuts behind the last line break that fits.
type lineChunker struct {
	r    io.Reader
	buf  []byte // of fixed size: the largest chunk
	n    int    // filled
	used int    // of the filled part, handed out
	at   int64  // offset of buf[0]
	skip bool   // inside a line longer than a chunk, of which the beginning was handed out
	err  error
}

func (c *lineChunker) next() (chunk, error) {
	for {
		c.n = copy(c.buf, c.buf[c.used:c.n])
		c.at += int64(c.used)
		c.used = 0
		for c.n < len(c.buf) && c.err == nil {
			var n int
			n, c.err = c.r.Read(c.buf[c.n:])
			c.n += n
		}
		if c.err != nil && c.err != io.EOF {
			return chunk{}, c.err
		}
		if c.skip && c.skipLine() {
			continue
		}
		if c.n == 0 {
			return chunk{}, io.EOF
		}
		c.used = c.n
		if c.err == nil { // there is more: the last line may be cut
			if end := bytes.LastIndexByte(c.buf[:c.n], '\n'); end >= 0 {
				c.used = end + 1
			} else {
				c.skip = true
			}
		}
		return chunk{c.buf[:c.used], c.at, c.at + int64(c.used)}, nil
	}
}

// skipLine drops the rest of a line that was too long for a chunk: handed out by
// itself it could pass for a record. It reports whether to read on.
func (c *lineChunker) skipLine() bool {
	end := bytes.IndexByte(c.buf[:c.n], '\n')
	if end < 0 {
		c.used = c.n
		return c.n > 0
	}
	c.used, c.skip = end+1, false
	return true
}

// recordChunker joins records with line breaks.
type recordChunker struct {
	split  Splitter
	size   int
	lost   func(offset int64, r *tokenwatch.Rejection)
	buf    []byte
	held   []byte // the record that did not fit into the chunk before
	heldAt int64
}

func (c *recordChunker) next() (chunk, error) {
	c.buf = append(c.buf[:0], c.held...)
	start := c.heldAt
	end := start + int64(len(c.held))
	c.held = c.held[:0]
	for {
		record, offset, err := c.split.Next()
		var rejection *tokenwatch.Rejection
		switch {
		case errors.As(err, &rejection):
			c.lost(offset, rejection)
			continue
		case err == io.EOF && len(c.buf) > 0:
			return chunk{c.buf, start, end}, nil
		case err != nil:
			return chunk{}, err
		}
		if len(c.buf) > 0 && len(c.buf)+1+len(record) > c.size {
			c.held, c.heldAt = append(c.held, record...), offset
			return chunk{c.buf, start, end}, nil
		}
		if len(c.buf) == 0 {
			start = offset
		} else {
			c.buf = append(c.buf, '\n')
		}
		c.buf = append(c.buf, record...)
		end = offset + int64(len(record))
	}
}

// byRecord tells whether a file has to be cut by records: it is a JSON array, a
// CloudTrail file, or JSON values that span lines.
func byRecord(r *bufio.Reader) (bool, error) {
	head, err := r.Peek(r.Size())
	if err != nil && err != io.EOF {
		return false, err
	}
	head = bytes.TrimLeft(head, " \t\r\n\ufeff")
	switch {
	case len(head) == 0:
		return false, nil
	case head[0] == '[':
		return true, nil
	case head[0] != '{':
		return false, nil
	}
	first, _, whole := bytes.Cut(head, []byte("\n"))
	first = bytes.TrimRight(first, " \t\r")
	if bytes.HasPrefix(bytes.Join(bytes.Fields(head[1:min(len(head), 64)]), nil), []byte(`"Records":[`)) {
		return true, nil
	}
	return whole && first[len(first)-1] != '}' || !whole && err == nil, nil
}
