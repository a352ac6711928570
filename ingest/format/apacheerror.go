package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// apacheError reads Apache's error log, of 2.2 and of 2.4:
//
//	[time] [module:level] [pid 1:tid 2] [client 192.0.2.1:4711] message
//
// Times have no zone: they are taken as UTC.
type apacheError struct{}

func newApacheError(Config) (Parser, error) { return apacheError{}, nil }

// sniffApacheError looks for a bracketed date of asctime.
func sniffApacheError(record []byte) int {
	if len(record) < 40 || record[0] != '[' || record[4] != ' ' || record[8] != ' ' || !isMonth(record[5:]) {
		return 0
	}
	if i := bytes.IndexByte(record[:40], ']'); i < 25 || !bytes.HasPrefix(record[i:], []byte("] [")) {
		return 0
	}
	return 97
}

// Parse fills row from a line.
func (apacheError) Parse(record []byte, row *tokenwatch.Row) error {
	end := bytes.IndexByte(record[:min(len(record), 64)], ']')
	if end < 0 || record[0] != '[' {
		return malformed("no bracketed time at the beginning")
	}
	ns, ok := normalize.ParseTime(record[1:end])
	if !ok {
		return reject(tokenwatch.ReasonNoTime, "time in brackets cannot be read")
	}
	row.SetInt(tokenwatch.ColTime, ns)
	rest := bytes.TrimRight(record[end+1:], " \r\n")
	level := []byte(nil)
	for n := 0; n < 8; n++ {
		rest = bytes.TrimLeft(rest, " ")
		end := bytes.IndexByte(rest, ']')
		if end < 0 || rest[0] != '[' {
			break
		}
		in := rest[1:end]
		switch {
		case bytes.HasPrefix(in, []byte("client ")):
			if a, port, ok := address(in[len("client "):]); ok {
				row.SetAddr(a)
				if port > 0 {
					row.SetInt(tokenwatch.ColSrcPort, port)
				}
			}
		case bytes.HasPrefix(in, []byte("pid ")):
		case n == 0:
			row.AddAttr(row.Keep("level"), in)
			level = in[bytes.IndexByte(in, ':')+1:]
		default:
			if key, value, ok := bytes.Cut(in, []byte(" ")); ok && apacheTags[string(key)] {
				value = bytes.Trim(value, `"`)
				switch string(key) {
				case "hostname":
					row.SetText(tokenwatch.ColHost, value)
				case "uri":
					setURL(row, value)
				case "unique_id":
					row.SetText(tokenwatch.ColRequestID, value)
				default:
					row.AddAttr(key, value)
				}
			}
		}
		rest = rest[end+1:]
	}
	message := bytes.TrimLeft(rest, " ")
	if i := bytes.LastIndex(message, []byte(", referer: ")); i >= 0 {
		value := message[i+len(", referer: "):]
		row.AddAttr(row.Keep("referer"), value)
		addURLCredentials(row, value, referer)
		message = message[:i]
	}
	tags(row, message)
	row.AddAttr(row.Keep("message"), message)
	if !row.Has(tokenwatch.ColError) {
		setFailure(row, apacheErrorKind(message), level)
	}
	return nil
}

// apacheTags are what ModSecurity appends to a message.
var apacheTags = map[string]bool{"hostname": true, "uri": true, "unique_id": true, "id": true, "severity": true, "msg": true}

// tags takes [hostname "x"] [uri "/y"] … out of a message.
func tags(row *tokenwatch.Row, message []byte) {
	for n := 0; n < 64; n++ {
		i := bytes.Index(message, []byte(" ["))
		if i < 0 {
			return
		}
		message = message[i+2:]
		key, rest, ok := bytes.Cut(message, []byte(` "`))
		if !ok || !apacheTags[string(key)] {
			continue
		}
		end := bytes.Index(rest, []byte(`"]`))
		if end < 0 {
			return
		}
		value := rest[:end]
		message = rest[end:]
		switch string(key) {
		case "hostname":
			setOnce(row, tokenwatch.ColHost, value)
		case "uri":
			if !row.Has(tokenwatch.ColPath) {
				setURL(row, value)
			}
		case "unique_id":
			setOnce(row, tokenwatch.ColRequestID, value)
		default:
			row.AddAttr(key, value)
		}
	}
}

// apacheErrorKind tells refusals from failures.
func apacheErrorKind(message []byte) string {
	for _, k := range []struct{ text, kind string }{
		{"client denied", "authz"}, {"user ", "authn"}, {"AH01617", "authn"}, {"AH01618", "authn"}, {"password mismatch", "authn"}, {"Access denied", "authz"},
		{"does not exist", "not_found"}, {"not found", "not_found"}, {"Invalid URI", "client"}, {"ModSecurity", "authz"},
	} {
		if bytes.Contains(message, []byte(k.text)) {
			return k.kind
		}
	}
	return "server"
}

// setFailure gives a line of an error log its kind of error. One that the message
// does not tell is the server's, if the level says that something went wrong.
func setFailure(row *tokenwatch.Row, kind string, level []byte) {
	if kind == "server" {
		switch string(level) {
		case "debug", "info", "notice", "warn":
			return
		}
		if bytes.HasPrefix(level, []byte("trace")) {
			return
		}
	}
	row.SetString(tokenwatch.ColError, kind)
}
