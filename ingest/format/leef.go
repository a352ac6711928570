package format

import (
	"bytes"
	"strconv"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// leef reads IBM's Log Event Extended Format, 1.0 and 2.0:
//
//	LEEF:1.0|vendor|product|version|event|key=value<tab>key=value …
//	LEEF:2.0|vendor|product|version|event|separator|key=value…
//
// The separator is a character, or its code as x5E or 0x5E; a tab if it is empty.
type leef struct {
	walker
	config Config
}

func newLEEF(c Config) (Parser, error) {
	p := &leef{walker: newWalker(leefRules), config: c}
	p.enclosed = c.enclosed
	return p, nil
}

var leefRules = objectRules(map[string]rule{
	"devTime": {op: toNothing}, "devTimeFormat": {op: toNothing}, "src": toCol(tokenwatch.ColSrcIP), "identSrc": {op: toWeak, col: tokenwatch.ColSrcIP}, "srcPort": toCol(tokenwatch.ColSrcPort),
	"usrName": toCol(tokenwatch.ColActor), "accountName": {op: toWeak, col: tokenwatch.ColActor}, "url": {op: toURL}, "srcBytes": toCol(tokenwatch.ColBytesIn), "dstBytes": toCol(tokenwatch.ColBytesOut),
	"resource": toCol(tokenwatch.ColResource), "identHostName": {}, "dst": {}, "cat": {}, "sev": {}, "policy": {}, "role": {}, "realm": {}, "groupID": {}, "proto": {}, "msg": {},
	"userAgent": toCol(tokenwatch.ColUserAgent), "requestMethod": toCol(tokenwatch.ColMethod), "method": toCol(tokenwatch.ColMethod), "responseCode": toCol(tokenwatch.ColStatus),
})

func sniffLEEF(record []byte) int {
	if (bytes.HasPrefix(record, []byte("LEEF:1")) || bytes.HasPrefix(record, []byte("LEEF:2"))) && bytes.Count(record[:min(len(record), 1024)], []byte("|")) >= 4 {
		return 98
	}
	return 0
}

// Parse fills row from an event.
func (p *leef) Parse(record []byte, row *tokenwatch.Row) error {
	p.begin(record, row)
	rest, ok := bytes.CutPrefix(bytes.TrimRight(record, " \r\n"), []byte("LEEF:"))
	if !ok {
		return malformed("not LEEF: at the beginning")
	}
	var header [5][]byte // version, vendor, product, version, event
	for i := range header {
		if header[i], rest, ok = bytes.Cut(rest, []byte("|")); !ok && (i < 4 || header[0][0] != '1') {
			return malformed("a header of fewer than five parts")
		}
	}
	separator := byte('\t')
	if header[0][0] == '2' {
		if part, after, ok := bytes.Cut(rest, []byte("|")); ok && len(part) <= 4 && bytes.IndexByte(part, '=') < 0 {
			rest = after
			if separator, ok = leefSeparator(part); !ok {
				return malformed("separator of the header is no character")
			}
		}
	} else if bytes.IndexByte(rest, '\t') < 0 && bytes.IndexByte(rest, '^') > 0 {
		separator = '^'
	}
	var stamp []byte
	for pairs := 0; len(rest) > 0; pairs++ {
		if pairs == maxFields {
			return reject(tokenwatch.ReasonTooManyField, "more than 256 pairs")
		}
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte{separator})
		key, value, ok := bytes.Cut(bytes.TrimSpace(pair), []byte("="))
		if !ok || len(key) == 0 || len(value) == 0 || string(value) == "-" {
			continue
		}
		if string(key) == "devTime" {
			stamp = value
		}
		p.leaf(p.member(&p.root, key, true, 0), value, false)
	}
	if stamp != nil {
		ns, ok := normalize.ParseTime(stamp)
		if !ok {
			var n int
			ns, n = normalize.ParseYearless(stamp, p.config.now())
			ok = n > 0
		}
		if ok {
			row.SetInt(tokenwatch.ColTime, ns)
		}
	}
	setOnce(row, tokenwatch.ColService, header[2])
	setOnce(row, tokenwatch.ColAction, header[4])
	if len(header[1]) > 0 {
		row.AddAttr(row.Keep("vendor"), header[1])
	}
	return p.finish()
}

// leefSeparator reads the separator of LEEF 2.0.
func leefSeparator(part []byte) (byte, bool) {
	switch code := bytes.TrimPrefix(part, []byte("0")); {
	case len(part) == 0:
		return '\t', true
	case len(part) == 1:
		return part[0], true
	case len(code) > 1 && code[0]|0x20 == 'x':
		n, err := strconv.ParseUint(string(code[1:]), 16, 8)
		return byte(n), err == nil
	}
	return 0, false
}
