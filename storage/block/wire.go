package block

import "github.com/tokenwatch/tokenwatch"

// Codec says how the chunk of a column is coded.
type Codec uint8

// The codecs. A number keeps its meaning for ever.
const (
	CodecConst   Codec = 1 // every row has the value that the head gives as both bounds; no chunk
	CodecFrame   Codec = 2 // whole numbers: distances from the smallest
	CodecDelta   Codec = 3 // whole numbers: differences of neighbours
	CodecDict    Codec = 4 // text: dictionary and codes
	CodecStrings Codec = 5 // strings, or their pattern
	CodecAddr    Codec = 6 // addresses of 4 or 16 bytes, or a dictionary of them and codes
	CodecFlags   Codec = 7 // one bit a row
	CodecPairs   Codec = 8 // pairs of text
)

// fits tells whether a column of kind k may have codec c.
func (c Codec) fits(k tokenwatch.Kind) bool {
	switch c {
	case CodecConst:
		return k != tokenwatch.KindMap
	case CodecFrame, CodecDelta:
		return k == tokenwatch.KindTime || k == tokenwatch.KindInt
	case CodecDict:
		return k == tokenwatch.KindText
	case CodecStrings:
		return k == tokenwatch.KindString
	case CodecAddr:
		return k == tokenwatch.KindAddr
	case CodecFlags:
		return k == tokenwatch.KindBool
	case CodecPairs:
		return k == tokenwatch.KindMap
	default:
		return false
	}
}

// columnNumber gives each column its number in a segment. A number keeps its
// meaning for ever: a new column takes the next free one wherever it stands in
// the schema, and the number of a column that goes stays unused.
var columnNumber = [tokenwatch.NumColumns]uint8{
	tokenwatch.ColTime:        1,
	tokenwatch.ColIngestTime:  2,
	tokenwatch.ColSource:      3,
	tokenwatch.ColFormat:      4,
	tokenwatch.ColToken:       5,
	tokenwatch.ColTokenKind:   6,
	tokenwatch.ColIssuer:      7,
	tokenwatch.ColActor:       8,
	tokenwatch.ColActorKind:   9,
	tokenwatch.ColSrcIP:       10,
	tokenwatch.ColSrcPort:     11,
	tokenwatch.ColSrcASN:      12,
	tokenwatch.ColSrcCountry:  13,
	tokenwatch.ColSrcCloud:    14,
	tokenwatch.ColUserAgent:   15,
	tokenwatch.ColAgentFamily: 16,
	tokenwatch.ColScheme:      17,
	tokenwatch.ColMethod:      18,
	tokenwatch.ColHost:        19,
	tokenwatch.ColPath:        20,
	tokenwatch.ColRoute:       21,
	tokenwatch.ColAction:      22,
	tokenwatch.ColActionClass: 23,
	tokenwatch.ColResource:    24,
	tokenwatch.ColScope:       25,
	tokenwatch.ColStatus:      26,
	tokenwatch.ColOutcome:     27,
	tokenwatch.ColError:       28,
	tokenwatch.ColBytesIn:     29,
	tokenwatch.ColBytesOut:    30,
	tokenwatch.ColDuration:    31,
	tokenwatch.ColRequestID:   32,
	tokenwatch.ColSession:     33,
	tokenwatch.ColEnv:         34,
	tokenwatch.ColRegion:      35,
	tokenwatch.ColService:     36,
	tokenwatch.ColLate:        37,
	tokenwatch.ColFuture:      38,
	tokenwatch.ColDuplicate:   39,
	tokenwatch.ColAttrs:       40,
}

// columnOf is columnNumber the other way round, in the order of chunks; places
// without a column hold none.
var columnOf = func() (cols [256]tokenwatch.Col) {
	for i := range cols {
		cols[i] = none
	}
	for c, n := range columnNumber {
		cols[n] = tokenwatch.Col(c)
	}
	return cols
}()

const none = tokenwatch.Col(255)
