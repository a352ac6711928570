package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// haproxy reads HAProxy's logs of HTTP (option httplog, httpslog), TCP (option
// tcplog) and connection errors. Times have no zone: they are taken as UTC.
type haproxy struct{}

func newHAProxy(Config) (Parser, error) { return haproxy{}, nil }

// sniffHAProxy looks for a client's port and a time with milliseconds.
func sniffHAProxy(record []byte) int {
	open := bytes.Index(record[:min(len(record), 80)], []byte(" ["))
	if open < 3 || len(record) < open+30 || record[open+4] != '/' || record[open+22] != '.' || record[open+26] != ']' {
		return 0
	}
	if _, port, ok := address(record[:open]); (!ok || port == 0) && !bytes.HasPrefix(record, []byte("unix:")) {
		return 0
	}
	return 97
}

// Parse fills row from a line.
func (haproxy) Parse(record []byte, row *tokenwatch.Row) error {
	client, rest := word(record)
	if a, port, ok := address(client); ok {
		row.SetAddr(a)
		row.SetInt(tokenwatch.ColSrcPort, port)
	} else if len(client) == 0 {
		return malformed("no client")
	}
	end := bytes.IndexByte(rest, ']')
	if end < 0 || rest[0] != '[' {
		return malformed("no bracketed time behind the client")
	}
	ns, ok := normalize.ParseTime(rest[1:end])
	if !ok {
		return reject(tokenwatch.ReasonNoTime, "time in brackets cannot be read")
	}
	row.SetInt(tokenwatch.ColTime, ns)
	rest = bytes.TrimRight(rest[end+1:], " \r\n")
	frontend, rest := word(rest)
	if n := len(frontend); n > 0 && frontend[n-1] == ':' {
		row.AddAttr(row.Keep("frontend"), frontend[:n-1])
		row.AddAttr(row.Keep("message"), rest)
		row.SetString(tokenwatch.ColError, "connection_error")
		return nil
	}
	if n := len(frontend); n > 0 && frontend[n-1] == '~' { // over TLS
		frontend = frontend[:n-1]
		row.SetString(tokenwatch.ColScheme, "https")
	}
	server, rest := word(rest)
	timers, rest := word(rest)
	if len(timers) == 0 || bytes.IndexByte(timers, '/') < 0 {
		return malformed("no timers behind the server")
	}
	row.AddAttr(row.Keep("frontend"), frontend)
	row.AddAttr(row.Keep("backend"), server)
	row.AddAttr(row.Keep("timers"), timers)
	last := bytes.TrimPrefix(timers[bytes.LastIndexByte(timers, '/')+1:], []byte("+"))
	if ms, ok := digits(last); ok && ms < 1e12 {
		row.SetInt(tokenwatch.ColDuration, ms*1e6)
	}
	if bytes.Count(timers, []byte("/")) < 3 {
		return haproxyTCP(row, rest)
	}
	return haproxyHTTP(row, rest)
}

func haproxyTCP(row *tokenwatch.Row, rest []byte) error {
	size, rest := word(rest)
	n, ok := digits(bytes.TrimPrefix(size, []byte("+")))
	if !ok {
		return malformed("no bytes behind the timers")
	}
	row.SetInt(tokenwatch.ColBytesOut, n)
	state, rest := word(rest)
	haproxyState(row, state)
	haproxyRest(row, rest)
	return nil
}

func haproxyHTTP(row *tokenwatch.Row, rest []byte) error {
	status, rest := word(rest)
	size, rest := word(rest)
	code, ok := digits(bytes.TrimPrefix(status, []byte("-"))) // -1: no answer
	if !ok || code > 999 {
		return malformed("no status behind the timers")
	}
	if status[0] != '-' {
		row.SetInt(tokenwatch.ColStatus, code)
	}
	if n, ok := digits(bytes.TrimPrefix(size, []byte("+"))); ok {
		row.SetInt(tokenwatch.ColBytesOut, n)
	}
	for _, carrier := range [...]string{"cookie", "set-cookie"} {
		var cookie []byte
		if cookie, rest = word(rest); string(cookie) != "-" {
			if _, value, ok := bytes.Cut(cookie, []byte("=")); ok && carrier == "cookie" {
				row.AddCredential(carrier, value)
			} else if ok {
				row.AddIncidental(carrier, value)
			}
		}
	}
	state, rest := word(rest)
	haproxyState(row, state)
	open := bytes.IndexByte(rest, '"')
	if open < 0 {
		return malformed("no quoted request")
	}
	haproxyRest(row, rest[:open])
	request, rest, ok := quoted(row, rest[open:])
	if !ok { // cut off for its length
		request, rest = bytes.TrimLeft(rest, `"`), nil
	}
	if string(request) == "<BADREQ>" {
		row.SetString(tokenwatch.ColError, "malformed_request")
	} else {
		setRequest(row, request)
	}
	if len(rest) > 0 {
		row.AddAttr(row.Keep("tls"), rest)
	}
	return nil
}

func haproxyState(row *tokenwatch.Row, state []byte) {
	if len(state) > 0 && bytes.Trim(state, "-") != nil && len(bytes.Trim(state, "-")) > 0 {
		row.AddAttr(row.Keep("termination_state"), state)
	}
}

// haproxyRest takes counters and captured headers.
func haproxyRest(row *tokenwatch.Row, rest []byte) {
	if open := bytes.IndexByte(rest, '{'); open >= 0 {
		row.AddAttr(row.Keep("captured"), bytes.TrimSpace(rest[open:]))
		rest = rest[:open]
	}
	connections, rest := word(rest)
	queues, _ := word(rest)
	if len(connections) > 0 {
		row.AddAttr(row.Keep("connections"), connections)
	}
	if len(queues) > 0 {
		row.AddAttr(row.Keep("queues"), bytes.TrimSpace(queues))
	}
}
