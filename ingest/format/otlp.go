package format

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenwatch/tokenwatch"
)

// otlp reads OpenTelemetry log records as OTLP/JSON has them, single or in the
// deliveries that the Collector's file exporter writes. Attributes are lists of
// keys and values; what a key is called says what it is, as in JSON objects. A
// body that is a record itself is read by its format.
type otlp struct{ *jsonParser }

func newOTLP(c Config) (Parser, error) {
	p := &jsonParser{kind: "otlp", walker: newWalker(otlpRules), inner: newInner(c)}
	p.enclosed = c.enclosed
	return otlp{p}, nil
}

// otlpRules are the rules of JSON objects, also for the items of lists.
var otlpRules = func() map[string]rule {
	all := objectRules(map[string]rule{
		"timeUnixNano": toCol(tokenwatch.ColTime), "observedTimeUnixNano": {op: toWeak, col: tokenwatch.ColTime, quiet: false}, "severityText": {}, "severityNumber": {},
		"traceId": {}, "spanId": {}, "flags": {op: toNothing}, "droppedAttributesCount": {op: toNothing}, "body.stringValue": {op: toMessage},
	})
	for _, base := range []string{"attributes", "resource.attributes", "scope.attributes", "body.kvlistValue.values"} {
		shown := base
		if base == "body.kvlistValue.values" {
			shown = "body"
		}
		all[fold(base)+".key"] = rule{op: toKey, carrier: shown, base: fold(shown)}
		for _, kind := range []string{"stringvalue", "intvalue", "doublevalue", "boolvalue"} {
			all[fold(base)+".value."+kind] = rule{op: toValue, carrier: shown, base: fold(shown)}
		}
		if base == "scope.attributes" {
			continue
		}
		for name, r := range jsonRules {
			if base == "resource.attributes" && !strings.Contains(name, ".") {
				continue // of the resource, not of what was asked
			}
			if r.op != toMessage {
				all[fold(shown)+"["+name+"]"] = r
			}
		}
	}
	for _, name := range []string{"resource.attributes[service.name]", "resource.attributes[deployment.environment.name]", "resource.attributes[cloud.region]"} {
		if _, ok := all[name]; !ok {
			panic("format otlp: no rule for " + name) // a broken promise of ours
		}
	}
	all["resource.attributes[host.name]"] = rule{op: toWeak, col: tokenwatch.ColHost}
	return all
}()

// sniffOTLP looks for the members of a delivery, or of a record.
func sniffOTLP(record []byte) int {
	if firstByte(record) != '{' {
		return 0
	}
	if isExport(record) {
		return 97
	}
	if (bytes.Contains(record, []byte(`"timeUnixNano"`)) || bytes.Contains(record, []byte(`"observedTimeUnixNano"`))) &&
		(bytes.Contains(record, []byte(`"body"`)) || bytes.Contains(record, []byte(`"attributes"`))) {
		return 95
	}
	return 0
}

// Split returns the log records of a delivery, each with its resource.
func (otlp) Split(record []byte) [][]byte {
	parts, _ := exported(record)
	return parts
}

// exported returns the log records of a delivery. Ok is false if it cannot be read.
func exported(record []byte) (out [][]byte, ok bool) {
	if !isExport(record) {
		return nil, false
	}
	ok = each(record, "resourceLogs", func(resource []byte) bool {
		var common []byte
		return members(resource, func(name string, value jsontext.Value) bool {
			if name == "resource" && value.Kind() == '{' {
				common = appendMember(common, name, value)
			}
			return true
		}) && each(resource, "scopeLogs", func(scope []byte) bool {
			return each(scope, "logRecords", func(r []byte) bool {
				out = append(out, join(common, r))
				return true
			})
		})
	})
	if !ok {
		return nil, false
	}
	return out, true
}

func isExport(record []byte) bool {
	return bytes.Contains(record, []byte(`"resourceLogs"`)) || bytes.Contains(record, []byte(`"resource_logs"`))
}

// Parse fills row from a log record.
func (p otlp) Parse(record []byte, row *tokenwatch.Row) error {
	if isExport(record) {
		return unsplit(exported(record))
	}
	return p.jsonParser.Parse(record, row)
}
