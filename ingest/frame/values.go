package frame

import (
	"bytes"
	"io"
)

// values cuts out JSON objects.
type values struct {
	buffer
	limit int
	in    wrapper // what has been opened
	scan  scanner // of the value being cut; of the wrapper while in == records
	outer scanner // of the object around "Records"
	first []byte  // how an object began that therefore is no page
}

// wrapper is where the next record stands.
type wrapper uint8

const (
	top     wrapper = iota // between top-level values
	array                  // in a top-level array
	records                // in the array "Records" of a top-level object, or that of a page
	tail                   // behind that array, before the object's end
)

// Reset begins another stream.
func (v *values) Reset(r io.Reader) {
	*v = values{buffer: buffer{r: r, data: v.data}, limit: v.limit, first: v.first}
}

// Next returns the next record.
func (v *values) Next() (Record, error) {
	for {
		c, err := v.separator()
		if err != nil {
			return Record{}, err
		}
		switch {
		case v.in == tail:
			v.leave()
		case c == ']' && v.in != top:
			v.skip(1)
			if v.in == records {
				v.in, v.scan = tail, v.outer
			} else {
				v.in = top
			}
		case c == '[' && v.in == top:
			v.skip(1)
			v.in = array
		case c == '{' && v.in == top:
			if v.page() {
				continue
			}
			if rec, ok := v.line(); ok {
				return rec, nil
			}
			rec, ok, err := v.value()
			if ok || err != nil {
				return rec, err
			}
		case c == '{':
			rec, _, err := v.value()
			return rec, err
		default:
			return v.garbage()
		}
	}
}

// separator skips what stands between records and returns the byte after.
func (v *values) separator() (byte, error) {
	for {
		for i, c := range v.unread() {
			if c == ' ' || c == '\t' || c == '\r' || c == '\n' || (c == ',' && v.in != top && v.in != tail) {
				continue
			}
			v.skip(i)
			return c, nil
		}
		v.skip(len(v.unread()))
		if err := v.fill(); err != nil {
			return 0, err
		}
	}
}

// line is the short cut for the common case: one object on a line of its own,
// already in the buffer. It only takes lines that nothing speaks against, and
// only before another that begins with a brace: whatever an object that goes on
// over the line's end may have there, it is none of those.
func (v *values) line() (Record, bool) {
	w := v.unread()
	n := bytes.IndexByte(w, '\n')
	if n < 0 || n > v.limit || n+1 == len(w) || w[n+1] != '{' {
		return Record{}, false
	}
	line := w[:n]
	for c := line[n-1]; c == ' ' || c == '\t' || c == '\r'; c = line[len(line)-1] { // it begins with a brace
		line = line[:len(line)-1]
	}
	if line[len(line)-1] != '}' {
		return Record{}, false
	}
	flat := bytes.IndexByte(line, '}') == len(line)-1 && bytes.IndexByte(line[1:], '{') < 0 && bytes.IndexByte(line, '[') < 0
	if !flat && !single(line) {
		return Record{}, false
	}
	rec := Record{Bytes: line, Offset: v.base, Length: int64(len(line))}
	v.skip(n + 1)
	return rec, true
}

// single tells whether a line that begins and ends with braces looks like one
// object that needs no opening.
func single(line []byte) bool {
	open := bytes.Count(line, []byte{'{'})
	if open > MaxDepth || open != bytes.Count(line, []byte{'}'}) || bytes.Count(line, []byte{'['}) > MaxDepth-open {
		return false
	}
	for rest := line; ; { // not by its quote, of which there are many
		k := bytes.Index(rest, []byte(recordsName+`"`))
		if k < 0 {
			break
		}
		if k > 0 && rest[k-1] == '"' {
			return false
		}
		rest = rest[k+1:]
	}
	for i := 0; ; { // two objects in a row
		k := bytes.IndexByte(line[i:], '}')
		if i += k + 1; i >= len(line) {
			return true
		}
		for line[i] == ' ' || line[i] == '\t' || line[i] == '\r' { // it ends with a brace
			i++
		}
		if line[i] == '{' {
			return false
		}
	}
}

// value cuts the object that begins at the first unread byte. It returns false
// when the object turned out to hold "Records", which is then open. What is
// whole in the buffer and sound is cut at once, the rest byte by byte.
func (v *values) value() (Record, bool, error) {
	v.scan = scanner{watch: v.in == top}
	at, read := v.base, 0 // read: bytes of the buffer scanned
	if end := objectEnd(v.unread(), 1, 1, v.scan.watch); end > 0 {
		return v.cut(at, end), true, nil
	}
	for {
		w := v.unread()
		for read < len(w) {
			n, verdict := v.scan.step(w[read:])
			read += n
			switch verdict {
			case more:
				continue
			case opened:
				v.skip(read - 1)
				v.outer, v.in = v.scan, records
				v.outer.resume()
				return Record{}, false, nil
			case end:
				return v.cut(at, read), true, nil
			case restart: // the byte begins another record
				return v.cut(at, read-1), true, nil
			}
		}
		if v.base+int64(read)-at > int64(v.limit) {
			v.skip(read - 1) // the last byte may be a break, which does not count
			read = 1
		}
		if err := v.fill(); err != nil {
			if err != io.EOF {
				return Record{}, false, err
			}
			return v.cut(at, read), true, nil
		}
	}
}

// cut ends the record that began at offset at, read bytes into the buffer.
func (v *values) cut(at int64, read int) Record {
	w := bytes.TrimRight(v.unread()[:read], " \t\r\n,")
	rec := Record{Offset: at, Length: v.base - at + int64(len(w)), TooDeep: v.scan.deep}
	if rec.Length > int64(v.limit) || v.base > at {
		rec.TooLong = true
	} else {
		rec.Bytes = w
	}
	v.skip(read)
	return rec
}

// leave goes on to the end of the object around "Records".
func (v *values) leave() {
	for i := range v.unread() {
		_, verdict := v.scan.step(v.unread()[i : i+1])
		switch verdict {
		case end:
			v.skip(i + 1)
			v.in = top
			return
		case restart:
			v.skip(i)
			v.in = top
			return
		}
	}
	v.skip(len(v.unread()))
}

// garbage cuts out something that is no object: to the end of the line, within
// an array only to the next comma or bracket.
func (v *values) garbage() (Record, error) {
	at, read := v.base, 0
	v.scan = scanner{}
	var quoted bool
	depth := 0
	for {
		w := v.unread()
		for ; read < len(w); read++ {
			c := w[read]
			if c == '\n' && v.in == top {
				return v.cut(at, read), nil
			}
			if v.in == top {
				continue
			}
			switch {
			case c == '\n' && quoted:
				quoted = false
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '[' || c == '{':
				depth++
			case depth == 0 && (c == ',' || c == ']'):
				return v.cut(at, read), nil
			case c == ']' || c == '}':
				depth--
				if depth < 0 {
					read++
					return v.cut(at, read), nil
				}
			}
		}
		if v.base+int64(read)-at > int64(v.limit) {
			v.skip(read - 1) // the last byte may be a break, which does not count
			read = 1
		}
		if err := v.fill(); err != nil {
			if err != io.EOF {
				return Record{}, err
			}
			return v.cut(at, read), nil
		}
	}
}
