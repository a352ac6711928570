package inventory

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

func clone(s string) string { return strings.Clone(s) }

// acc gathers what a batch shows of one token.
type acc struct {
	n        int64
	first    int32 // row
	last     int32
	scope    uint32 // code of the scope noted last
	min, max int64
	unlisted bool
}

// Take takes in a batch of the log: first what it says of tokens, then their
// use. It returns the units whose life it changed, each once, and the rows of tokens
// that it has no room for, see Limit. Repeats and events from the future are no use;
// late ones are. taken tells whether the credential of a row was; nil: all were.
func (v *Inventory) Take(b *tokenwatch.Batch, offset tokenwatch.Offset, taken func(row int) bool) (out []Change, unlisted []int32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var changed changes
	v.admit(b, taken)
	defer func() { v.admitted = nil }()
	v.learn(b.Names(), 0, &changed)
	facts := b.Facts()
	for i := range facts {
		f := &facts[i]
		h := heldFact{
			ns: b.Int(tokenwatch.ColTime, f.Row), offset: offset, row: int32(f.Row), fact: copyFact(f),
			by: clone(b.Text(tokenwatch.ColActor, f.Row)), source: clone(b.Text(tokenwatch.ColSource, f.Row)),
			request: clone(b.Text(tokenwatch.ColRequestID, f.Row)), late: b.Bool(tokenwatch.ColLate, f.Row),
		}
		if b.Bool(tokenwatch.ColDuplicate, f.Row) || b.Bool(tokenwatch.ColFuture, f.Row) {
			continue
		}
		changed.from(h.ns)
		v.hold(h, &changed)
	}
	out = v.changes(&changed)
	return out, v.use(b, offset)
}

// admit finds out, where room is short, which tokens of a batch that are not known are
// taken in.
func (v *Inventory) admit(b *tokenwatch.Batch, taken func(row int) bool) {
	v.admitted = nil
	tokens := b.Column(tokenwatch.ColToken)
	if v.Limit == 0 || len(v.records)+tokens.Dict.Len() <= v.Limit/2 {
		return
	}
	v.admitted = map[tokenwatch.TokenID]struct{}{}
	for row, code := range tokens.Codes {
		id := tokenwatch.TokenID(tokens.Dict.At(int(code)))
		if _, known := v.place(id); known || code == 0 || taken != nil && !taken(row) {
			continue
		}
		if _, ok := v.admitted[id]; !ok && len(v.records)+len(v.admitted) < v.Limit {
			v.admitted[id] = struct{}{}
		}
	}
}

// admits tells whether a token is known or may be.
func (v *Inventory) admits(id tokenwatch.TokenID) bool {
	if v.admitted == nil {
		return true
	}
	_, ok := v.admitted[id]
	if !ok {
		_, ok = v.place(id)
	}
	return ok
}

// copyFact returns a fact that shares no memory with its batch.
func copyFact(f *tokenwatch.Fact) *tokenwatch.Fact {
	c := *f
	c.Row = 0
	c.Token, c.Previous, c.Kind = tokenwatch.TokenID(clone(string(f.Token))), tokenwatch.TokenID(clone(string(f.Previous))), tokenwatch.FactKind(clone(string(f.Kind)))
	c.Lineage, c.Owner, c.Label, c.TokenType, c.App, c.Env, c.Place = clone(f.Lineage), clone(f.Owner), clone(f.Label), clone(f.TokenType), clone(f.App), clone(f.Env), clone(f.Place)
	c.Scopes, c.Removed = slices.Clone(f.Scopes), slices.Clone(f.Removed)
	return &c
}

