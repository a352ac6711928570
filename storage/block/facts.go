package block

import (
	"encoding/binary"

	"github.com/tokenwatch/tokenwatch"
)

// The memory that a fact and a text of one of its lists take apart from the
// text, and the fewest bytes in which a fact can be written.
const (
	factCells, factBytes = 248, 16
	textCells            = 16
)

// factsCells is what a reader will count for facts.
func factsCells(facts []tokenwatch.Fact) int {
	n := factCells * len(facts)
	for i := range facts {
		n += textCells * (len(facts[i].Scopes) + len(facts[i].Removed))
	}
	return n
}

// facts appends the chunk of a batch's facts.
func (e *Encoder) facts(dst []byte, facts []tokenwatch.Fact) []byte {
	b := binary.AppendUvarint(e.plane[:0], uint64(len(facts)))
	last := 0
	for i := range facts {
		f := &facts[i]
		b = binary.AppendUvarint(b, uint64(f.Row-last))
		last = f.Row
		for _, t := range [...]string{string(f.Kind), string(f.Token), string(f.Previous), f.Lineage, f.Owner, f.Label, f.TokenType, f.App, f.Env, f.Place} {
			b = appendText(b, t)
		}
		for _, list := range [...][]string{f.Scopes, f.Removed} {
			b = binary.AppendUvarint(b, uint64(len(list)))
			for _, t := range list {
				b = appendText(b, t)
			}
		}
		b = binary.AppendVarint(b, f.Expires)
		b = binary.AppendVarint(b, f.Until)
	}
	e.plane = b
	return e.section(dst, b)
}

// facts reads what Encoder.facts wrote, of a segment of so many rows.
func (r *reader) facts(rows int) []tokenwatch.Fact {
	n := r.count(r.left() / factBytes)
	if !r.take(n, factCells) || n == 0 {
		return nil
	}
	out := make([]tokenwatch.Fact, n)
	last := 0
	for i := range out {
		f := &out[i]
		if last += r.count(rows); last >= rows {
			r.fail("a fact cites a row that is not there")
			return nil
		}
		f.Row = last
		f.Kind, f.Token, f.Previous = tokenwatch.FactKind(r.text()), tokenwatch.TokenID(r.text()), tokenwatch.TokenID(r.text())
		for _, t := range [...]*string{&f.Lineage, &f.Owner, &f.Label, &f.TokenType, &f.App, &f.Env, &f.Place} {
			*t = r.text()
		}
		f.Scopes, f.Removed = r.texts(), r.texts()
		f.Expires, f.Until = r.varint(), r.varint()
	}
	return out
}

// texts reads a count and as many texts.
func (r *reader) texts() []string {
	n := r.count(r.left())
	if !r.take(n, textCells) || n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = r.text()
	}
	return out
}
