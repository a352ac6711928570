package seal

import (
	"bytes"
	gobase64 "encoding/base64"
	"encoding/binary"
	gohex "encoding/hex"
)

// minShared is the shortest part of a credential that is masked in another
// field: nothing of twelve bytes remains.
const minShared = 12

// needles are the credentials of one record, to be found in its other fields.
//
// Of a long one every four bytes, in lower case, are a bit of grams; a text is
// probed at every eighth place. A shared part of eleven bytes or more contains
// a probed place with its four bytes, so that nothing of minShared is missed. A
// short credential is searched for in each of its forms.
type needles struct {
	long  []needle
	short []needle
	grams []uint64 // a power of two of words, so many that few bits are set
	shift uint8    // of a gram's hash, to make it the place of a bit
	dirty bool     // grams has bits

	derivedOnly bool // there is nothing to find outside of route and action
}

type needle struct {
	b       []byte
	of      *entry   // the credential; its id takes the place of b
	id      string   // where of is nil
	derived bool     // not a credential: a masked part of the path, for route and action only
	forms   [][]byte // of a short one: base64 and hex
}

func (n *needles) empty() bool { return len(n.long)+len(n.short) == 0 }

func (n *needles) reset() {
	n.long, n.short = n.long[:0], n.short[:0]
}

// add adds a credential; b lives as long as the row.
func (n *needles) add(b []byte, of *entry, id string) {
	list := &n.long
	if len(b) < minShared {
		list = &n.short
	}
	for i := range *list {
		if bytes.Equal((*list)[i].b, b) {
			return
		}
	}
	if len(b) == 0 {
		return
	}
	*list = append(*list, needle{b: b, of: of, id: id})
}

// needle adds a credential, and as a form would encode its blanks or have them
// decoded.
func (s *Sealer) needle(b []byte, of *entry, id string) {
	s.needles.add(b, of, id)
	for _, swap := range [2][2]byte{{' ', '+'}, {'+', ' '}} {
		if bytes.IndexByte(b, swap[0]) >= 0 {
			other := s.keep(b)
			for i, c := range other {
				if c == swap[0] {
					other[i] = swap[1]
				}
			}
			s.needles.add(other, of, id)
		}
	}
}

// name is what takes the needle's place.
func (d *needle) name() string {
	if d.of != nil {
		return d.of.word.String()
	}
	return d.id
}

// addDerived adds a masked part of the path.
func (n *needles) addDerived(b []byte, id string) {
	if len(b) >= minShared {
		n.long = append(n.long, needle{b: b, id: id, derived: true})
	}
}

// index prepares the search, after the last needle was added.
func (n *needles) index() {
	if n.dirty {
		clear(n.grams)
	}
	n.dirty = len(n.long) > 0
	n.derivedOnly = len(n.short) == 0
	total := 0
	for i := range n.long {
		total += len(n.long[i].b)
	}
	n.size(total)
	for i := range n.long {
		n.derivedOnly = n.derivedOnly && n.long[i].derived
		b := n.long[i].b
		if len(b) < 4 {
			continue
		}
		g := gramAt(b, 0)
		n.addGram(g)
		for _, c := range b[4:] {
			g = g>>8 | uint32(c|0x20)<<24
			n.addGram(g)
		}
	}
	for i := range n.short {
		if d := &n.short[i]; len(d.b) >= 4 {
			d.forms = shortForms(d.b)
		}
	}
}

// gramAt returns four bytes as a number, letters in lower case. It equates a
// few signs too, which does no harm.
func gramAt(b []byte, i int) uint32 {
	return binary.LittleEndian.Uint32(b[i:]) | 0x20202020
}

func (n *needles) addGram(g uint32) {
	h := gramHash(g, n.shift)
	n.grams[h>>6] |= 1 << (h & 63)
}

// hasGram tells whether a long needle may have the gram g.
func (n *needles) hasGram(g uint32) bool {
	h := gramHash(g, n.shift)
	return n.grams[h>>6]>>(h&63)&1 != 0
}

func gramHash(g uint32, shift uint8) uint32 { return g * 0x9e3779b1 >> (shift & 31) }

// size makes grams large enough for so many of them: a session token of a
// kilobyte would fill the words that do for an API key.
func (n *needles) size(total int) {
	words, shift := 1<<6, uint8(20)
	for words < 1<<12 && total > words {
		words, shift = 4*words, shift-2
	}
	if cap(n.grams) < words {
		n.grams = make([]uint64, words)
	}
	n.grams, n.shift = n.grams[:words], shift
}

// shortForms returns base64 and hex of a short credential: of the three
// alignments in base64, the characters that it alone determines.
func shortForms(b []byte) (forms [][]byte) {
	for shift := range 3 {
		padded := append(make([]byte, shift), b...)
		for _, enc := range []*gobase64.Encoding{gobase64.RawStdEncoding, gobase64.RawURLEncoding} {
			text := []byte(enc.EncodeToString(padded))
			lo, hi := (8*shift+5)/6, 8*len(padded)/6
			if hi-lo >= 5 {
				forms = append(forms, text[lo:hi])
			}
		}
	}
	low := []byte(gohex.EncodeToString(b))
	return append(forms, low, bytes.ToUpper(low))
}

