package block

import (
	"encoding/binary"

	"github.com/tokenwatch/tokenwatch"
)

// How the codes of a coded column of a merged segment are written. Code 0 is
// null, code k is value k-1 of the dictionary. A number keeps its meaning.
type codeMethod uint8

const (
	codesRuns    codeMethod = 0 // the tokens: rows are sorted by them, so that how many rows each has is enough
	codesPlain   codeMethod = 1 // packed
	codesRecent  codeMethod = 2 // by when a value was last seen
	codesNewest  codeMethod = 3 // by how long before the newest value it first came
	codesDerived codeMethod = 4 // by the code of another column, but for exceptions
	numMethods   codeMethod = 5
)

// maxRecent is the most values a column may have for codesRecent, which looks
// through a list of them for each row.
const maxRecent = 255

// appendPlain appends codes as they are.
func (e *Encoder) appendPlain(dst []byte, codes []uint32) []byte {
	e.widen(codes)
	return e.packed(dst, e.words)
}

// appendRecent appends for each code its place in a list of all codes in which
// the one seen last stands first.
func (e *Encoder) appendRecent(dst []byte, codes []uint32, distinct int) []byte {
	list := grow(e.table, distinct+1)
	for i := range list {
		list[i] = byte(i)
	}
	e.words = e.words[:0]
	for _, c := range codes {
		at := 0
		for list[at] != byte(c) {
			at++
		}
		copy(list[1:at+1], list[:at])
		list[0] = byte(c)
		e.words = append(e.words, uint64(at))
	}
	e.table = list
	return e.packed(dst, e.words)
}

// recent turns what appendRecent wrote into codes.
func (r *reader) recent(codes []uint32, distinct int) {
	if distinct > maxRecent {
		r.fail("too many values for a list of recent ones")
		return
	}
	var list [maxRecent + 1]byte
	for i := range list {
		list[i] = byte(i)
	}
	for i, at := range codes {
		if int(at) > distinct {
			r.fail("a code is outside its dictionary")
			return
		}
		c := list[at]
		copy(list[1:at+1], list[:at])
		list[0] = c
		codes[i] = uint32(c)
	}
}

// What codesNewest writes for a code that is new, and for null.
const (
	newestNext = 0
	newestNull = 1
)

// appendNewest appends codes of a dictionary in the order in which the values
// first came, of which all below next have come, by their distance from next.
// It returns the new next.
func (e *Encoder) appendNewest(dst []byte, codes []uint32, next uint32) ([]byte, uint32) {
	dst = binary.AppendUvarint(dst, uint64(next))
	e.words = e.words[:0]
	for _, c := range codes {
		switch {
		case c == 0:
			e.words = append(e.words, newestNull)
		case c == next:
			e.words = append(e.words, newestNext)
			next++
		default:
			e.words = append(e.words, uint64(next-c)+newestNull)
		}
	}
	return e.packed(dst, e.words), next
}

// newest turns what appendNewest wrote after next into codes.
func (r *reader) newest(codes []uint32, next uint32) {
	for i, x := range codes {
		switch {
		case x == newestNull:
			codes[i] = 0
		case x == newestNext:
			codes[i] = next
			next++
		case x-newestNull >= next:
			r.fail("a code is outside its dictionary")
			return
		default:
			codes[i] = next - (x - newestNull)
		}
	}
}

// derive finds for each code of base the code that goes with it most, or one
// that may, and how many rows have another.
func derive(base, codes []uint32, distinct int) (to []uint32, exceptions int) {
	to = make([]uint32, distinct+1)
	votes := make([]int32, distinct+1)
	for i, b := range base {
		switch c := codes[i]; {
		case votes[b] == 0:
			to[b], votes[b] = c, 1
		case to[b] == c:
			votes[b]++
		default:
			votes[b]--
		}
	}
	for i, b := range base {
		if to[b] != codes[i] {
			exceptions++
		}
	}
	return to, exceptions
}

