package block

import (
	"encoding/binary"
	"math"

	"github.com/tokenwatch/tokenwatch"
)

// Bits of the byte that says what a request has.
const requestMark = 1 << 0

// The memory that a request, a reject and a naming take apart from their text,
// and the fewest bytes in which each can be written.
const (
	requestCells, requestBytes = 144, 37
	rejectCells, rejectBytes   = 72, 6
	namingCells, namingBytes   = 64, 3
)

// requests appends the chunk of a segment's requests.
func (e *Encoder) requests(dst []byte, requests []tokenwatch.Request) []byte {
	b := binary.AppendUvarint(e.plane[:0], uint64(len(requests)))
	for i := range requests {
		q := &requests[i]
		b = appendText(b, q.Key)
		b = appendText(b, q.Principal)
		b = appendText(b, q.Source)
		b = append(b, q.Digest[:]...)
		b = binary.AppendVarint(b, int64(q.Rows))
		if q.Mark == nil {
			b = append(b, 0)
		} else {
			b = append(b, requestMark)
			b = appendText(b, q.Mark.Input)
			b = binary.AppendVarint(b, q.Mark.Offset)
		}
		b = binary.AppendUvarint(b, uint64(len(q.Rejects)))
		for j := range q.Rejects {
			x := &q.Rejects[j]
			b = binary.AppendVarint(b, int64(x.Index))
			b = binary.AppendVarint(b, x.Offset)
			b = binary.AppendVarint(b, x.Length)
			b = appendText(b, x.Digest)
			b = appendText(b, x.Reason)
			b = appendText(b, x.Detail)
		}
	}
	e.plane = b
	return e.section(dst, b)
}

// requests reads what Encoder.requests wrote.
func (r *reader) requests() []tokenwatch.Request {
	n := r.count(r.left() / requestBytes)
	if !r.take(n, requestCells) || n == 0 {
		return nil
	}
	out := make([]tokenwatch.Request, n)
	for i := range out {
		q := &out[i]
		q.Key, q.Principal, q.Source = r.text(), r.text(), r.text()
		copy(q.Digest[:], r.bytes(len(q.Digest)))
		q.Rows = int(r.varint())
		switch r.byte() {
		case 0:
		case requestMark:
			q.Mark = &tokenwatch.Mark{Input: r.text(), Offset: r.varint()}
		default:
			r.fail("a request has unknown parts")
		}
		rejects := r.count(r.left() / rejectBytes)
		if !r.take(rejects, rejectCells) {
			return nil
		}
		if rejects > 0 {
			q.Rejects = make([]tokenwatch.Reject, rejects)
		}
		for j := range q.Rejects {
			x := &q.Rejects[j]
			x.Index, x.Offset, x.Length = int(r.varint()), r.varint(), r.varint()
			x.Digest, x.Reason, x.Detail = r.text(), r.text(), r.text()
		}
	}
	return out
}

// names appends the chunk of a batch's namings.
func (e *Encoder) names(dst []byte, names []tokenwatch.Naming) []byte {
	b := binary.AppendUvarint(e.plane[:0], uint64(len(names)))
	for _, n := range names {
		b = appendText(b, string(n.Token))
		b = appendText(b, string(n.Alias.Kind))
		b = appendText(b, n.Alias.Value)
		b = appendText(b, n.Issuer)
		b = binary.AppendUvarint(b, uint64(n.Hour))
	}
	e.plane = b
	return e.section(dst, b)
}

// names reads what Encoder.names of a layout wrote.
func (r *reader) names(version int) []tokenwatch.Naming {
	n := r.count(r.left() / namingBytes)
	if !r.take(n, namingCells) || n == 0 {
		return nil
	}
	out := make([]tokenwatch.Naming, n)
	for i := range out {
		out[i].Token = tokenwatch.TokenID(r.text())
		out[i].Alias.Kind = tokenwatch.NameKind(r.text())
		out[i].Alias.Value = r.text()
		if version >= 2 {
			out[i].Issuer = r.text()
		}
		if version >= 3 {
			out[i].Hour = int32(r.count(math.MaxInt32))
		}
	}
	return out
}