// use notes the use of the batch's tokens, and returns the rows of those that there is
// no room for.
func (v *Inventory) use(b *tokenwatch.Batch, offset tokenwatch.Offset) (unlisted []int32) {
	tokens := b.Column(tokenwatch.ColToken)
	times := b.Column(tokenwatch.ColTime)
	if tokens.Codes == nil || times.Ints == nil {
		return nil
	}
	v.accs = append(v.accs[:0], make([]acc, tokens.Dict.Len())...)
	for code := 1; v.admitted != nil && code < len(v.accs); code++ {
		v.accs[code].unlisted = !v.admits(tokenwatch.TokenID(tokens.Dict.At(code)))
	}
	scopes := b.Column(tokenwatch.ColScope)
	duplicate, future := b.Column(tokenwatch.ColDuplicate).Bools, b.Column(tokenwatch.ColFuture).Bools
	for i, code := range tokens.Codes {
		if code == 0 || duplicate != nil && duplicate[i] || future != nil && future[i] {
			continue
		}
		a, t := &v.accs[code], times.Ints[i]
		if a.unlisted {
			unlisted = append(unlisted, int32(i))
			continue
		}
		switch {
		case a.n == 0:
			a.first, a.last, a.min, a.max = int32(i), int32(i), t, t
		case t < a.min || t == a.min && precedes(b, i, int(a.first)):
			a.first, a.min = int32(i), t
		case t > a.max || t == a.max && precedes(b, int(a.last), i):
			a.last, a.max = int32(i), t
		}
		a.n++
		if scopes.Codes != nil {
			if s := scopes.Codes[i]; s != 0 && s != a.scope {
				a.scope = s
				v.scope(v.record2(tokens, code), scopes.Dict.At(int(s)))
			}
		}
	}
	sources := v.bySource(b, tokens)
	for code := range v.accs {
		a := &v.accs[code]
		if a.n == 0 {
			continue
		}
		r := v.record2(tokens, uint32(code))
		source := v.words.code(b.Text(tokenwatch.ColSource, int(a.first)))
		several := sources != nil || r.events > 0 && r.first.source != source
		if several {
			r.spread()
		}
		if v.seen(r, b, offset, int(a.first)) {
			r.kind, r.issuer = v.words.code(b.Text(tokenwatch.ColTokenKind, int(a.first))), v.words.code(b.Text(tokenwatch.ColIssuer, int(a.first)))
		}
		v.seen(r, b, offset, int(a.last))
		r.events += a.n
		if sources == nil && (several || r.more != nil && r.more.coverage != nil) {
			r.covered(source, a.min, a.max, a.n)
		}
		v.touch(r)
	}
	for key, c := range sources {
		if code := uint32(key >> 32); v.accs[code].n > 0 {
			v.record2(tokens, code).covered(c.source, c.first, c.last, c.events)
		}
	}
	for code := range v.accs {
		if sources != nil && v.accs[code].n > 0 {
			v.record2(tokens, uint32(code)).gather()
		}
	}
	return unlisted
}

// record2 returns the record of a token by its code in the batch at hand.
func (v *Inventory) record2(tokens *tokenwatch.Vector, code uint32) *record {
	id := tokenwatch.TokenID(tokens.Dict.At(int(code)))
	return v.record(id)
}

// bySource counts the use of each token by source, nil if the batch has one
// source only.
func (v *Inventory) bySource(b *tokenwatch.Batch, tokens *tokenwatch.Vector) map[uint64]coverage {
	sources := b.Column(tokenwatch.ColSource)
	if sources.Codes == nil || sources.Dict.Len() <= 2 {
		return nil
	}
	duplicate, future := b.Column(tokenwatch.ColDuplicate).Bools, b.Column(tokenwatch.ColFuture).Bools
	out := map[uint64]coverage{}
	for i, code := range tokens.Codes {
		if code == 0 || duplicate != nil && duplicate[i] || future != nil && future[i] {
			continue
		}
		key, t := uint64(code)<<32|uint64(sources.Codes[i]), b.Int(tokenwatch.ColTime, i)
		c, ok := out[key]
		if !ok {
			c = coverage{source: v.words.code(sources.Dict.At(int(sources.Codes[i]))), first: t, last: t}
		}
		c.first, c.last, c.events = min(c.first, t), max(c.last, t), c.events+1
		out[key] = c
	}
	return out
}

// coverage is the use that each source showed. Most tokens have one source: that is
// what their record as a whole says.
func (r *record) coverage() []coverage {
	switch {
	case r.more != nil && r.more.coverage != nil:
		return r.more.coverage
	case r.events > 0:
		return []coverage{{r.first.source, r.first.ns, r.last.ns, r.events}}
	}
	return nil
}

// spread notes that use may come from more than one source from here on.
func (r *record) spread() {
	if m := r.extend(); m.coverage == nil {
		m.coverage = append([]coverage{}, r.coverage()...)
	}
}

// covered notes the use that a source showed, of a token that may have several.
func (r *record) covered(source uint32, first, last, n int64) {
	list := r.more.coverage
	for i := range list {
		if c := &list[i]; c.source == source {
			c.first, c.last, c.events = min(c.first, first), max(c.last, last), c.events+n
			return
		}
	}
	r.more.coverage = append(list, coverage{source, first, last, n})
}

