package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// syslog reads the messages of RFC 5424 and RFC 3164, also as files have them:
// without priority, with a time as of RFC 3339. The message is read by the
// format that fits it; one that fits none is the attr message. Structured data
// become attrs.
type syslog struct {
	inner  *inner
	config Config
}

func newSyslog(c Config) (Parser, error) { return &syslog{newInner(c), c}, nil }

// sniffSyslog looks for a priority, or for a time and a tag.
func sniffSyslog(record []byte) int {
	if rest, _, ok := priority(record); ok {
		if len(rest) > 2 && rest[0] >= '1' && rest[0] <= '9' && rest[1] == ' ' {
			return 95
		}
		return 80
	}
	if len(record) < 20 {
		return 0
	}
	if isMonth(record) {
		return 75
	}
	if record[4] == '-' && record[10] == 'T' {
		_, rest := word(record)
		_, rest = word(rest) // host
		if tag, _, _, ok := syslogTag(rest); ok && len(tag) > 0 {
			return 70
		}
	}
	return 0
}

// isMonth tells whether b begins with a date as of RFC 3164.
func isMonth(b []byte) bool {
	return len(b) > 15 && b[3] == ' ' && b[0] >= 'A' && b[0] <= 'S' && (b[4] == ' ' || b[4] >= '0' && b[4] <= '9') && b[5] >= '0' && b[5] <= '9' && bytes.IndexByte(b[:16], ':') > 0
}

// Parse fills row from a message.
func (p *syslog) Parse(record []byte, row *tokenwatch.Row) error {
	e := envelope{format: "syslog"}
	rest, pri, ok := priority(record)
	if ok && len(rest) > 2 && rest[0] >= '1' && rest[0] <= '9' && rest[1] == ' ' {
		data, err := p.modern(&e, rest[2:])
		if err != nil {
			return err
		}
		if err := e.open(p.inner, row); err != nil {
			return err
		}
		structured(row, data)
	} else {
		pid, err := p.classic(&e, rest, ok)
		if err != nil {
			return err
		}
		if err := e.open(p.inner, row); err != nil {
			return err
		}
		if len(pid) > 0 && !row.Has(tokenwatch.ColFormat) {
			row.AddAttr(row.Keep("pid"), pid)
		}
	}
	if ok && !row.Has(tokenwatch.ColFormat) { // a record within says more than the class it was sent under
		row.AddAttr(row.Keep("facility"), row.Keep(facilities[pri>>3]))
		row.AddAttr(row.Keep("severity"), row.Keep(severities[pri&7]))
	}
	return nil
}

var (
	facilities = [24]string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "security", "console", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
	severities = [8]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
)

// priority reads <n>.
func priority(b []byte) (rest []byte, pri int, ok bool) {
	if len(b) < 3 || b[0] != '<' {
		return b, 0, false
	}
	for i := 1; i < len(b) && i < 5; i++ {
		switch c := b[i]; {
		case c == '>' && i > 1 && pri < len(facilities)<<3:
			return b[i+1:], pri, true
		case c < '0' || c > '9':
			return b, 0, false
		default:
			pri = 10*pri + int(c-'0')
		}
	}
	return b, 0, false
}

// modern reads what follows the version of RFC 5424, and returns the structured data.
func (p *syslog) modern(e *envelope, rest []byte) (data []byte, err error) {
	var parts [5][]byte // time, host, app, procid, msgid
	for i := range parts {
		parts[i], rest = word(rest)
		if len(parts[i]) == 0 {
			return nil, malformed("a header of RFC 5424 that ends early")
		}
		if string(parts[i]) == "-" {
			parts[i] = nil
		}
	}
	if parts[0] != nil {
		if e.time, e.timed = normalize.ParseTime(parts[0]); !e.timed {
			return nil, reject(tokenwatch.ReasonNoTime, "time of RFC 5424 cannot be read")
		}
	}
	e.host, e.app = parts[1], parts[2]
	n := structuredEnd(rest)
	if n < 0 {
		return nil, malformed("structured data do not end")
	}
	data, rest = rest[:n], rest[n:]
	e.message = bytes.TrimPrefix(bytes.TrimLeft(rest, " "), []byte("\xef\xbb\xbf"))
	return data, nil
}

// structuredEnd returns where structured data end, -1 if they do not.
func structuredEnd(b []byte) int {
	if len(b) == 0 || b[0] == '-' {
		return min(len(b), 1)
	}
	if b[0] != '[' {
		return 0 // left out, as some do
	}
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ']' && !quoted && (i+1 == len(b) || b[i+1] != '['):
			return i + 1
		}
	}
	return -1
}

