package format

import (
	"bytes"
	"math"
	"strconv"
	"unsafe"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// combined reads the access logs of nginx and Apache:
//
//	client ident user [time] "request" status bytes "referer" "user agent" trailing…
//
// The part behind bytes may be missing (common log format). A trailing field is
// key=value, bare or quoted; a bare "-" is nothing. What nginx and Apache
// escape (\" \\ \x22 \t) is decoded; all other bytes stay as they are. A
// request that is no HTTP (TLS on a plain port, garbage) leaves method and path
// empty and sets error to malformed_request; none of its bytes are kept. A user
// that has the form of a credential or of a key's prefix is taken for one.
type combined struct{}

func newCombined(Config) (Parser, error) { return combined{}, nil }

// sniffCombined looks for the bracketed time and the quote behind it.
func sniffCombined(record []byte) int {
	open := bytes.IndexByte(record, '[')
	if open < 5 || open > 300 || len(record) < open+22 {
		return 0
	}
	switch {
	case record[open+3] == '/' && record[open+7] == '/':
	case record[open+5] == '-' && record[open+8] == '-' && record[open+11]|0x20 == 't' && bytes.IndexByte(record[open:], '"') > 0: // $time_iso8601
	default:
		return 0
	}
	if c := firstByte(record); c == '{' || c == '[' || c == '<' || isMonth(record) || record[4] == '-' && record[7] == '-' && record[0] <= '9' {
		return 0 // an envelope
	}
	return 95
}

// Parse fills row from a line.
func (combined) Parse(record []byte, row *tokenwatch.Row) error {
	line := record
	for n := len(line); n > 0 && (line[n-1] == ' ' || line[n-1] == '\n' || line[n-1] == '\r' || line[n-1] == '\t'); n = len(line) {
		line = line[:n-1]
	}
	open := spaceBracket(line)
	if open < 0 {
		return malformed("no bracketed time")
	}
	if n := len(line); line[0] == '"' && line[n-1] == '"' && bytes.IndexByte(line[1:open], '"') < 0 {
		line, open = line[1:n-1], open-1 // a line quoted as a whole
	}
	end := bytes.IndexByte(line[open:], ']')
	if end < 0 {
		return malformed("bracketed time does not end")
	}
	ns, ok := normalize.ParseTime(line[open+2 : open+end])
	if !ok {
		return reject(tokenwatch.ReasonNoTime, "time in brackets cannot be read")
	}
	row.SetInt(tokenwatch.ColTime, ns)
	if err := combinedClient(row, line[:open]); err != nil {
		return err
	}

	rest := bytes.TrimLeft(line[open+end+1:], " ")
	request, rest, ok := quoted(row, rest)
	if !ok {
		return malformed("no quoted request behind the time")
	}
	status, rest := word(rest)
	size, rest := word(rest)
	if code, ok := digits(status); ok && code < 1000 {
		row.SetInt(tokenwatch.ColStatus, code)
	} else if string(status) != "-" {
		return malformed("no status behind the request")
	}
	if n, ok := digits(size); ok {
		row.SetInt(tokenwatch.ColBytesOut, n)
	} else if len(size) > 0 && string(size) != "-" {
		return malformed("no size behind the status")
	}
	setRequest(row, request)
	return combinedTail(row, rest)
}

// spaceBracket returns the place of the first " [", -1 if there is none. Brackets
// are rarer than spaces.
func spaceBracket(b []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '[')
		if i < 0 {
			return -1
		}
		if from += i + 1; from > 1 && b[from-2] == ' ' {
			return from - 2
		}
	}
}

// combinedClient reads client, ident and user. The user may hold spaces. A host
// that stands before an address is the virtual host; of several addresses, which
// is what proxies forwarded for, the first that is not private is the client.
func combinedClient(row *tokenwatch.Row, head []byte) error {
	client, rest := word(head)
	if len(client) > 0 && (client[0] == '"' || client[len(client)-1] == ',') {
		client, rest = forwarded(row, head)
	}
	ident, user := word(rest)
	if len(ident) > 2 && len(user) > 0 {
		if _, _, ok := address(bytes.TrimRight(ident, ",")); ok {
			if _, _, ok := address(client); !ok {
				host, _, _ := bytes.Cut(client, []byte(":"))
				row.SetText(tokenwatch.ColHost, host)
			}
			client, rest = forwarded(row, rest)
			ident, user = word(rest)
		}
	}
	if len(client) == 0 || len(ident) == 0 {
		return malformed("client, ident and user are not all there")
	}
	if a, port, ok := address(client); ok {
		row.SetAddr(a)
		if port > 0 {
			row.SetInt(tokenwatch.ColSrcPort, port)
		}
	} else if string(client) != "-" {
		row.AddAttr(row.Keep("client"), client)
	}
	if string(ident) != "-" {
		row.AddAttr(row.Keep("ident"), ident)
	}
	setUser(row, bytes.TrimSpace(user))
	return nil
}

