package block

import (
	"encoding/binary"

	"github.com/tokenwatch/tokenwatch"
)

// Piece is a segment to be merged with others: an appended one, or a merged one.
type Piece interface {
	// Rows is how many rows it has.
	Rows() int
	// Tenant is whose they are.
	Tenant() string
	// Parts are the appended segments in it, in the order of the log.
	Parts() []Part
	// Select decodes some columns of all its rows.
	Select(cols tokenwatch.ColSet) (*tokenwatch.Batch, error)
	// order returns for each row its place among the piece's rows in the order of
	// the log; nil if they are in that order.
	order() ([]uint32, error)
	// extras calls f with what each part has besides rows, as stored.
	extras(f func(part int, extras [numExtras][]byte) error) error
}

// appendedPiece is an appended segment.
type appendedPiece struct {
	d    *Decoder
	read Read
	head Head
	part Part
}

// Read calls f with the bytes of a segment, which f does not keep.
type Read func(f func([]byte) error) error

// NewPiece returns the appended segment at an offset as a piece. It is read
// anew for each column that is asked of it.
func (d *Decoder) NewPiece(offset tokenwatch.Offset, read Read) (Piece, error) {
	p := &appendedPiece{d: d, read: read}
	err := read(func(b []byte) (err error) {
		p.head, err = ReadHead(b)
		return err
	})
	p.part = Part{offset, p.head.Time, p.head.Rows, p.head.Version}
	return p, err
}

func (p *appendedPiece) Rows() int                { return p.head.Rows }
func (p *appendedPiece) Tenant() string           { return p.head.Tenant }
func (p *appendedPiece) Parts() []Part            { return []Part{p.part} }
func (p *appendedPiece) order() ([]uint32, error) { return nil, nil }

func (p *appendedPiece) Select(cols tokenwatch.ColSet) (*tokenwatch.Batch, error) {
	var batch *tokenwatch.Batch
	err := p.read(func(b []byte) (err error) {
		batch, err = p.d.Select(b, cols)
		return err
	})
	return batch, err
}

func (p *appendedPiece) extras(f func(int, [numExtras][]byte) error) error {
	return p.read(func(b []byte) error {
		var out [numExtras][]byte
		for i, x := range p.head.extras {
			if x.Length > 0 {
				var err error
				if out[i], err = x.chunk(b, "extras"); err != nil {
					return err
				}
			}
		}
		return f(0, out)
	})
}

// rest is a merged segment without its first parts.
type rest struct {
	*Merged
	parts []Part
	rows  []uint32 // those that stay
	at    []uint32 // their places in the log, from the first that stays
}

// Rest returns the parts of the segment from the n-th on as a piece.
func (m *Merged) Rest(n int) (Piece, error) {
	gone := 0
	for _, p := range m.head.parts[:n] {
		gone += p.Rows
	}
	order, err := m.order()
	if err != nil {
		return nil, err
	}
	r := &rest{Merged: m, parts: m.head.parts[n:]}
	for row, at := range order {
		if int(at) >= gone {
			r.rows = append(r.rows, uint32(row))
			r.at = append(r.at, at-uint32(gone))
		}
	}
	return r, nil
}

func (r *rest) Rows() int                { return len(r.rows) }
func (r *rest) Parts() []Part            { return r.parts }
func (r *rest) order() ([]uint32, error) { return r.at, nil }

func (r *rest) Select(cols tokenwatch.ColSet) (*tokenwatch.Batch, error) {
	b, err := r.Merged.Select(cols, 0, r.Merged.Rows())
	if err != nil {
		return nil, err
	}
	return b.Take(r.rows), nil
}

func (r *rest) extras(f func(int, [numExtras][]byte) error) error {
	gone := len(r.head.parts) - len(r.parts)
	return r.Merged.extras(func(part int, extras [numExtras][]byte) error {
		if part < gone {
			return nil
		}
		return f(part-gone, extras)
	})
}

// appendExtras appends what one part has besides rows.
func appendExtras(b []byte, extras [numExtras][]byte) []byte {
	for _, x := range extras {
		b = binary.AppendUvarint(b, uint64(len(x)))
		b = append(b, x...)
	}
	return b
}

// extras reads what appendExtras wrote.
func (r *reader) extras() (out [numExtras][]byte) {
	for i := range out {
		out[i] = r.bytes(r.count(r.left()))
	}
	return out
}
