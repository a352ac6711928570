package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// cef reads ArcSight's Common Event Format:
//
//	CEF:0|vendor|product|version|signature|name|severity|key=value key=value …
//
// The action is the name, unless the event is a request. Custom strings (cs1,
// cn1, flexString1 …) are attrs under their labels, and credentials where those
// name one.
type cef struct {
	walker
	config Config
	labels []label
}

// label is a custom field whose name comes as another field.
type label struct{ key, name, value []byte }

func newCEF(c Config) (Parser, error) {
	p := &cef{walker: newWalker(cefRules), config: c}
	p.enclosed = c.enclosed
	return p, nil
}

var cefRules = objectRules(map[string]rule{
	"rt": toCol(tokenwatch.ColTime), "start": {op: toWeak, col: tokenwatch.ColTime, quiet: false}, "end": {op: toWeak, col: tokenwatch.ColTime, rank: 1}, "src": toCol(tokenwatch.ColSrcIP),
	"c6a2": {op: toWeak, col: tokenwatch.ColSrcIP}, "spt": toCol(tokenwatch.ColSrcPort), "suser": toCol(tokenwatch.ColActor), "suid": {op: toWeak, col: tokenwatch.ColActor}, "duser": {op: toWeak, col: tokenwatch.ColActor, rank: 2},
	"request": {op: toURL}, "requestMethod": toCol(tokenwatch.ColMethod), "requestClientApplication": toCol(tokenwatch.ColUserAgent), "requestContext": {op: toReferer},
	"requestCookies": {op: toCredential, carrier: "cookie"}, "dhost": toCol(tokenwatch.ColHost), "dvchost": {op: toWeak, col: tokenwatch.ColHost}, "outcome": toCol(tokenwatch.ColOutcome),
	"act": {op: toSlot, slot: 0}, "in": toCol(tokenwatch.ColBytesIn), "out": toCol(tokenwatch.ColBytesOut), "externalId": toCol(tokenwatch.ColRequestID), "reason": {}, "app": {}, "msg": {}, "cat": {}, "dst": {},
	"destinationServiceName": toCol(tokenwatch.ColService), "sourceServiceName": {}, "shost": {}, "dpt": {}, "sntdom": {}, "cn1": {}, "fname": {}, "filePath": {},
})

func sniffCEF(record []byte) int {
	if bytes.HasPrefix(record, []byte("CEF:")) && bytes.Count(record[:min(len(record), 1024)], []byte("|")) >= 6 {
		return 98
	}
	return 0
}

// Parse fills row from an event.
func (p *cef) Parse(record []byte, row *tokenwatch.Row) error {
	p.begin(record, row)
	rest, ok := bytes.CutPrefix(bytes.TrimRight(record, " \r\n"), []byte("CEF:"))
	if !ok {
		return malformed("not CEF: at the beginning")
	}
	var header [7][]byte // version, vendor, product, version, signature, name, severity
	for i := range header {
		if header[i], rest, ok = cefPart(row, rest); !ok {
			return malformed("a header of fewer than seven parts")
		}
	}
	p.labels = p.labels[:0]
	if err := p.extension(rest); err != nil {
		return err
	}
	for _, l := range p.labels {
		if l.value != nil {
			p.labelled(l)
		}
	}
	if act := p.slots[0]; act != nil {
		setOnce(row, tokenwatch.ColOutcome, row.Keep(actOutcome(act)))
		row.AddAttr(row.Keep("act"), act)
	}
	setOnce(row, tokenwatch.ColService, header[2])
	if row.Has(tokenwatch.ColMethod) {
		row.AddAttr(row.Keep("name"), header[5])
	} else {
		setOnce(row, tokenwatch.ColAction, header[5])
	}
	for i, name := range [...]string{1: "vendor", 4: "signature", 6: "severity"} {
		if name != "" && len(header[i]) > 0 {
			row.AddAttr(row.Keep(name), header[i])
		}
	}
	return p.finish()
}

// actOutcome tells from what a device did with a request how it ended; "" if
// that does not say.
func actOutcome(act []byte) string {
	low := bytes.ToLower(act)
	for _, w := range []struct{ part, outcome string }{
		{"block", "denied"}, {"den", "denied"}, {"drop", "denied"}, {"reject", "denied"}, {"allow", "success"}, {"permit", "success"}, {"pass", "success"}, {"accept", "success"},
	} {
		if bytes.Contains(low, []byte(w.part)) {
			return w.outcome
		}
	}
	return ""
}