// searchNeedles does step 2 for field i.
func (s *Sealer) searchNeedles(i int) {
	f := &s.fields[i]
	if f.masked || (s.needles.derivedOnly && !f.isDerived()) {
		return
	}
	s.views[0].b = f.text
	if len(s.needles.short) == 0 && !s.plain {
		if len(f.text) < minShared {
			return // a short escape is no part of a long needle
		}
		if f.has&(hasPercent|hasCoded) == 0 {
			s.findLong(i, &s.views[0])
			return
		}
	}
	s.needlesIn(i, 0, f.has, true)
}

func (s *Sealer) needlesIn(i, depth int, has survey, coded bool) {
	v := &s.views[depth]
	s.findLong(i, v)
	s.findShort(i, v, depth > 0)
	if s.work < 0 {
		return
	}
	if has&hasPercent != 0 && depth < maxEscapes && s.views[depth+1].unescape(v) {
		s.needlesIn(i, depth+1, s.survey(s.views[depth+1].b), coded)
	}
	if coded && has&hasCoded != 0 {
		s.needlesCoded(i, depth, has&hasDeep != 0 || len(s.needles.short) > 0)
	}
}

// needlesCoded searches what the runs of s.views[depth] decode to; unless it
// is to read all, only what may share a part with a needle as it stands.
func (s *Sealer) needlesCoded(i, depth int, all bool) {
	var at scan
	t := s.views[depth].b
	if depth == 0 && !all && s.fields[i].has&isHexID != 0 {
		whole := run{0, len(t), true}
		if !s.needles.mayShare(t, whole, 0) && !s.needles.mayShare(t, whole, 1) {
			return
		}
	}
	for {
		r, ok := nextRun(t, &at)
		if !ok {
			return
		}
		for k := range r.shifts() {
			if !all && !s.needles.mayShare(t, r, k) {
				continue
			}
			v := s.decode(depth, r, k)
			if !s.spend(i, len(v.b)) {
				continue
			}
			s.findLong(i, v)
			s.findShort(i, v, true)
			if below := &s.views[depth+2]; bytes.IndexByte(v.b, '%') >= 0 && below.unescape(v) {
				s.findLong(i, below)
				s.findShort(i, below, true)
			}
		}
	}
}

// findLong marks what a view of field i shares with long needles.
func (s *Sealer) findLong(i int, v *view) {
	t := v.b
	if len(s.needles.long) == 0 || len(t) < minShared {
		return
	}
	for at := 0; at+4 <= len(t); at += 8 {
		g := gramAt(t, at)
		if !s.needles.hasGram(g) {
			continue
		}
		// Of all that is shared around this place the longest counts.
		lo, hi, best := 0, 0, -1
		for k := range s.needles.long {
			d := &s.needles.long[k]
			if d.derived && !s.fields[i].isDerived() {
				continue
			}
			if !s.spend(i, len(d.b)/8+1) {
				return
			}
			for j := 0; j+4 <= len(d.b); j++ {
				if gramAt(d.b, j) != g {
					continue
				}
				a, b := shared(t, at, d.b, j)
				if !s.spend(i, b-a) {
					return
				}
				if b-a > hi-lo {
					lo, hi, best = a, b, k
				}
			}
		}
		if hi-lo < minShared {
			continue
		}
		r := rankPart
		if d := s.needles.long[best]; hi-lo == len(d.b) {
			r = rankWhole
		} else if d.derived {
			r = rankLooks
		}
		s.mark(i, v, lo, hi, r, s.needles.long[best].name())
		at = max(at, (hi-4)&^7) // what begins in here may end behind it
	}
}

// shared returns the bounds in t of the longest part around t[at:] that equals,
// but for letter case, the part of d around d[j:].
func shared(t []byte, at int, d []byte, j int) (lo, hi int) {
	lo, hi = at, at+4
	for k := j - 1; lo > 0 && k >= 0 && t[lo-1]|0x20 == d[k]|0x20; k-- {
		lo--
	}
	for k := j + 4; hi < len(t) && k < len(d) && t[hi]|0x20 == d[k]|0x20; k++ {
		hi++
	}
	return lo, hi
}

// findShort marks short needles in a view of field i.
func (s *Sealer) findShort(i int, v *view, decoded bool) {
	for k := range s.needles.short {
		d := &s.needles.short[k]
		if len(d.b) < 4 {
			if bytes.Equal(v.b, d.b) {
				s.mark(i, v, 0, len(v.b), rankWhole, d.name())
			}
			continue
		}
		s.findForm(i, v, d.b, d, len(d.b) < 8)
		if !decoded {
			for _, form := range d.forms {
				s.findForm(i, v, form, d, len(form) < 8)
			}
		}
	}
}

// findForm marks a form of a short needle; apart: only where no letter or digit adjoins.
func (s *Sealer) findForm(i int, v *view, form []byte, d *needle, apart bool) {
	for at := 0; ; {
		n := bytes.Index(v.b[at:], form)
		if n < 0 {
			return
		}
		lo, hi := at+n, at+n+len(form)
		if !apart || ((lo == 0 || classes[v.b[lo-1]]&isAlnum == 0) && (hi == len(v.b) || classes[v.b[hi]]&isAlnum == 0)) {
			s.mark(i, v, lo, hi, rankWhole, d.name())
		}
		at = lo + 1
	}
}