// forwarded reads a list of addresses, which may be quoted, and addresses behind
// it. It returns the first that is not private, or else the first; a list becomes an attr.
func forwarded(row *tokenwatch.Row, b []byte) (first, rest []byte) {
	b = bytes.TrimLeft(b, " ")
	list := b
	if b[0] == '"' {
		if i := bytes.IndexByte(b[1:], '"'); i >= 0 {
			list, rest = b[1:i+1], bytes.TrimLeft(b[i+2:], " ")
			first, _, _ = bytes.Cut(list, []byte(","))
		} else {
			return word(b)
		}
	} else {
		var last []byte
		first, rest = word(b)
		for last = first; len(last) > 0 && last[len(last)-1] == ','; {
			last, rest = word(rest)
		}
		list = bytes.TrimRight(b[:len(b)-len(rest)], " ")
		first = bytes.TrimRight(first, ",")
	}
	for {
		next, more := word(rest)
		if _, _, ok := address(next); !ok || len(more) == 0 || len(next) < 3 {
			break
		}
		rest = more
	}
	if len(list) <= len(first) {
		return first, rest
	}
	row.AddAttr(row.Keep("x_forwarded_for"), list)
	for item := range bytes.SplitSeq(list, []byte(",")) {
		item = bytes.Trim(item, " ")
		if a, _, ok := address(item); ok && !a.IsPrivate() && !a.IsLoopback() && !a.IsUnspecified() && !a.IsLinkLocalUnicast() {
			return item, rest
		}
	}
	return first, rest
}

// setUser takes the user of an access log, in whose place tokens and their
// prefixes stand as well.
func setUser(row *tokenwatch.Row, user []byte) {
	if len(user) == 0 || string(user) == "-" || string(user) == `""` {
		return
	}
	switch shapeOf(user) {
	case isSecret:
		row.AddCredential("remote_user", user)
	case isPrefix:
		row.AddName(tokenwatch.NamePrefix, "", user)
	case isAWSKey:
		addAccessKey(row, user)
	default:
		row.SetText(tokenwatch.ColActor, user)
	}
}

// combinedTail reads referer, user agent and trailing fields.
func combinedTail(row *tokenwatch.Row, rest []byte) error {
	for place := 0; len(rest) > 0; place++ {
		if place > maxFields {
			return reject(tokenwatch.ReasonTooManyField, "trailing fields")
		}
		if rest[0] != '"' {
			var field []byte
			field, rest = bareField(rest)
			trailing(row, place, field)
			continue
		}
		value, more, ok := quoted(row, rest)
		if !ok {
			return malformed("a quoted field does not end")
		}
		rest = more
		if len(value) == 0 || string(value) == "-" {
			continue
		}
		switch place {
		case 0:
			row.AddAttr(row.Keep("referer"), value)
			addURLCredentials(row, value, referer)
		case 1:
			row.SetText(tokenwatch.ColUserAgent, value)
		default:
			trailing(row, place, value)
		}
	}
	return nil
}

// bareField cuts a field that does not begin with a quote; key="a b" is one.
func bareField(b []byte) (field, rest []byte) {
	for i, c := range b {
		if c == ' ' {
			return b[:i], bytes.TrimLeft(b[i:], " ")
		}
		if c == '"' && i > 0 && b[i-1] == '=' {
			if k := bytes.IndexByte(b[i+1:], '"'); k >= 0 {
				k += i + 2
				return b[:k], bytes.TrimLeft(b[k:], " ")
			}
		}
	}
	return b, nil
}

// trailing takes one field behind the user agent.
func trailing(row *tokenwatch.Row, place int, field []byte) {
	if len(field) == 0 || string(field) == "-" {
		return
	}
	key, value, ok := bytes.Cut(field, []byte("="))
	if !ok || len(key) == 0 || len(key) > 64 || bytes.ContainsAny(key, " /?&:") {
		if a, _, ok := address(field); ok && a.IsValid() {
			row.AddAttr(row.Keep("x_forwarded_for"), field)
			return
		}
		row.AddAttr(row.Build(func(b []byte) []byte {
			return strconv.AppendInt(append(b, "field_"...), int64(place+8), 10) // counted from the line's first
		}), field)
		return
	}
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	if len(value) == 0 || string(value) == "-" {
		return
	}
	switch string(key) {
	case "rid", "request_id", "req_id", "requestid":
		if !row.Has(tokenwatch.ColRequestID) {
			row.SetText(tokenwatch.ColRequestID, value)
			return
		}
	case "rt", "request_time", "duration":
		if d, ok := seconds(value); ok && !row.Has(tokenwatch.ColDuration) {
			row.SetInt(tokenwatch.ColDuration, d)
			return
		}
	case "host", "vhost":
		if !row.Has(tokenwatch.ColHost) {
			row.SetText(tokenwatch.ColHost, value)
			return
		}
	}
	var name [64]byte
	if r, ok := leafRules[string(appendFolded(name[:0], key))]; ok && r.take(row, value, false) {
		return
	}
	// A parameter's name says less here than in a URL, so that what it may carry is
	// masked and does not tell who calls.
	if len(value) >= 8 && value[0] != '/' && !masked(value) {
		low := name[:0]
		for _, c := range key {
			low = append(low, c|shapeLower(c))
		}
		if carrier, ok := query.carriers[string(parameter(low))]; ok {
			row.AddIncidental(carrier, value)
			return
		}
	}
	row.AddAttr(key, value)
}

