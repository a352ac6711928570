package block

import (
	"net/netip"
	"slices"

	"github.com/tokenwatch/tokenwatch"
)

// dictionary is the distinct values of a column in the order in which they
// first come, and the code of each row. No codes: there are too many values for
// a dictionary to pay.
type dictionary struct {
	codes []uint32
	n     int
	text  spans
	ints  []int64
	addrs []byte // 16 bytes each
}

// textValues numbers the values of a text column.
func textValues(v *tokenwatch.Vector, perm []uint32) (d dictionary) {
	to := make([]uint32, v.Dict.Len())
	codes := make([]uint32, len(perm))
	for i, p := range perm {
		c := v.Codes[p]
		if c == 0 {
			continue
		}
		if to[c] == 0 {
			d.n++
			to[c] = uint32(d.n)
			d.text.bytes = append(d.text.bytes, v.Dict.Bytes[v.Dict.Offsets[c]:v.Dict.Offsets[c+1]]...)
			d.text.ends = append(d.text.ends, int32(len(d.text.bytes)))
		}
		codes[i] = to[c]
	}
	if d.n > maxCounted && d.n > len(perm)/4 {
		return dictionary{}
	}
	d.codes = codes
	return d
}

func addrValues(v *tokenwatch.Vector, perm []uint32) (d dictionary) {
	known := make(map[[16]byte]uint32)
	codes := make([]uint32, len(perm))
	var last [4]struct {
		addr [16]byte
		code uint32
	}
	next := 0
rows:
	for i, p := range perm {
		if !v.Valid.At(int(p)) {
			continue
		}
		a := [16]byte(v.Addrs[16*p:])
		for k := range last { // neighbours are of one token and come from few addresses
			if last[k].code != 0 && last[k].addr == a {
				codes[i] = last[k].code
				continue rows
			}
		}
		code, ok := known[a]
		if !ok {
			d.n++
			if d.n > maxCounted && d.n > len(perm)/2 {
				return dictionary{}
			}
			code = uint32(d.n)
			known[a] = code
			d.addrs = append(d.addrs, a[:]...)
		}
		codes[i] = code
		last[next&3].addr, last[next&3].code = a, code
		next++
	}
	d.codes = codes
	return d
}

// maxInts is the most numbers of which a dictionary is made; more are packed.
const maxInts = 256

func intValues(v *tokenwatch.Vector, perm []uint32) (d dictionary) {
	known := make(map[int64]uint32)
	codes := make([]uint32, len(perm))
	last, lastCode := int64(0), uint32(0)
	for i, p := range perm {
		if !v.Valid.At(int(p)) {
			continue
		}
		x := v.Ints[p]
		if lastCode != 0 && x == last {
			codes[i] = lastCode
			continue
		}
		code, ok := known[x]
		if !ok {
			if d.n++; d.n > maxInts || d.n > 1+len(perm)/2 {
				return dictionary{}
			}
			code = uint32(d.n)
			known[x] = code
			d.ints = append(d.ints, x)
		}
		codes[i] = code
		last, lastCode = x, code
	}
	d.codes = codes
	return d
}

// coded writes a column with a dictionary.
func (m *merger) coded(c *mergedColumn, d *dictionary) (err error) {
	c.form, c.distinct = formCoded, d.n
	for _, code := range d.codes {
		if code == 0 {
			c.Nulls++
		}
	}
	if c.Nulls == m.rows {
		return nil
	}
	m.bounds(c, d)
	if c.Nulls == 0 && d.n == 1 && (d.text.ends == nil || len(d.text.bytes) <= maxBound) {
		c.form = formConst
		if d.text.ends != nil {
			c.MaxText = c.MinText
		}
		m.head.columns = append(m.head.columns, *c)
		return nil
	}
	m.e.body = m.e.body[:0]
	switch c.Col.Kind() {
	case tokenwatch.KindText:
		m.e.body = m.e.strings(m.e.body, d.text)
	case tokenwatch.KindAddr:
		m.e.body = m.e.addrDict(m.e.body, d.addrs)
	default:
		m.e.words = m.e.words[:0]
		for _, x := range d.ints {
			m.e.words = append(m.e.words, uint64(x)-uint64(c.Min))
		}
		m.e.body = m.e.packed(m.e.body, m.e.words)
	}
	if c.dict, err = m.chunk(); err != nil {
		return err
	}
	to := m.method(c, d)
	if c.method == codesDerived {
		m.e.body = m.e.appendPlain(m.e.body[:0], to)
		if c.aux, err = m.chunk(); err != nil {
			return err
		}
	}
	if err := m.counts(c, d.codes); err != nil {
		return err
	}
	next := uint32(1)
	c.pages = len(m.head.chunks)
	for lo := 0; lo < m.rows; lo += m.head.page {
		hi := min(lo+m.head.page, m.rows)
		m.e.body, next = m.codesPage(m.e.body[:0], c, d.codes, to, lo, hi, next)
		if _, err := m.chunk(); err != nil {
			return err
		}
	}
	if err := m.filterCodes(c.Col, d); err != nil {
		return err
	}
	if baseRank(c.Col) < 2 || seriesKeys.Has(c.Col) {
		m.codes[c.Col] = d.codes
	}
	m.head.columns = append(m.head.columns, *c)
	return nil
}

