// Package series is the time series of the events: how many there were in each
// minute, hour or day, with what errors, bytes, durations and addresses.
//
// A series is a sum over rows, so it has no store of its own to keep in step:
// merged segments carry the cells of their rows (storage/block), the rows that
// are not merged yet are counted when somebody asks, and the cells of all are
// added up (Sum). What is counted is every stored row with a time, late and
// future ones too, but no duplicates; it counts in the time of its event. All is
// whole numbers and sets, so that it does not matter in what pieces or order rows
// are counted.
package series

import (
	"math"
	"math/bits"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Kind is one of the series. A number keeps its meaning for ever.
type Kind uint8

// The series. Rows without the entity are not in those of tokens, actors,
// addresses and routes; null is a value of host, method, status and route.
const (
	Minutes   Kind = 1 // a minute of a host, method and status
	Tokens    Kind = 2 // an hour of a token
	Actors    Kind = 3 // an hour of an actor
	Addresses Kind = 4 // an hour of a source address
	Routes    Kind = 5 // a day of a token on a route
)

// Kinds lists them.
var Kinds = [...]Kind{Minutes, Tokens, Actors, Addresses, Routes}

var kinds = [...]struct {
	name    string
	step    time.Duration
	columns []tokenwatch.Col
}{
	Minutes:   {"minutes", time.Minute, []tokenwatch.Col{tokenwatch.ColHost, tokenwatch.ColMethod, tokenwatch.ColStatus}},
	Tokens:    {"tokens", time.Hour, []tokenwatch.Col{tokenwatch.ColToken}},
	Actors:    {"actors", time.Hour, []tokenwatch.Col{tokenwatch.ColActor}},
	Addresses: {"addresses", time.Hour, []tokenwatch.Col{tokenwatch.ColSrcIP}},
	Routes:    {"routes", 24 * time.Hour, []tokenwatch.Col{tokenwatch.ColToken, tokenwatch.ColRoute}},
}

// Valid tells whether there is such a series.
func (k Kind) Valid() bool { return k >= Minutes && k <= Routes }

// String returns its name.
func (k Kind) String() string { return kinds[k].name }

// Step is the time that a cell covers, from a multiple of it on.
func (k Kind) Step() time.Duration { return kinds[k].step }

// Columns are those of which each combination of values has cells of its own.
func (k Kind) Columns() []tokenwatch.Col { return kinds[k].columns }

// entity tells whether rows without the first column are left out.
func (k Kind) entity() bool { return k != Minutes }

// Measures says what of a cell is wanted besides its time, key and count.
type Measures uint8

const (
	Errors    Measures = 1 << iota // how many events were errors, by kind
	BytesIn                        // sum of bytes_in
	BytesOut                       // sum of bytes_out
	Durations                      // how durations are spread, in bins
	Sources                        // the distinct addresses; not of Addresses

	AllMeasures = Errors | BytesIn | BytesOut | Durations | Sources
)

// Has tells whether all of m are among the measures.
func (ms Measures) Has(m Measures) bool { return ms&m == m }

// Of are the measures that a series has.
func (ms Measures) Of(k Kind) Measures {
	if k == Addresses {
		return ms &^ Sources
	}
	return ms
}

// columns are those that the measures are taken from.
func (ms Measures) columns() tokenwatch.ColSet {
	var cols tokenwatch.ColSet
	for m, of := range map[Measures][]tokenwatch.Col{
		Errors:    {tokenwatch.ColStatus, tokenwatch.ColOutcome},
		BytesIn:   {tokenwatch.ColBytesIn},
		BytesOut:  {tokenwatch.ColBytesOut},
		Durations: {tokenwatch.ColDuration},
		Sources:   {tokenwatch.ColSrcIP},
	} {
		for _, c := range of {
			if ms.Has(m) {
				cols = cols.With(c)
			}
		}
	}
	return cols
}

// Columns are those of rows that must be known to count a series.
func Columns(k Kind, ms Measures) tokenwatch.ColSet {
	cols := ms.columns().With(tokenwatch.ColTime).With(tokenwatch.ColDuplicate)
	for _, c := range k.Columns() {
		cols = cols.With(c)
	}
	return cols
}

// ErrorKind is why an event is an error.
type ErrorKind uint8

// The kinds of errors, by status and, where there is none, by outcome.
const (
	Authn     ErrorKind = iota // 401, 407: the credential was not taken
	Authz                      // 403, or denied by the source's word
	NotFound                   // 404, 410
	Throttled                  // 429
	Client                     // other 4xx, or failed by the source's word
	Server                     // 5xx and above
	NumErrors

	noError = NumErrors
)

var errorNames = [NumErrors]string{"authn", "authz", "not_found", "throttled", "client", "server"}

// String returns its name, as the column error has it.
func (e ErrorKind) String() string { return errorNames[e] }

// errorOf tells what error an event is, noError if it is none.
func errorOf(status int64, outcome string) ErrorKind {
	switch {
	case status == 401 || status == 407:
		return Authn
	case status == 403:
		return Authz
	case status == 404 || status == 410:
		return NotFound
	case status == 429:
		return Throttled
	case status >= 500:
		return Server
	case status >= 400:
		return Client
	case status > 0:
		return noError
	case outcome == "denied":
		return Authz
	case outcome == "failure":
		return Client
	}
	return noError
}

// binBits is the logarithm of how many bins there are between a power of two and
// the next.
const binBits = 6

// Bin is the bin of a number: each of those below 128 has its own, the others
// share one with those that are within 1.6 %. Negative ones are mirrored.
func Bin(v int64) int16 {
	if v < 0 {
		return -bin(-uint64(v))
	}
	return bin(uint64(v))
}

func bin(u uint64) int16 {
	shift := max(0, bits.Len64(u)-binBits-1)
	return int16(shift<<binBits + int(u>>shift))
}

// Value is a number that is within 0.8 % of all of a bin.
func Value(b int16) int64 {
	if b < 0 {
		return -Value(-b)
	}
	low, width := extent(b)
	return int64(min(low+width/2, math.MaxInt64))
}

// Most is the greatest number of a bin that is not negative.
func Most(b int16) int64 {
	low, width := extent(b)
	return int64(low + width - 1)
}

// extent is where a bin that is not negative begins, and how wide it is.
func extent(b int16) (low, width uint64) {
	shift := max(0, int(b)>>binBits-1)
	return uint64(int(b)-shift<<binBits) << shift, 1 << shift
}
