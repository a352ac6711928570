package frame

import (
	"bytes"
	"io"
)

// lines cuts at line breaks.
type lines struct {
	buffer
	limit   int
	seen    int   // unread bytes known to hold no break
	dropped int64 // bytes of the present line dropped because it is too long
}

// Reset begins another stream.
func (l *lines) Reset(r io.Reader) {
	*l = lines{buffer: buffer{r: r, data: l.data}, limit: l.limit}
}

// Next returns the next line that is not blank.
func (l *lines) Next() (Record, error) {
	for {
		w := l.unread()
		if i := bytes.IndexByte(w[l.seen:], '\n'); i >= 0 {
			n := l.seen + i
			if rec, ok := l.cut(w[:n], n+1); ok {
				return rec, nil
			}
			continue
		}
		l.seen = len(w)
		if len(w) > l.limit+1 { // 1: a carriage return
			l.dropped += int64(len(w) - 1)
			l.skip(len(w) - 1) // the last byte may be a carriage return
			l.seen = 1
		}
		switch err := l.fill(); err {
		case nil:
		case io.EOF:
			w := l.unread()
			if rec, ok := l.cut(w, len(w)); ok {
				return rec, nil
			}
			return Record{}, io.EOF
		default:
			return Record{}, err
		}
	}
}

// cut ends the line whose last part is line, and skips n bytes. It tells
// whether there is a record.
func (l *lines) cut(line []byte, n int) (Record, bool) {
	rec := Record{Offset: l.base - l.dropped, Length: int64(len(line)) + l.dropped}
	if k := len(line); k > 0 && line[k-1] == '\r' {
		line = line[:k-1]
		rec.Length--
	}
	l.skip(n)
	l.seen, l.dropped = 0, 0
	if rec.Length > int64(l.limit) {
		rec.TooLong = true
		return rec, true
	}
	rec.Bytes = line
	return rec, !blank(line)
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