// gather undoes spread where it turned out to be one source.
func (r *record) gather() {
	if len(r.more.coverage) > 1 {
		return
	}
	if r.more.coverage = nil; r.more.scopes == nil {
		r.more = nil
	}
}

func (r *record) scopes() []uint32 {
	if r.more == nil {
		return nil
	}
	return r.more.scopes
}

// maxScopes bounds the scopes remembered as used by one token.
const maxScopes = 128

func (v *Inventory) scope(r *record, text string) {
	for _, word := range strings.Fields(text) {
		c := v.words.code(word)
		if m := r.extend(); !slices.Contains(m.scopes, c) && len(m.scopes) < maxScopes {
			m.scopes = append(m.scopes, c)
		}
	}
}

// seen notes row i as use, and tells whether it is the first one.
func (v *Inventory) seen(r *record, b *tokenwatch.Batch, offset tokenwatch.Offset, i int) (first bool) {
	known := r.events > 0 || r.first.offset != 0
	if t := b.Int(tokenwatch.ColTime, i); known && t > r.first.ns && t < r.last.ns {
		return false // as nearly always
	}
	s := sighting{
		ns: b.Int(tokenwatch.ColTime, i), addr: addrOf(b, i), action: v.words.code(b.Text(tokenwatch.ColAction, i)),
		source: v.words.code(b.Text(tokenwatch.ColSource, i)), row: uint32(i), offset: offset,
	}
	if !known {
		r.first, r.last = s, s
		return true
	}
	if v.before(&s, &r.first) {
		r.first, first = s, true
	}
	if v.before(&r.last, &s) {
		r.last = s
	}
	return first
}

// before orders sightings by time and content.
func (v *Inventory) before(a, b *sighting) bool {
	return cmp.Or(cmp.Compare(a.ns, b.ns), bytes.Compare(a.addr[:], b.addr[:]),
		cmp.Compare(v.words.list[a.action], v.words.list[b.action]), cmp.Compare(v.words.list[a.source], v.words.list[b.source])) < 0
}

// precedes tells whether of two rows with one time row i comes before row j: by
// their content, as before does.
func precedes(b *tokenwatch.Batch, i, j int) bool {
	x, y := addrOf(b, i), addrOf(b, j)
	return cmp.Or(bytes.Compare(x[:], y[:]), cmp.Compare(b.Text(tokenwatch.ColAction, i), b.Text(tokenwatch.ColAction, j)),
		cmp.Compare(b.Text(tokenwatch.ColSource, i), b.Text(tokenwatch.ColSource, j))) < 0
}

func addrOf(b *tokenwatch.Batch, i int) (a [16]byte) {
	if v := b.Column(tokenwatch.ColSrcIP); v.Addrs != nil && v.Valid.At(i) {
		copy(a[:], v.Addrs[16*i:])
	}
	return a
}

// Change is a unit of which more is known now.
type Change struct {
	*Unit
	From   int64 // the earliest that was said
	Before int64 // the last use of it that was known
}

// changes are units without repeats.
type changes struct {
	list     []*Unit
	seen     map[*Unit]struct{}
	earliest int64 // that was said, or use that it is now about; 0 if there is none
}

func (c *changes) from(ns int64) {
	if c.earliest == 0 || ns < c.earliest {
		c.earliest = ns
	}
}

// changes lists the units that have changed, by what they are part of by now.
func (v *Inventory) changes(c *changes) (out []Change) {
	seen := map[*Unit]struct{}{}
	for _, u := range c.list {
		u = u.Root()
		if _, ok := seen[u]; ok {
			continue
		}
		seen[u] = struct{}{}
		ch := Change{Unit: u, From: c.earliest}
		for _, at := range u.tokens {
			if r := v.records[at]; r.first.offset != 0 {
				ch.Before = max(ch.Before, r.last.ns)
			}
		}
		out = append(out, ch)
	}
	return out
}

func (c *changes) add(u *Unit) {
	if c == nil || u == nil {
		return
	}
	if c.seen == nil {
		c.seen = map[*Unit]struct{}{}
	}
	if _, ok := c.seen[u]; !ok {
		c.seen[u] = struct{}{}
		c.list = append(c.list, u)
	}
}
