package format

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenwatch/tokenwatch"
)

// cloudWatch reads what a subscription of CloudWatch Logs delivers, and single
// events of it. The message of each event is read by the format that fits it.
type cloudWatch struct{ *jsonParser }

func newCloudWatch(c Config) (Parser, error) {
	p := &jsonParser{kind: "cloudwatch", walker: newWalker(cloudWatchRules), inner: newInner(c)}
	p.enclosed = c.enclosed
	return cloudWatch{p}, nil
}

var cloudWatchRules = objectRules(map[string]rule{"timestamp": toCol(tokenwatch.ColTime), "id": toCol(tokenwatch.ColRequestID), "ingestionTime": {}, "eventId": toCol(tokenwatch.ColRequestID)})

// sniffCloudWatch looks for the members of a delivery, and of its events.
func sniffCloudWatch(record []byte) int {
	if firstByte(record) != '{' {
		return 0
	}
	if bytes.Contains(record, []byte(`"logEvents"`)) && bytes.Contains(record, []byte(`"logGroup"`)) || bytes.Contains(record, []byte(`"CONTROL_MESSAGE"`)) {
		return 97
	}
	if bytes.Contains(record, []byte(`"logStreamName"`)) && bytes.Contains(record, []byte(`"message"`)) {
		return 90
	}
	return 0
}

// Split returns the events of a delivery, each with the group and the stream.
func (cloudWatch) Split(record []byte) [][]byte {
	parts, _ := delivered(record)
	return parts
}

// delivered returns the events of a delivery. Ok is false if it cannot be read.
func delivered(record []byte) (out [][]byte, ok bool) {
	if !isDelivery(record) {
		return nil, false
	}
	var common, events []byte
	control := false
	ok = members(record, func(name string, value jsontext.Value) bool {
		switch name {
		case "messageType":
			control = string(value) == `"CONTROL_MESSAGE"`
		case "logEvents":
			events = bytes.Clone(value)
		case "logGroup", "logStream", "owner":
			common = appendMember(common, name, value)
		}
		return true
	})
	if ok && !control {
		ok = items(events, func(value jsontext.Value) bool {
			out = append(out, join(common, value))
			return true
		})
	}
	if !ok {
		return nil, false
	}
	return out, true
}

func isDelivery(record []byte) bool { return bytes.Contains(record, []byte(`"logEvents"`)) }

// Parse fills row from an event. That a delivery is only to see whether someone
// listens is no record.
func (p cloudWatch) Parse(record []byte, row *tokenwatch.Row) error {
	if isDelivery(record) {
		return unsplit(delivered(record))
	}
	return p.jsonParser.Parse(record, row)
}