// codesPage appends the codes of the rows from lo up to hi.
func (m *merger) codesPage(dst []byte, c *mergedColumn, codes, to []uint32, lo, hi int, next uint32) ([]byte, uint32) {
	switch c.method {
	case codesRecent:
		return m.e.appendRecent(dst, codes[lo:hi], c.distinct), next
	case codesNewest:
		return m.e.appendNewest(dst, codes[lo:hi], next)
	case codesDerived:
		return m.e.appendDerived(dst, m.codes[c.base][lo:hi], codes[lo:hi], to), next
	default:
		return m.e.appendPlain(dst, codes[lo:hi]), next
	}
}

// method chooses how the codes of a column are written, by trying each way on a
// page or two. For codesDerived it returns the derivation.
func (m *merger) method(c *mergedColumn, d *dictionary) (to []uint32) {
	var samples []int
	for lo := 0; lo < m.rows; lo += max(m.head.page, m.rows/2/m.head.page*m.head.page) {
		samples = append(samples, lo)
	}
	price := func(method codeMethod, to []uint32) int {
		trial := *c // its base is the one to try
		trial.method = method
		total, rows := 0, 0
		for _, lo := range samples {
			hi := min(lo+m.head.page, m.rows)
			next := uint32(1)
			if method == codesNewest {
				for _, code := range d.codes[:lo] {
					next = max(next, code+1)
				}
			}
			m.e.body, _ = m.codesPage(m.e.body[:0], &trial, d.codes, to, lo, hi, next)
			total += len(m.e.body)
			rows += hi - lo
		}
		return int(int64(total) * int64(m.rows) / int64(rows))
	}
	c.method = codesPlain
	least := price(codesPlain, nil)
	consider := func(method codeMethod, cost int) bool {
		if cost >= least {
			return false
		}
		c.method, least = method, cost
		return true
	}
	consider(codesNewest, price(codesNewest, nil))
	if d.n <= maxRecent {
		consider(codesRecent, price(codesRecent, nil))
	}
	for _, base := range bases[c.Col] {
		codes, ok := m.codes[base]
		if !ok {
			continue
		}
		distinct := m.head.column(base).distinct
		derived, exceptions := derive(codes, d.codes, distinct)
		if exceptions > m.rows/8 {
			continue
		}
		m.e.body = m.e.appendPlain(m.e.body[:0], derived)
		before := c.base
		c.base = base // price looks at it
		if cost := len(m.e.body); !consider(codesDerived, cost+price(codesDerived, derived)) {
			c.base = before
			continue
		}
		if to = derived; exceptions == 0 {
			break
		}
	}
	return to
}

func (m *merger) bounds(c *mergedColumn, d *dictionary) {
	switch c.Col.Kind() {
	case tokenwatch.KindText:
		c.textBounds(d.text)
	case tokenwatch.KindAddr:
		least, most := [16]byte(d.addrs), [16]byte(d.addrs)
		for at := 0; at < len(d.addrs); at += 16 {
			a := [16]byte(d.addrs[at:])
			if string(a[:]) < string(least[:]) {
				least = a
			}
			if string(a[:]) > string(most[:]) {
				most = a
			}
		}
		c.MinAddr, c.MaxAddr = netip.AddrFrom16(least).Unmap(), netip.AddrFrom16(most).Unmap()
	default:
		c.Min, c.Max = slices.Min(d.ints), slices.Max(d.ints)
	}
}

// addrDict appends distinct addresses, in 4 bytes each where that is enough.
func (e *Encoder) addrDict(dst, addrs []byte) []byte {
	size := 4
	for at := 0; at < len(addrs); at += 16 {
		if [12]byte(addrs[at:]) != prefix4 {
			size = 16
			break
		}
	}
	e.plane = e.plane[:0]
	for at := 0; at < len(addrs); at += 16 {
		e.plane = append(e.plane, addrs[at+16-size:at+16]...)
	}
	return e.section(append(dst, byte(size)), e.plane)
}

// less compares addresses by their 16 bytes.
func less(a, b netip.Addr) bool {
	x, y := a.As16(), b.As16()
	return string(x[:]) < string(y[:])
}
