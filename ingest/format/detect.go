package format

import "github.com/tokenwatch/tokenwatch"

// Bounds of what Detect looks at.
const (
	sampleRecords = 64
	sampleBytes   = 16 << 10 // of one record for Sniff to look at
)

// Detect chooses the format of a source from its first records: the one that
// parses most of them, and of equals the one they look most like. Garbage among
// good records does not change the choice; if no format parses any, the error
// is a *tokenwatch.Rejection with ReasonUnknown. It depends on nothing but the
// sample.
func Detect(sample [][]byte) (Format, error) {
	sample = sample[:min(len(sample), sampleRecords)]
	var best Format
	bestParsed, bestLooks := 0, 0
	var row tokenwatch.Row
	for _, f := range All {
		parser, err := f.New(Config{})
		if err != nil {
			continue
		}
		parsed, looks := 0, 0
		for _, record := range sample {
			look := f.Sniff(record[:min(len(record), sampleBytes)])
			if look == 0 {
				continue
			}
			row.Reset()
			if parser.Parse(record, &row) == nil {
				parsed++
				looks += look
			}
		}
		if parsed > bestParsed || parsed == bestParsed && looks > bestLooks {
			best, bestParsed, bestLooks = f, parsed, looks
		}
	}
	if bestParsed == 0 {
		return Format{}, reject(tokenwatch.ReasonUnknown, "no format reads any of the first records")
	}
	return best, nil
}