// shapeLower returns the bit that makes a capital a small letter.
func shapeLower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return 0x20
	}
	return 0
}

// setRequest reads METHOD target PROTOCOL. The version is an attr where it is not
// the usual one, 1.1.
func setRequest(row *tokenwatch.Row, request []byte) {
	method, rest, ok := bytes.Cut(request, []byte(" "))
	if !ok || len(method) > 24 || !isMethod(method) || len(rest) == 0 {
		if len(request) > 0 && string(request) != "-" {
			row.SetString(tokenwatch.ColError, "malformed_request")
		}
		return
	}
	target := rest
	if n := len(rest) - len(" HTTP/1.1"); n >= 0 && string(rest[n:n+6]) == " HTTP/" {
		target = rest[:n] // the common case
		if version := rest[n+6:]; string(version) != "1.1" {
			row.AddAttr(row.Keep("http.version"), version)
		}
	} else if i := bytes.LastIndex(rest, []byte(" HTTP/")); i >= 0 {
		target = rest[:i]
		row.AddAttr(row.Keep("http.version"), rest[i+len(" HTTP/"):])
	}
	row.SetText(tokenwatch.ColMethod, method)
	setTarget(row, target)
}

// setTarget takes the target of a request, whose method is known. That of CONNECT
// is a host.
func setTarget(row *tokenwatch.Row, target []byte) {
	if method := row.Text(tokenwatch.ColMethod); string(method) == "CONNECT" {
		if at := bytes.LastIndexByte(target, '@'); at >= 0 {
			if _, secret, ok := bytes.Cut(target[:at], []byte(":")); ok && len(secret) > 0 {
				query.add(row, query.userinfo, "", secret)
			}
			target = target[at+1:]
		}
		setOnce(row, tokenwatch.ColHost, target)
		return
	}
	setURL(row, target)
}

func isMethod(m []byte) bool {
	for _, c := range m {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_' && c != '-' {
			return false
		}
	}
	return len(m) >= 3
}

// quoted reads a quoted field at the beginning of b and returns it decoded.
func quoted(row *tokenwatch.Row, b []byte) (value, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, b, false
	}
	if k := bytes.IndexByte(b[1:], '"'); k >= 0 && bytes.IndexByte(b[1:k+1], '\\') < 0 {
		return b[1 : k+1], bytes.TrimLeft(b[k+2:], " "), true // the common case
	}
	escaped := false
	for i := 1; i < len(b); i++ {
		k := bytes.IndexAny(b[i:], `"\`)
		if k < 0 {
			return nil, b, false
		}
		if i += k; b[i] == '\\' {
			escaped = true
			i++
			continue
		}
		value, rest = b[1:i], bytes.TrimLeft(b[i+1:], " ")
		if escaped {
			raw := value
			value = row.Build(func(dst []byte) []byte { return appendUnquoted(dst, raw) })
		}
		return value, rest, true
	}
	return nil, b, false
}

// appendUnquoted decodes the escapes of nginx and Apache.
func appendUnquoted(dst, v []byte) []byte {
	for i := 0; i < len(v); i++ {
		if v[i] != '\\' || i+1 == len(v) {
			dst = append(dst, v[i])
			continue
		}
		i++
		switch c := v[i]; c {
		case 'n':
			dst = append(dst, '\n')
		case 't':
			dst = append(dst, '\t')
		case 'r':
			dst = append(dst, '\r')
		case 'x':
			if i+2 < len(v) && unhex(v[i+1]) >= 0 && unhex(v[i+2]) >= 0 {
				dst = append(dst, byte(unhex(v[i+1])<<4|unhex(v[i+2])))
				i += 2
				continue
			}
			dst = append(dst, '\\', 'x')
		case '"', '\\':
			dst = append(dst, c)
		default:
			dst = append(dst, '\\', c)
		}
	}
	return dst
}

// word cuts the first word off.
func word(b []byte) (w, rest []byte) {
	b = bytes.TrimLeft(b, " ")
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], bytes.TrimLeft(b[i:], " ")
	}
	return b, nil
}

func digits(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// seconds reads a decimal number of seconds as nanoseconds.
func seconds(b []byte) (int64, bool) { return scaled(b, 1e9) }

// scaled reads a decimal number times unit.
func scaled(b []byte, unit int64) (int64, bool) {
	if n, ok := digits(b); ok && n < math.MaxInt64/unit {
		return n * unit, true
	}
	if len(b) == 0 || len(b) > 32 || b[0] < '0' || b[0] > '9' {
		return 0, false
	}
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(b), len(b)), 64)
	f *= float64(unit)
	if err != nil || !(f >= 0 && f < math.MaxInt64/2) {
		return 0, false
	}
	return int64(math.Round(f)), true
}
