package frame

import "io"

// buffer is a window on a stream. It grows only while its owner asks for more
// without skipping what it has.
type buffer struct {
	r     io.Reader
	data  []byte
	start int   // first unread byte
	end   int   // end of what was read
	base  int64 // offset of data[start] in the stream
	err   error // what the reader said last
}

const readSize = 64 << 10

// unread returns what has been read and not skipped.
func (b *buffer) unread() []byte { return b.data[b.start:b.end] }

// skip drops the first n unread bytes.
func (b *buffer) skip(n int) {
	b.start += n
	b.base += int64(n)
}

// fill reads more, and returns the reader's error once nothing more can be had.
// It moves the unread bytes: slices of them are invalid afterwards.
func (b *buffer) fill() error {
	if b.err != nil {
		return b.err
	}
	if b.start > 0 {
		b.end = copy(b.data, b.data[b.start:b.end])
		b.start = 0
	}
	if len(b.data)-b.end < readSize/2 {
		b.data = append(b.data[:b.end], make([]byte, max(readSize, b.end))...)
	}
	for range 100 {
		n, err := b.r.Read(b.data[b.end:])
		b.end += n
		b.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	b.err = io.ErrNoProgress
	return b.err
}
