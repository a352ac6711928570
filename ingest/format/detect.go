package format

import "github.com/tokenwatch/tokenwatch"

// Bounds of what Detect looks at.
const (
	sampleRecords = 64
	sampleBytes   = 16 << 10 // of one record for Sniff to look at
)

// Detect chooses the format of a source from its first records: the one that
// parses most of them, and of those that parse about as many the one they look
// most like: a format of its own wins over one that reads anything, though it
// refuses what is none of its records. Garbage among good records does not
// change the choice; if no format parses any, the error
// is a *tokenwatch.Rejection with ReasonUnknown. It depends on nothing but the
// sample.
func Detect(sample [][]byte) (Format, error) { return DetectWith(Config{}, sample) }

// DetectWith is Detect for parsers that are told something: formats of one's own
// are looked for first.
func DetectWith(c Config, sample [][]byte) (Format, error) {
	sample = sample[:min(len(sample), sampleRecords)]
	type candidate struct {
		format        Format
		parsed, looks int
	}
	var all []candidate
	most := 0
	var row tokenwatch.Row
	for i := range len(c.Custom) + len(All) {
		f := formatAt(c.Custom, i)
		if !looksLike(f, sample) {
			continue
		}
		parser, err := f.New(c)
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
			switch err := parser.Parse(record, &row); err {
			case nil:
				parsed++
				looks += look
			case ErrNoRecord: // a header tells of the format as a record does
				parsed++
				looks += look
			}
		}
		all = append(all, candidate{f, parsed, looks})
		most = max(most, parsed)
	}
	var best candidate
	for _, c := range all {
		if 4*c.parsed >= 3*most && c.looks > best.looks {
			best = c
		}
	}
	if best.parsed == 0 {
		return Format{}, reject(tokenwatch.ReasonUnknown, "no format reads any of the first records")
	}
	return best.format, nil
}

// formatAt returns format i of custom and All.
func formatAt(custom []Format, i int) Format {
	if i < len(custom) {
		return custom[i]
	}
	return formats[i-len(custom)]
}

// looksLike tells whether any record may be of format f.
func looksLike(f Format, sample [][]byte) bool {
	for _, record := range sample {
		if f.Sniff(record[:min(len(record), sampleBytes)]) > 0 {
			return true
		}
	}
	return false
}
