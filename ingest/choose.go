package ingest

import (
	"bufio"
	"bytes"
	"io"
	"sync"

	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

// What is looked at to find out a format.
const (
	sampleBytes   = 64 << 10  // of a body, at first
	sampleMost    = 512 << 10 // of a body whose first record does not end before
	sampleRecords = 32
)

// chooser remembers which format was found for each input of each tenant.
type chooser struct {
	limit  int
	config format.Config

	mu      sync.Mutex
	by      map[input]format.Format
	headers map[input][]byte // that the next records of the input have
}

type input struct{ tenant, source string }

func newChooser(limit int, c format.Config) *chooser {
	return &chooser{limit: limit, config: c, by: make(map[input]format.Format), headers: make(map[input][]byte)}
}

// choose finds the format of a body by its first records: the one found before
// if it fits them, else the one that fits best. None is the zero Format. It
// returns a reader of the whole body.
func (c *chooser) choose(in input, r *bufio.Reader, limit int) (format.Format, *bufio.Reader, error) {
	records, err := sample(r, limit)
	if err == nil && len(records) == 0 {
		r = bufio.NewReaderSize(r, sampleMost)
		records, err = sample(r, limit)
	}
	if err != nil && err != io.EOF {
		return format.Format{}, r, err
	}
	c.mu.Lock()
	known, ok := c.by[in]
	c.mu.Unlock()
	if ok && fits(known, records) {
		return known, r, nil
	}
	if len(records) == 0 {
		return known, r, nil
	}
	if found, ok := detect(c.config, records); ok {
		return found, r, nil
	}
	return known, r, nil // it gives the better reasons
}

// detect finds the format that fits best. Records on which a parser panics are
// left out: they will be refused one by one.
func detect(c format.Config, records [][]byte) (format.Format, bool) {
	found, ok, calm := tryDetect(c, records)
	if calm {
		return found, ok
	}
	var rest [][]byte
	for _, r := range records {
		if _, _, calm := tryDetect(c, [][]byte{r}); calm {
			rest = append(rest, r)
		}
	}
	found, ok, _ = tryDetect(c, rest)
	return found, ok
}

func tryDetect(c format.Config, records [][]byte) (found format.Format, ok, calm bool) {
	defer func() {
		if recover() != nil {
			found, ok, calm = format.Format{}, false, false
		}
	}()
	found, err := format.DetectWith(c, records)
	return found, err == nil, true
}

// learn remembers the format of an input, or forgets it if most of its records
// were refused.
func (c *chooser) learn(in input, f format.Format, records, rejects int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.New == nil || 2*rejects > records {
		delete(c.by, in)
		return
	}
	if _, ok := c.by[in]; !ok && len(c.by) >= c.limit {
		for any := range c.by {
			delete(c.by, any)
			break
		}
	}
	c.by[in] = f
}

// header returns the header that the records of an input have, nil if none is known.
func (c *chooser) header(in input) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.headers[in]
}

// setHeader remembers the header that the next records of an input have.
func (c *chooser) setHeader(in input, header []byte) {
	if header == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.headers[in]; !ok && len(c.headers) >= c.limit {
		for any := range c.headers {
			delete(c.headers, any)
			break
		}
	}
	c.headers[in] = bytes.Clone(header)
}

// fits tells whether most of the first records may be of format f.
func fits(f format.Format, records [][]byte) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	records = records[:min(len(records), 5)]
	yes := 0
	for _, r := range records {
		if f.Sniff(r) > 0 {
			yes++
		}
	}
	return 2*yes > len(records)
}

// sample copies the first whole records of a body without consuming it. It
// returns io.EOF if it saw all of the body.
func sample(r *bufio.Reader, limit int) ([][]byte, error) {
	head, err := r.Peek(r.Size())
	if err != nil && err != io.EOF {
		return nil, err
	}
	cut := err == nil
	var records [][]byte
	framer := frame.New(frame.Sniff(head), bytes.NewReader(head), limit)
	for len(records) < sampleRecords {
		record, ferr := framer.Next()
		if ferr != nil {
			break
		}
		if cut && record.Offset+record.Length >= int64(len(head)) {
			break // may go on behind the sample
		}
		if len(record.Bytes) > 0 {
			records = append(records, bytes.Clone(record.Bytes))
		}
	}
	return records, err
}