// cefPart cuts a part of the header off; bars and backslashes in it are escaped.
func cefPart(row *tokenwatch.Row, b []byte) (part, rest []byte, ok bool) {
	escaped := false
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			escaped = true
			i++
		case '|':
			if part = b[:i]; escaped {
				part = row.Build(func(dst []byte) []byte { return appendCEF(dst, b[:i]) })
			}
			return part, b[i+1:], true
		}
	}
	return nil, b, false
}

// appendCEF undoes CEF's escapes.
func appendCEF(dst, v []byte) []byte {
	for i := 0; i < len(v); i++ {
		c := v[i]
		if c == '\\' && i+1 < len(v) {
			switch i++; v[i] {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case '\\', '=', '|':
				c = v[i]
			default:
				dst = append(dst, '\\')
				c = v[i]
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// extension reads the pairs: a value ends before the last space before the next key.
func (p *cef) extension(b []byte) error {
	for pairs := 0; ; {
		b = bytes.TrimLeft(b, " ")
		eq := cefKey(b)
		if eq < 0 {
			return nil
		}
		if pairs++; pairs > maxFields {
			return reject(tokenwatch.ReasonTooManyField, "more than 256 pairs")
		}
		key := b[:eq]
		b = b[eq+1:]
		end := len(b)
		for i := 0; i < len(b); i++ {
			if b[i] == '\\' {
				i++
			} else if b[i] == ' ' && cefKey(b[i+1:]) >= 0 {
				end = i
				break
			}
		}
		value := bytes.TrimRight(b[:end], " ")
		b = b[end:]
		if len(value) == 0 || string(value) == "-" {
			continue
		}
		if bytes.IndexByte(value, '\\') >= 0 {
			raw := value
			value = p.row.Build(func(dst []byte) []byte { return appendCEF(dst, raw) })
		}
		p.takePair(key, value)
	}
}

// cefKey returns the place of the equals sign behind a key at the beginning of b,
// -1 if there is none.
func cefKey(b []byte) int {
	for i, c := range b {
		switch {
		case c == '=':
			if i == 0 {
				return -1
			}
			return i
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', c == '_', c == '.', c == '-', c == '[', c == ']':
		default:
			return -1
		}
	}
	return -1
}

// takePair takes a pair, or keeps it until its label is known.
func (p *cef) takePair(key, value []byte) {
	name, isLabel := bytes.CutSuffix(key, []byte("Label"))
	if isLabel || customField(name) {
		for i := range p.labels {
			if l := &p.labels[i]; string(l.key) == string(name) {
				if isLabel {
					l.name = value
				} else {
					l.value = value
				}
				return
			}
		}
		l := label{key: name}
		if isLabel {
			l.name = value
		} else {
			l.value = value
		}
		p.labels = append(p.labels, l)
		return
	}
	if string(key) == "rt" {
		if ns, n := normalize.ParseYearless(value, p.config.now()); n == len(value) && n > 0 {
			p.row.SetInt(tokenwatch.ColTime, ns)
			return
		}
	}
	p.leaf(p.member(&p.root, key, true, 0), value, false)
}

// customField tells whether a key is one that a label may name: cs1, cn2, c6a1,
// cfp1, deviceCustomDate1, flexString2 ….
func customField(key []byte) bool {
	n := len(key)
	if n < 3 || key[n-1] < '1' || key[n-1] > '9' {
		return false
	}
	switch string(key[:n-1]) {
	case "cs", "cn", "c6a", "cfp", "deviceCustomDate", "flexString", "flexNumber", "flexDate", "deviceCustomString", "deviceCustomNumber":
		return true
	}
	return false
}

// labelled takes a custom field by its label.
func (p *cef) labelled(l label) {
	row := p.row
	if l.name == nil {
		row.AddAttr(l.key, l.value)
		return
	}
	name := row.Build(func(b []byte) []byte {
		for _, c := range l.name {
			if c == ' ' {
				c = '_'
			}
			b = append(b, c)
		}
		return b
	})
	var low [64]byte
	if len(name) <= len(low) {
		if r, ok := leafRules[string(appendFolded(low[:0], name))]; ok && r.take(row, l.value, false) {
			return
		}
	}
	row.AddAttr(name, l.value)
}
