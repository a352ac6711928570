package block

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/tokenwatch/tokenwatch"
)

// mergedFilter is what the head of a merged segment says of the filters of a column:
// one a page, which tells what values the page cannot hold.
type mergedFilter struct {
	col   tokenwatch.Col
	chunk int
}

// filtered are the columns that have filters: what is looked for by value and has
// many. The token needs none, since rows are sorted by it.
var filtered = tokenwatch.Cols(tokenwatch.ColRequestID, tokenwatch.ColSrcIP, tokenwatch.ColActor, tokenwatch.ColSession)

// A filter is split block Bloom filter, as Apache Parquet defines it: blocks of eight
// words, in each of which a value sets one bit. filterBits is how many bits it has for
// each distinct value: about one value in forty that a page does not hold passes.
const (
	filterBits  = 8
	filterBlock = 32 // bytes
)

// filterSalt says which bit of each word a value sets.
var filterSalt = [8]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31}

func filterBitsOf(hash uint64) (words [8]uint32) {
	for i, salt := range &filterSalt {
		words[i] = 1 << (uint32(hash) * salt >> 27)
	}
	return words
}

// filterPlace is the block of n that a value is in.
func filterPlace(hash uint64, n int) int {
	high, _ := bits.Mul64(hash&^0xffffffff, uint64(n))
	return int(high)
}

// appendFilter appends the blocks for the hashes of the values of a page; equal ones
// count once.
func appendFilter(dst []byte, hashes []uint64) []byte {
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	n := (len(hashes)*filterBits + 8*filterBlock - 1) / (8 * filterBlock)
	start := len(dst)
	dst = append(dst, make([]byte, n*filterBlock)...)
	for _, h := range hashes {
		block := dst[start+filterPlace(h, n)*filterBlock:]
		for i, w := range filterBitsOf(h) {
			binary.LittleEndian.PutUint32(block[4*i:], binary.LittleEndian.Uint32(block[4*i:])|w)
		}
	}
	return dst
}

// passes tells whether a filter may have been made of a value.
func passes(filter []byte, hash uint64) bool {
	n := len(filter) / filterBlock
	if n == 0 {
		return false
	}
	block := filter[filterPlace(hash, n)*filterBlock:]
	for i, w := range filterBitsOf(hash) {
		if binary.LittleEndian.Uint32(block[4*i:])&w == 0 {
			return false
		}
	}
	return true
}

// filters writes the filters of a column. hashes calls its argument with the hash of
// each value in the rows from lo up to hi.
func (m *merger) filters(col tokenwatch.Col, hashes func(lo, hi int, put func(uint64))) error {
	if !filtered.Has(col) {
		return nil
	}
	pages := m.head.numPages()
	m.e.body = append(m.e.body[:0], make([]byte, 4*pages)...)
	var list []uint64
	for page := range pages {
		list = list[:0]
		hashes(page*m.head.page, min((page+1)*m.head.page, m.rows), func(h uint64) { list = append(list, h) })
		m.e.body = appendFilter(m.e.body, list)
		binary.LittleEndian.PutUint32(m.e.body[4*page:], uint32((len(m.e.body)-4*pages)/filterBlock))
	}
	chunk, err := m.chunk()
	if err != nil {
		return err
	}
	m.head.filters = append(m.head.filters, mergedFilter{col, chunk})
	return nil
}

// filterStrings writes the filters of a column of strings.
func (m *merger) filterStrings(col tokenwatch.Col, v *tokenwatch.Vector) error {
	return m.filters(col, func(lo, hi int, put func(uint64)) {
		for _, p := range m.perm[lo:hi] {
			if v.Valid.At(int(p)) {
				put(xxhash.Sum64(v.Text.Bytes[v.Text.Offsets[p]:v.Text.Offsets[p+1]]))
			}
		}
	})
}

// filterCodes writes the filters of a column with a dictionary.
func (m *merger) filterCodes(col tokenwatch.Col, d *dictionary) error {
	if !filtered.Has(col) {
		return nil
	}
	byCode := make([]uint64, d.n)
	for i := range byCode {
		if d.addrs != nil {
			byCode[i] = xxhash.Sum64(d.addrs[16*i : 16*i+16])
		} else {
			byCode[i] = xxhash.Sum64(d.text.at(i))
		}
	}
	return m.filters(col, func(lo, hi int, put func(uint64)) {
		last := uint32(0)
		for _, c := range d.codes[lo:hi] {
			if c != 0 && c != last {
				put(byCode[c-1])
			}
			last = c
		}
	})
}

// appendFilters appends what the head says of the filters.
func appendFilters(b []byte, list []mergedFilter) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, f := range list {
		b = append(b, columnNumber[f.col])
		b = binary.AppendUvarint(b, uint64(f.chunk))
	}
	return b
}

// mergedFilters reads what appendFilters wrote.
func (r *reader) mergedFilters(h *mergedHead) {
	last := 0
	for range r.count(tokenwatch.NumColumns) {
		number := int(r.byte())
		if r.err == nil && (number <= last || columnOf[number] == none) {
			r.fail("a filter is of an unknown column or out of order")
		}
		chunk := r.chunkNumber(h, 1)
		if r.err != nil {
			return
		}
		last = number
		h.filters = append(h.filters, mergedFilter{columnOf[number], chunk})
	}
}

// PagesWith returns runs of rows, in their order, outside of which no row of a column
// has a value: the bytes of a text, or the 16 of an address. ok is false if the
// segment has no filters of that column.
func (m *Merged) PagesWith(col tokenwatch.Col, value []byte) (runs [][2]int, ok bool, err error) {
	at := slices.IndexFunc(m.head.filters, func(f mergedFilter) bool { return f.col == col })
	if at < 0 {
		return nil, false, nil
	}
	hash, pages := xxhash.Sum64(value), m.head.numPages()
	err = m.chunk(m.head.filters[at].chunk, col.String(), func(r *reader) error {
		ends := r.bytes(4 * pages)
		blocks := r.bytes(r.left())
		if r.err != nil {
			return r.err
		}
		from := 0
		for page := range pages {
			to := int(binary.LittleEndian.Uint32(ends[4*page:])) * filterBlock
			if to < from || to > len(blocks) || page == pages-1 && to != len(blocks) {
				r.fail("filters of pages contradict their size")
				return r.err
			}
			if passes(blocks[from:to], hash) {
				lo, hi := page*m.head.page, min((page+1)*m.head.page, m.head.rows)
				if n := len(runs); n > 0 && runs[n-1][1] == lo {
					runs[n-1][1] = hi
				} else {
					runs = append(runs, [2]int{lo, hi})
				}
			}
			from = to
		}
		return nil
	})
	return runs, err == nil, err
}
