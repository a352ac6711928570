package format

import "github.com/tokenwatch/tokenwatch"

// jsonParser reads JSON objects of any shape by the names of their fields:
// those of a mapping first, then ours, ECS's, OCSF's, OpenTelemetry's and the
// usual ones of access logs (names.go). What no name takes becomes an attr under
// its dotted path.
type jsonParser struct{ walker }

func newJSON(c Config) (Parser, error) {
	p := &jsonParser{newWalker(jsonRules)}
	p.mapping = c.Mapping
	return p, nil
}

// sniffJSON only looks whether the record is an object.
func sniffJSON(record []byte) int {
	if firstByte(record) == '{' {
		return 60
	}
	return 0
}

// Parse fills row from an object.
func (p *jsonParser) Parse(record []byte, row *tokenwatch.Row) error {
	if err := p.read(record, row); err != nil {
		return err
	}
	return p.finish()
}
