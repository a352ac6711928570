package block

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/tokenwatch/tokenwatch"
)

// How addresses are written: bits of one byte.
const (
	addrWide = 1 << 0 // 16 bytes each; else 4, IPv4 without its prefix
	addrDict = 1 << 1 // a list of distinct ones and codes into it
)

// prefix4 begins the 16 bytes of an IPv4 address (RFC 4291 §2.5.5.2).
var prefix4 = [12]byte{10: 0xff, 11: 0xff}

// addrs appends the chunk of addresses, 16 bytes a row, and returns the
// smallest and the largest.
func (e *Encoder) addrs(dst, v []byte, valid tokenwatch.Bitmap, rows int) (out []byte, least, most [16]byte) {
	size := 4
	first := true
	for i := range rows {
		if !valid.At(i) {
			continue
		}
		a := v[16*i : 16*i+16]
		if [12]byte(a) != prefix4 {
			size = 16
		}
		if first || bytes.Compare(a, least[:]) < 0 {
			least = [16]byte(a)
		}
		if first || bytes.Compare(a, most[:]) > 0 {
			most = [16]byte(a)
		}
		first = false
	}
	e.plane = e.plane[:0]
	for i := range rows {
		if valid.At(i) {
			e.plane = append(e.plane, v[16*i+16-size:16*i+16]...)
		}
	}
	form := byte(0)
	if size == 16 {
		form = addrWide
	}
	table, ok := e.distinct(e.plane, size)
	if !ok {
		return e.section(append(dst, form), e.plane), least, most
	}
	dst = append(dst, form|addrDict)
	dst = binary.AppendUvarint(dst, uint64(len(table)/size))
	dst = e.section(dst, table)
	return e.packed(dst, e.words), least, most
}

// distinct lists the distinct values of size bytes in v, in the order in which
// they appear, and leaves the place of each value in e.words. It gives up where
// list and codes would take more than v.
func (e *Encoder) distinct(v []byte, size int) (table []byte, ok bool) {
	clear(e.places)
	e.words, e.table = e.words[:0], e.table[:0]
	n := len(v) / size
	for at := 0; at < len(v); at += size {
		var key [16]byte
		copy(key[:], v[at:at+size])
		place, known := e.places[key]
		if !known {
			place = uint32(len(e.places))
			e.places[key] = place
			e.table = append(e.table, v[at:at+size]...)
			if len(e.table)+n*bits.Len32(place)/8 >= len(v) {
				return nil, false
			}
		}
		e.words = append(e.words, uint64(place))
	}
	return e.table, true
}

// addrs reads what Encoder.addrs wrote, 16 bytes a row.
func (r *reader) addrs(rows int, valid tokenwatch.Bitmap, nulls int, buf *scratch) []byte {
	if !r.take(rows, 16) {
		return nil
	}
	form, dense := r.byte(), rows-nulls
	if r.err == nil && form > addrWide|addrDict {
		r.fail("addresses are written in an unknown way")
	}
	size := 4
	if form&addrWide != 0 {
		size = 16
	}
	n := dense
	if form&addrDict != 0 {
		n = r.count(dense)
	}
	values := r.section(n*size, &buf.bytes)
	if r.err != nil {
		return nil
	}
	codes := buf.codes[:0]
	if form&addrDict != 0 {
		if codes = buf.codes; cap(codes) < dense {
			codes = make([]uint32, dense)
		}
		codes = codes[:dense]
		unpack(r, codes, &buf.planes) // the values may lie in buf.bytes
		buf.codes = codes
		if r.err != nil {
			return nil
		}
	}
	out := make([]byte, 16*rows)
	next := 0
	for i := range rows {
		if !valid.At(i) {
			continue
		}
		at := next
		if form&addrDict != 0 {
			at = int(codes[next])
			if at >= n {
				r.fail("an address is not in its list")
				return nil
			}
		}
		next++
		a := out[16*i : 16*i+16]
		if size == 4 {
			copy(a, prefix4[:])
		}
		copy(a[16-size:], values[at*size:at*size+size])
	}
	return out
}
