package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// newLogfmt returns a parser of lines that are nothing but pairs.
func newLogfmt(c Config) (Parser, error) { return newPairs(c, true), nil }

// sniffLogfmt looks for pairs from the beginning on, one of them a time.
func sniffLogfmt(record []byte) int {
	if len(record) == 0 || record[0] == '{' || record[0] == '[' || record[0] == '<' {
		return 0
	}
	line := record[:min(len(record), 1024)]
	pairs, timed := 0, false
	for len(line) > 0 && pairs < 32 {
		key, value, rest, ok := nextPair(line)
		if !ok {
			break
		}
		pairs++
		r := pairRules[fold(string(key[:min(len(key), 64)]))]
		if (r.op == toColumn || r.op == toWeak) && r.col == tokenwatch.ColTime && len(value) > 3 {
			timed = true
		}
		line = bytes.TrimLeft(rest, pairSeparators)
	}
	switch {
	case pairs >= 3 && timed:
		return 72
	case pairs >= 3 && len(line) == 0:
		return 30 // in an envelope that has the time
	}
	return 0
}
