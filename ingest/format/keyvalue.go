package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// keyValue reads lines of pairs: key=value, key="a b", key='a b'. Spaces, commas,
// semicolons, bars and tabs separate them. logfmt has nothing but pairs; a line
// may also begin with its time and go on with text, which becomes the attr
// message. What a key is called says what it is, as in JSON objects.
type keyValue struct {
	walker
	config Config
	pure   bool     // nothing but pairs
	loose  [][]byte // words between pairs
}

func newKeyValue(c Config) (Parser, error) { return newPairs(c, false), nil }

func newPairs(c Config, pure bool) *keyValue {
	p := &keyValue{walker: newWalker(pairRules), config: c, pure: pure}
	p.enclosed = c.enclosed
	return p
}

// pairRules are the rules of JSON objects, and names that only lines of pairs have.
var pairRules = objectRules(map[string]rule{
	"t": toCol(tokenwatch.ColTime), "at": {op: toWeak, col: tokenwatch.ColTime, quiet: false}, "msg": {}, "message": {}, "log": {}, "line": {}, "raw": {}, "body": {}, "caller": {},
	"uname": {op: toUser}, "user": {op: toUser}, "rhost": {op: toWeak, col: tokenwatch.ColSrcIP}, "fwd": {op: toWeak, col: tokenwatch.ColSrcIP}, "bytes": toCol(tokenwatch.ColBytesOut),
	"service": {op: toWeak, col: tokenwatch.ColService, rank: 1}, "took": toDur(1e9), "elapsed": toDur(1e9),
})

// sniffKeyValue looks for pairs anywhere.
func sniffKeyValue(record []byte) int {
	if len(record) < 12 || record[0] == '{' || record[0] == '<' {
		return 0
	}
	line := record[:min(len(record), 1024)]
	pairs := 0
	for i := 1; i < len(line)-1; i++ {
		if line[i] == '=' && isKeyByte(line[i-1]) && line[i+1] != '=' {
			pairs++
		}
	}
	if pairs < 3 {
		return 0
	}
	return 20
}

// pairSeparators stand between pairs.
const pairSeparators = " ,;|\t"

func isKeyByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c == '@' || c == '/'
}

// nextPair reads a pair at the beginning of b. The value is as written but for its quotes.
func nextPair(b []byte) (key, value, rest []byte, ok bool) {
	i := 0
	for i < len(b) && isKeyByte(b[i]) {
		i++
	}
	if i == 0 || i >= len(b) || b[i] != '=' {
		return nil, nil, b, false
	}
	key, b = b[:i], b[i+1:]
	if len(b) > 0 && (b[0] == '"' || b[0] == '\'') {
		for j := 1; j < len(b); j++ {
			if b[j] == '\\' {
				j++
			} else if b[j] == b[0] {
				return key, b[1:j], b[j+1:], true
			}
		}
	}
	for i = 0; i < len(b); i++ {
		switch b[i] {
		case ' ', '\t', '|':
			return key, b[:i], b[i:], true
		case ',', ';':
			if i+1 == len(b) || b[i+1] == ' ' || pairAhead(b[i+1:]) {
				return key, b[:i], b[i:], true
			}
		}
	}
	return key, b, nil, true
}

// pairAhead tells whether b begins with a key and an equals sign.
func pairAhead(b []byte) bool {
	i := 0
	for i < len(b) && isKeyByte(b[i]) {
		i++
	}
	return i > 0 && i < len(b) && b[i] == '='
}

// Parse fills row from a line.
func (p *keyValue) Parse(record []byte, row *tokenwatch.Row) error {
	p.begin(record, row)
	line := bytes.TrimRight(record, " \r\n")
	if !p.pure {
		if ns, n := leadingTime(line, p.config); n > 0 {
			row.SetInt(tokenwatch.ColTime, ns)
			line = bytes.TrimLeft(line[n:], " ]:,")
		}
	}
	p.loose = p.loose[:0]
	first, pairs, taken := line, 0, 0
	text := 0 // bytes of text before the first pair
	for len(line) > 0 {
		key, value, rest, ok := nextPair(line)
		if !ok {
			if p.pure && pairs == 0 {
				return malformed("no pair of key and value at the beginning")
			}
			skip := bytes.IndexAny(line, pairSeparators+"([{")
			if skip < 0 {
				if pairs > 0 {
					p.loose = append(p.loose, line)
				}
				line = line[:0]
				if pairs == 0 {
					text = len(first)
				}
				continue
			}
			if pairs > 0 && skip > 0 {
				p.loose = append(p.loose, line[:skip])
			}
			if line = line[skip+1:]; pairs == 0 {
				text = len(first) - len(line)
			}
			continue
		}
		if pairs++; pairs > maxFields {
			return reject(tokenwatch.ReasonTooManyField, "more than 256 pairs")
		}
		line = bytes.TrimLeft(rest, pairSeparators)
		if len(value) == 0 || string(value) == "-" {
			continue
		}
		before := len(row.Attrs)
		p.pairOf(key, value)
		if len(row.Attrs) == before {
			taken++
		}
	}
	if pairs < 3 || taken == 0 {
		return malformed("fewer than three pairs of key and value, or none that is known")
	}
	if message := bytes.TrimRight(first[:text], " ,;|\t([{-:"); len(message) > 0 {
		row.AddAttr(row.Keep("message"), message)
	}
	if len(p.loose) > 0 {
		row.AddAttr(row.Keep("text"), row.Build(func(b []byte) []byte { return append(b, bytes.Join(p.loose, []byte{' '})...) }))
	}
	return p.finish()
}

// pairOf takes a pair, its value unquoted.
func (w *walker) pairOf(key, value []byte) {
	if bytes.IndexByte(value, '\\') >= 0 {
		raw := value
		value = w.row.Build(func(b []byte) []byte { return appendUnquoted(b, raw) })
	}
	w.leaf(w.member(&w.root, key, true, 0), value, false)
}

// leadingTime reads a time at the beginning of a line, of up to five words or in
// brackets, and returns how many bytes it takes.
func leadingTime(line []byte, c Config) (int64, int) {
	if len(line) > 0 && line[0] == '[' {
		if end := bytes.IndexByte(line[:min(len(line), 64)], ']'); end > 0 {
			if ns, ok := normalize.ParseTime(line[1:end]); ok {
				return ns, end + 1
			}
		}
		return 0, 0
	}
	if ns, n := normalize.ParseYearless(line, c.now()); n > 0 {
		return ns, n
	}
	// The longest that is one: a clock and a zone may follow.
	head, most := line[:min(len(line), 64)], 3
	if len(head) < 8 || head[0] < '0' || head[0] > '9' {
		if most = 6; len(head) < 8 || head[3] != ' ' && head[3] != ',' {
			return 0, 0
		}
	}
	ns, n := int64(0), 0
	for words, end := 1, 0; words <= most; words++ {
		i := bytes.IndexByte(head[end:], ' ')
		if i < 0 {
			break
		}
		end += i
		if end >= 8 && (most == 3 || words > 3) {
			if at, ok := normalize.ParseTime(bytes.TrimRight(head[:end], ",:;|")); ok {
				ns, n = at, end
			}
		}
		end++
	}
	return ns, n
}
