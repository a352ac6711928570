package format

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"github.com/tokenwatch/tokenwatch"
)

// jsonParser reads JSON objects of any shape by the names of their fields:
// those of a mapping first, then ours, ECS's, OCSF's, OpenTelemetry's and the
// usual ones of access logs (names.go). What no name takes becomes an attr under
// its dotted path.
//
// Objects are also what most shippers wrap around a line: Docker's json-file,
// Filebeat and Logstash, Fluent Bit, Vector, journald, CloudWatch. A message, log
// or line in which another format's record stands is read by that format first;
// the object around it then fills what that left empty.
type jsonParser struct {
	walker
	kind  string // its name
	inner *inner
	text  []byte // of the message
	app   []byte // that wrote it
}

// minMessage is the least length of a text that may be a record.
const minMessage = 16

func newJSON(c Config) (Parser, error) {
	p := &jsonParser{kind: "json", walker: newWalker(jsonRules), inner: newInner(c)}
	p.mapping, p.enclosed = c.Mapping, c.enclosed
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
	if p.message == nil || isEvent(row) || !p.wraps(row) {
		p.settleList()
		return p.finish()
	}
	row.Forget()
	message := row.Build(func(b []byte) []byte { return append(b, p.text...) })
	switch err := p.inner.read(p.app, message, row); err {
	case nil:
		e := envelope{format: p.kind}
		e.name(row)
		p.inside = true
	case ErrNoRecord:
		return err
	default: // it only looked like one
	}
	err := p.read(record, row)
	p.inside = false
	if err != nil {
		return err
	}
	p.settleList()
	return p.finish()
}

// isEvent tells whether an object says itself what was done.
func isEvent(row *tokenwatch.Row) bool {
	return row.Has(tokenwatch.ColMethod) || row.Has(tokenwatch.ColPath) || row.Has(tokenwatch.ColAction) || row.Has(tokenwatch.ColStatus)
}

// wraps tells whether a format may read the message, and keeps it apart from the row.
func (p *jsonParser) wraps(row *tokenwatch.Row) bool {
	if p.inner == nil {
		return false
	}
	p.text = append(p.text[:0], bytes.TrimRight(p.message, " \t\r\n")...)
	p.app = append(p.app[:0], appOf(row)...)
	return p.inner.fits(p.app, p.text)
}

// appNames are the attrs that name what wrote a message.
var appNames = map[string]bool{
	"kubernetes.container_name": true, "kubernetes.container.name": true, "container_name": true, "container.name": true, "kubernetes.labels.app": true,
	"SYSLOG_IDENTIFIER": true, "syslog_identifier": true, "appname": true, "program": true, "ident": true, "logGroup": true, "log.file.path": true,
	"log.file": true, "file": true, "filename": true, "tag": true, "fluentbit_tag": true, "event.dataset": true, "process.name": true,
}

// appOf returns the name of what wrote the message, nil if the object has none.
func appOf(row *tokenwatch.Row) []byte {
	for _, a := range row.Attrs {
		if appNames[string(a.Key)] {
			return a.Value
		}
	}
	return row.Text(tokenwatch.ColService)
}

// objectRules returns the rules of objects some of whose members a product names
// in its own way.
func objectRules(own map[string]rule) map[string]rule {
	all := make(map[string]rule, len(jsonRules)+len(own))
	for path, r := range jsonRules {
		all[path] = r
	}
	for path, r := range own {
		r.incidental = r.incidental || incidentalCarriers[r.carrier]
		all[fold(path)] = r
	}
	return all
}

// newObjects returns the maker of parsers for objects of a product.
func newObjects(own map[string]rule) func(Config) (Parser, error) {
	rules := sync.OnceValue(func() map[string]rule { return objectRules(own) })
	return func(c Config) (Parser, error) {
		p := &jsonParser{walker: newWalker(rules())}
		p.mapping, p.enclosed = c.Mapping, c.enclosed
		return p, nil
	}
}

// sniffNames returns a Sniff for objects that have all of some members; of names
// with bars between them, one.
func sniffNames(names ...string) func([]byte) int {
	var all [][][]byte
	for _, name := range names {
		var any [][]byte
		for one := range strings.SplitSeq(name, "|") {
			any = append(any, []byte(`"`+one+`"`))
		}
		all = append(all, any)
	}
	return func(record []byte) int {
		if firstByte(record) != '{' {
			return 0
		}
		for _, any := range all {
			if !slices.ContainsFunc(any, func(name []byte) bool { return bytes.Contains(record, name) }) {
				return 0
			}
		}
		return 85 + 3*len(all)
	}
}