// structured takes [id name="value" …][…].
func structured(row *tokenwatch.Row, b []byte) {
	for fields := 0; len(b) > 0 && b[0] == '[' && fields < maxFields; {
		id := b[1:]
		i := bytes.IndexAny(id, " ]")
		if i < 0 {
			return
		}
		b, id = id[i:], id[:i]
		for len(b) > 0 && b[0] == ' ' && fields < maxFields {
			b = bytes.TrimLeft(b, " ")
			eq := bytes.IndexByte(b, '=')
			if eq < 0 || eq+1 >= len(b) || b[eq+1] != '"' {
				break
			}
			name := b[:eq]
			value, rest, ok := syslogQuoted(row, b[eq+1:])
			if !ok {
				return
			}
			b = rest
			fields++
			if len(value) == 0 {
				continue
			}
			var low [64]byte
			if len(name) <= len(low) {
				if r, ok := leafRules[string(appendFolded(low[:0], name))]; ok && r.take(row, value, false) {
					continue
				}
			}
			row.AddAttr(row.Build(func(dst []byte) []byte { return append(append(append(dst, id...), '.'), name...) }), value)
		}
		if len(b) == 0 || b[0] != ']' {
			return
		}
		b = b[1:]
	}
}

// syslogQuoted reads a quoted value in which \" \\ and \] are escaped.
func syslogQuoted(row *tokenwatch.Row, b []byte) (value, rest []byte, ok bool) {
	escaped := false
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			value = b[1:i]
			if escaped {
				raw := value
				value = row.Build(func(dst []byte) []byte { return appendUnescapedAny(dst, raw) })
			}
			return value, b[i+1:], true
		}
	}
	return nil, b, false
}

// appendUnescapedAny takes the backslash from before a quote, a bracket or another.
func appendUnescapedAny(dst, v []byte) []byte {
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) && (v[i+1] == '"' || v[i+1] == '\\' || v[i+1] == ']' || v[i+1] == '\'') {
			i++
		}
		dst = append(dst, v[i])
	}
	return dst
}

// classic reads time, host and tag of RFC 3164, and returns the process id.
func (p *syslog) classic(e *envelope, rest []byte, pri bool) (pid []byte, err error) {
	if len(rest) > 0 && rest[0] == '*' {
		rest = rest[1:] // of a clock that is not set
	}
	if ns, n := normalize.ParseYearless(rest, p.config.now()); n > 0 {
		e.time, e.timed = ns, true
		rest = rest[n:]
		if len(rest) > 0 && rest[0] == ':' {
			rest = rest[1:]
		}
	} else if stamp, after := word(rest); len(stamp) >= 20 && stamp[4] == '-' {
		if e.time, e.timed = normalize.ParseTime(stamp); e.timed {
			rest = after
		}
	}
	if !e.timed && !pri {
		return nil, reject(tokenwatch.ReasonNoTime, "no time at the beginning")
	}
	rest = bytes.TrimLeft(rest, " ")
	if e.timed {
		host, after := word(rest)
		if n := len(host); n > 0 && host[n-1] != ':' && host[n-1] != ']' && len(after) > 0 {
			e.host, rest = host, after
		}
	}
	if tag, id, message, ok := syslogTag(rest); ok {
		e.app, e.message = tag, message
		return id, nil
	}
	e.message = rest
	return nil, nil
}

// syslogTag reads tag[pid]: and tag: .
func syslogTag(b []byte) (tag, pid, message []byte, ok bool) {
	for i, c := range b {
		switch {
		case c == '[' && i > 0:
			end := bytes.IndexByte(b[i:], ']')
			if end < 0 || end > 64 {
				return nil, nil, b, false
			}
			after := b[i+end+1:]
			if len(after) == 0 || after[0] != ':' {
				return nil, nil, b, false
			}
			return b[:i], b[i+1 : i+end], bytes.TrimLeft(after[1:], " "), true
		case c == ':' && i > 0:
			if i+1 < len(b) && b[i+1] != ' ' {
				return nil, nil, b, false // an address, a time, a URL
			}
			return b[:i], nil, bytes.TrimLeft(b[i+1:], " "), true
		case c <= ' ' || c == '"' || c == '{' || i > 128:
			return nil, nil, b, false
		}
	}
	return nil, nil, b, false
}
