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
	b    []byte
	head Head
	part Part
}

// NewPiece returns the appended segment b at an offset as a piece. It keeps b.
func (d *Decoder) NewPiece(offset tokenwatch.Offset, b []byte) (Piece, error) {
	h, err := ReadHead(b)
	if err != nil {
		return nil, err
	}
	return &appendedPiece{d, b, h, Part{offset, h.Time, h.Rows, h.Version}}, nil
}

func (p *appendedPiece) Rows() int                { return p.head.Rows }
func (p *appendedPiece) Tenant() string           { return p.head.Tenant }
func (p *appendedPiece) Parts() []Part            { return []Part{p.part} }
func (p *appendedPiece) order() ([]uint32, error) { return nil, nil }

func (p *appendedPiece) Select(cols tokenwatch.ColSet) (*tokenwatch.Batch, error) {
	return p.d.Select(p.b, cols)
}

func (p *appendedPiece) extras(f func(int, [numExtras][]byte) error) error {
	var out [numExtras][]byte
	for i, x := range p.head.extras {
		if x.Length > 0 {
			var err error
			if out[i], err = x.chunk(p.b, "extras"); err != nil {
				return err
			}
		}
	}
	return f(0, out)
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
