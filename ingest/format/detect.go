package format

import "github.com/tokenwatch/tokenwatch"

// Bounds of what Detect looks at.
const (
	sampleRecords = 64
	sampleBytes   = 16 << 10 // of one record for Sniff to look at
)

// Detect chooses the format of a source from its first records: of those that
// parse nearly as many of them as the one that parses most, the one they look most
// like. So neither garbage among good records changes the choice, nor a few of
// another format that parses the rest as well. If no format parses any, the error
// is a *tokenwatch.Rejection with ReasonUnknown. It depends on nothing but the
// sample.
func Detect(sample [][]byte) (Format, error) { return DetectWith(Config{}, sample) }

// DetectWith is Detect for parsers that are told something: formats of one's own
// are looked for first.
func DetectWith(c Config, sample [][]byte) (Format, error) {
	sample = sample[:min(len(sample), sampleRecords)]
	count := len(c.Custom) + len(formats)
	var row tokenwatch.Row
	parsed, looks, most := make([]int, count), make([]int, count), 0
	for i := range count {
		f := formatAt(c.Custom, i)
		var parser Parser
		for _, record := range sample {
			look := f.Sniff(record[:min(len(record), sampleBytes)])
			if look == 0 {
				continue
			}
			if parser == nil {
				var err error
				if parser, err = f.New(c); err != nil {
					break
				}
			}
			if first := firstPart(parser, record); first != nil {
				record = first
			}
			row.Reset()
			// A header tells of the format as a record does.
			if err := parser.Parse(record, &row); err == nil || err == ErrNoRecord {
				parsed[i]++
				looks[i] += look
			}
		}
		most = max(most, parsed[i])
	}
	chosen := -1
	for i := range count {
		if parsed[i] == 0 || 4*parsed[i] < 3*most {
			continue
		}
		// By the mean of the looks: a/n > b/m.
		if chosen < 0 || looks[i]*parsed[chosen] > looks[chosen]*parsed[i] {
			chosen = i
		}
	}
	if chosen < 0 {
		return Format{}, reject(tokenwatch.ReasonUnknown, "no format reads any of the first records")
	}
	return formatAt(c.Custom, chosen), nil
}

// firstPart returns the first of the records that a record holds, nil if it is one.
func firstPart(p Parser, record []byte) []byte {
	if s, ok := p.(Splitter); ok {
		if parts := s.Split(record); len(parts) > 0 {
			return parts[0]
		}
	}
	return nil
}

// formatAt returns format i of custom and All.
func formatAt(custom []Format, i int) Format {
	if i < len(custom) {
		return custom[i]
	}
	return formats[i-len(custom)]
}
