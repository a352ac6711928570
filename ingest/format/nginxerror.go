package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// nginxError reads nginx's error log. What it says of a request (client, server,
// request, host, referrer) becomes columns, the rest the attr message. Times have
// no zone: they are taken as UTC.
type nginxError struct{}

func newNginxError(Config) (Parser, error) { return nginxError{}, nil }

// sniffNginxError looks for a date with slashes and a level in brackets.
func sniffNginxError(record []byte) int {
	if len(record) < 30 || record[4] != '/' || record[7] != '/' || record[10] != ' ' || record[19] != ' ' || record[20] != '[' {
		return 0
	}
	if i := bytes.IndexByte(record[:min(len(record), 32)], ']'); i < 23 {
		return 0
	}
	return 97
}

// Parse fills row from a line.
func (nginxError) Parse(record []byte, row *tokenwatch.Row) error {
	if sniffNginxError(record) == 0 {
		return malformed("no time and level at the beginning")
	}
	ns, ok := normalize.ParseTime(record[:19])
	if !ok {
		return reject(tokenwatch.ReasonNoTime, "time at the beginning cannot be read")
	}
	row.SetInt(tokenwatch.ColTime, ns)
	end := bytes.IndexByte(record, ']')
	row.AddAttr(row.Keep("level"), record[21:end])
	rest := bytes.TrimRight(bytes.TrimLeft(record[end+1:], " "), " \r\n")
	process, after := word(rest)
	if bytes.IndexByte(process, '#') > 0 {
		rest = after
	}
	if len(rest) > 0 && rest[0] == '*' {
		_, rest = word(rest)
	}
	message := rest
	if i := bytes.Index(rest, []byte(", client: ")); i >= 0 {
		message = rest[:i]
		errorContext(row, rest[i+2:])
	}
	row.AddAttr(row.Keep("message"), message)
	if !row.Has(tokenwatch.ColError) {
		setFailure(row, nginxErrorKind(message), record[21:end])
	}
	return nil
}

// nginxErrorKind tells refusals from failures.
func nginxErrorKind(message []byte) string {
	for _, k := range []struct{ text, kind string }{
		{"limiting ", "throttled"}, {"access forbidden", "authz"}, {"directory index of", "authz"}, {"was not found in", "authn"}, {"password mismatch", "authn"},
		{"no user/password", "authn"}, {"login failed", "authn"}, {"(2: No such file", "not_found"}, {"client ", "client"},
	} {
		if bytes.Contains(message, []byte(k.text)) {
			return k.kind
		}
	}
	return "server"
}

// errorContext reads: client: 1.2.3.4, server: x, request: "GET / HTTP/1.1", host: "x".
func errorContext(row *tokenwatch.Row, b []byte) {
	for n := 0; len(b) > 0 && n < maxFields; n++ {
		key, rest, ok := bytes.Cut(b, []byte(": "))
		if !ok {
			return
		}
		var value []byte
		if len(rest) > 0 && rest[0] == '"' {
			if value, b, ok = quoted(row, rest); !ok {
				value, b = rest[1:], nil
			}
			b = bytes.TrimPrefix(b, []byte(", "))
		} else {
			value, b, _ = bytes.Cut(rest, []byte(", "))
		}
		if len(value) == 0 || string(value) == "_" || string(value) == "-" {
			continue
		}
		switch string(key) {
		case "client":
			if a, port, ok := address(value); ok {
				row.SetAddr(a)
				if port > 0 {
					row.SetInt(tokenwatch.ColSrcPort, port)
				}
			}
		case "request":
			setRequest(row, value)
		case "host":
			row.SetText(tokenwatch.ColHost, value)
		case "server":
			row.SetText(tokenwatch.ColService, value)
		case "login":
			setUser(row, value)
		case "referrer":
			row.AddAttr(row.Keep("referer"), value)
			addURLCredentials(row, value, referer)
		default:
			row.AddAttr(key, value)
			addURLCredentials(row, value, referer) // upstream has the request's query
		}
	}
}