// appendDerived appends the rows whose code is not the derived one.
func (e *Encoder) appendDerived(dst []byte, base, codes, to []uint32) []byte {
	e.words, e.deltas = e.words[:0], e.deltas[:0]
	last := 0
	for i, b := range base {
		if to[b] != codes[i] {
			e.words = append(e.words, uint64(i-last))
			e.deltas = append(e.deltas, uint64(codes[i]))
			last = i
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.words)))
	dst = e.packed(dst, e.words)
	return e.packed(dst, e.deltas)
}

// derived fills codes from those of the base and the exceptions.
func (r *reader) derived(codes, base, to []uint32, buf *[]byte) {
	for i, b := range base {
		codes[i] = to[b]
	}
	n := r.count(len(codes))
	if !r.take(n, 8) {
		return
	}
	gaps, values := make([]uint32, n), make([]uint32, n)
	unpack(r, gaps, buf)
	unpack(r, values, buf)
	if r.err != nil {
		return
	}
	at := 0
	for i, gap := range gaps {
		if at += int(gap); at >= len(codes) {
			r.fail("an exception is out of bounds")
			return
		}
		codes[at] = values[i]
	}
}

// checkCodes makes codes beyond the dictionary an error.
func (r *reader) checkCodes(codes []uint32, distinct int) {
	for _, c := range codes {
		if int(c) > distinct {
			r.fail("a code is outside its dictionary")
			return
		}
	}
}

// bases lists for each column the ones it may be derived from, the likeliest
// first. Those in the first line may be a base; of them only the token is never
// derived itself, and none is derived from another but the token.
var bases = [tokenwatch.NumColumns][]tokenwatch.Col{
	tokenwatch.ColSrcIP: fromToken, tokenwatch.ColUserAgent: fromToken, tokenwatch.ColAction: fromToken, tokenwatch.ColStatus: fromToken,

	tokenwatch.ColSource:      fromToken,
	tokenwatch.ColFormat:      fromToken,
	tokenwatch.ColTokenKind:   fromToken,
	tokenwatch.ColIssuer:      fromToken,
	tokenwatch.ColActor:       fromToken,
	tokenwatch.ColActorKind:   fromToken,
	tokenwatch.ColSession:     fromToken,
	tokenwatch.ColSrcASN:      {tokenwatch.ColSrcIP},
	tokenwatch.ColSrcCountry:  {tokenwatch.ColSrcIP},
	tokenwatch.ColSrcCloud:    {tokenwatch.ColSrcIP},
	tokenwatch.ColAgentFamily: {tokenwatch.ColUserAgent},
	tokenwatch.ColScheme:      {tokenwatch.ColAction, tokenwatch.ColToken},
	tokenwatch.ColMethod:      {tokenwatch.ColAction},
	tokenwatch.ColHost:        {tokenwatch.ColAction, tokenwatch.ColToken},
	tokenwatch.ColRoute:       {tokenwatch.ColAction},
	tokenwatch.ColActionClass: {tokenwatch.ColAction},
	tokenwatch.ColScope:       {tokenwatch.ColAction, tokenwatch.ColToken},
	tokenwatch.ColOutcome:     {tokenwatch.ColStatus},
	tokenwatch.ColError:       {tokenwatch.ColStatus},
	tokenwatch.ColEnv:         {tokenwatch.ColToken, tokenwatch.ColAction},
	tokenwatch.ColRegion:      {tokenwatch.ColToken, tokenwatch.ColAction},
	tokenwatch.ColService:     {tokenwatch.ColAction, tokenwatch.ColToken},
}

var fromToken = []tokenwatch.Col{tokenwatch.ColToken}

// mayDerive tells whether a stored segment may derive col from base: the order
// token, other bases, the rest excludes circles.
func mayDerive(col, base tokenwatch.Col) bool {
	return baseRank(base) < baseRank(col) && baseRank(base) < 2
}

func baseRank(c tokenwatch.Col) int {
	switch c {
	case tokenwatch.ColToken:
		return 0
	case tokenwatch.ColSrcIP, tokenwatch.ColUserAgent, tokenwatch.ColAction, tokenwatch.ColStatus:
		return 1
	default:
		return 2
	}
}
