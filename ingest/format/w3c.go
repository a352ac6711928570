package format

import (
	"bytes"
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// w3c reads the W3C extended log format: of IIS, of CloudFront (with tabs), of
// whatever else writes a "#Fields:" line. The fields are those of the last such
// line of the stream; a line that came without one is read by its form, if it is
// one of IIS's or CloudFront's.
type w3c struct {
	walker
	header  []byte // the line of fields
	columns []*field
	places  w3cPlaces
	date    []byte // of a #Date line, for lines with no more than a time
	byName  map[string]*field
	fields  [][]byte
	guessed []*field
}

// w3cPlaces are the columns that are read together with others, -1 where there is none.
type w3cPlaces struct{ date, time, took int }

// Directives of the format, and how many columns may be named.
const (
	w3cFields  = "#Fields:"
	maxColumns = 256
)

func newW3C(c Config) (Parser, error) {
	p := &w3c{walker: newWalker(nil), byName: make(map[string]*field)}
	p.enclosed = c.enclosed
	return p, nil
}

// sniffW3C looks for a directive, or for a date and a time with nothing around
// them and what else lines of the format have.
func sniffW3C(record []byte) int {
	if len(record) > 0 && record[0] == '#' {
		for _, d := range []string{w3cFields, "#Software:", "#Version:", "#Date:", "#Start-Date:", "#End-Date:", "#Remark:"} {
			if bytes.HasPrefix(record, []byte(d)) {
				return 98
			}
		}
		return 0
	}
	if len(record) < 30 || record[4] != '-' || record[7] != '-' || record[10] != ' ' && record[10] != '\t' || record[13] != ':' || record[19] != ' ' && record[19] != '\t' {
		return 0
	}
	if record[10] == '\t' && record[19] == '\t' {
		return 97
	}
	fields := 0
	for _, c := range record {
		if c == ' ' {
			fields++
		}
	}
	if fields < 9 || bytes.IndexByte(record, '"') >= 0 {
		return 0
	}
	if bytes.Contains(record, []byte(" GET ")) || bytes.Contains(record, []byte(" POST ")) || bytes.Contains(record, []byte(" - ")) {
		return 80
	}
	return 0
}

// Header returns the last line of fields.
func (p *w3c) Header() []byte { return p.header }

// SetHeader makes header the last line of fields.
func (p *w3c) SetHeader(header []byte) {
	p.header, p.columns, p.date = nil, nil, nil
	if header != nil {
		p.setFields(header)
	}
}

func (p *w3c) setFields(line []byte) {
	p.header = bytes.Clone(line)
	p.columns, p.places = p.columns[:0], w3cPlaces{-1, -1, -1}
	for name := range bytes.FieldsSeq(line[len(w3cFields):]) {
		if len(p.columns) == maxColumns {
			break
		}
		p.columns = append(p.columns, p.column(name))
	}
	p.places = placesOf(p.columns)
}

func placesOf(columns []*field) w3cPlaces {
	places := w3cPlaces{-1, -1, -1}
	for i, f := range columns {
		switch string(f.full) {
		case "date":
			places.date = i
		case "time":
			places.time = i
		case "time-taken":
			places.took = i
		}
	}
	return places
}

// column returns the field of a name.
func (p *w3c) column(name []byte) *field {
	if f, ok := p.byName[string(name)]; ok {
		return f
	}
	f := columnOf(string(name), w3cRule(name))
	if len(p.byName) < maxKept {
		p.byName[string(name)] = f
	}
	return f
}

// w3cRule returns the rule of a column: that of its name, or of the header in
// parentheses.
func w3cRule(name []byte) rule {
	if r, ok := w3cRules[fold(string(name))]; ok {
		return r
	}
	if open := bytes.IndexByte(name, '('); open > 0 && name[len(name)-1] == ')' {
		prefix, name := name[:open], name[open+1:len(name)-1]
		if r, ok := leafRules[fold(string(name))]; ok {
			r.incidental = r.incidental || string(prefix) == "sc" // of an answer
			return r
		}
		return jsonRules[fold(string(name))]
	}
	if r, ok := leafRules[fold(string(name))]; ok {
		return r
	}
	return rule{}
}

var w3cRules = foldedKeys(map[string]rule{
	"c-ip": toCol(tokenwatch.ColSrcIP), "c-port": toCol(tokenwatch.ColSrcPort), "cs-username": {op: toUser}, "cs-method": toCol(tokenwatch.ColMethod),
	"cs-uri-stem": {op: toURL}, "cs-uri": {op: toURL}, "cs-uri-query": {op: toQuery}, "sc-status": toCol(tokenwatch.ColStatus), "sc-bytes": toCol(tokenwatch.ColBytesOut),
	"cs-bytes": toCol(tokenwatch.ColBytesIn), "cs(User-Agent)": toCol(tokenwatch.ColUserAgent), "cs(Referer)": {op: toReferer}, "cs(Referrer)": {op: toReferer},
	"cs-host": {op: toWeak, col: tokenwatch.ColHost, rank: 2, quiet: true}, "cs(Host)": {op: toWeak, col: tokenwatch.ColHost, rank: 1}, "x-host-header": toCol(tokenwatch.ColHost),
	"cs-protocol": toCol(tokenwatch.ColScheme), "s-sitename": toCol(tokenwatch.ColService), "x-edge-request-id": toCol(tokenwatch.ColRequestID),
	"date": {op: toNothing}, "time": {op: toNothing}, "time-taken": {op: toNothing}, // read together
	"x-forwarded-for": {},
})

func foldedKeys(t map[string]rule) map[string]rule {
	m := make(map[string]rule, len(t))
	for name, r := range t {
		m[fold(name)] = r
	}
	return m
}

// Parse fills row from a line, or takes a directive.
func (p *w3c) Parse(record []byte, row *tokenwatch.Row) error {
	line := bytes.TrimRight(record, " \r\n")
	if len(line) > 0 && line[0] == '#' {
		switch {
		case bytes.HasPrefix(line, []byte(w3cFields)):
			p.setFields(line)
		case bytes.HasPrefix(line, []byte("#Date:")):
			p.date, _ = word(line[len("#Date:"):])
			p.date = bytes.Clone(p.date)
		}
		return ErrNoRecord
	}
	p.begin(record, row)
	tabs := bytes.IndexByte(line, '\t') >= 0
	p.fields = p.fields[:0]
	if tabs {
		for v := range bytes.SplitSeq(line, []byte{'\t'}) {
			if len(p.fields) == maxColumns {
				break
			}
			p.fields = append(p.fields, v)
		}
	} else {
		var err error
		if p.fields, err = splitFields(row, p.fields, line); err != nil {
			return err
		}
	}
	percent := tabs || cloudFrontLine(p.fields)
	columns, places := p.columns, p.places
	if len(columns) != len(p.fields) {
		columns = p.guess(tabs)
		if columns == nil {
			return malformed("number of fields is not that of the last #Fields line")
		}
		places = placesOf(columns)
	}
	if err := p.takeTime(places); err != nil {
		return err
	}
	for i, v := range p.fields {
		if string(v) == "-" || len(v) == 0 {
			continue
		}
		f := columns[i]
		if f.rule.op == toColumn && f.rule.col == tokenwatch.ColUserAgent || f.rule.op == toReferer {
			v = p.spell(v, percent)
		}
		p.leaf(f, v, false)
		if f.rule.op == toColumn && f.rule.col == tokenwatch.ColStatus && string(v) == "000" { // CloudFront: the viewer went before there was an answer
			setOnce(row, tokenwatch.ColOutcome, []byte("failure"))
		}
	}
	if places.took >= 0 {
		took := p.fields[places.took]
		unit := int64(1e6) // IIS
		if bytes.IndexByte(took, '.') >= 0 || percent {
			unit = 1e9 // as W3C has it
		}
		if d, ok := scaled(took, unit); ok {
			row.SetInt(tokenwatch.ColDuration, d)
		}
	}
	return p.walker.finish()
}

// spell undoes what makes one field of a text with spaces: + by IIS, %20 by CloudFront.
func (p *w3c) spell(v []byte, percent bool) []byte {
	if percent {
		return unescape(p.row, v)
	}
	if bytes.IndexByte(v, '+') < 0 {
		return v
	}
	return p.row.Build(func(b []byte) []byte {
		for _, c := range v {
			if c == '+' {
				c = ' '
			}
			b = append(b, c)
		}
		return b
	})
}

func (p *w3c) takeTime(places w3cPlaces) error {
	if len(p.fields) == 0 {
		return malformed("an empty line")
	}
	var date, clock []byte
	if date = p.date; places.date >= 0 {
		date = p.fields[places.date]
	}
	if places.time < 0 {
		return reject(tokenwatch.ReasonNoTime, "no column is called time")
	}
	clock = p.fields[places.time]
	if len(date) != len("2006-01-02") || len(clock) < len("15:04:05") {
		return reject(tokenwatch.ReasonNoTime, "date and time cannot be read")
	}
	var buf [64]byte
	ns, ok := normalize.ParseTime(append(append(append(buf[:0], date...), ' '), clock[:min(len(clock), 32)]...))
	if !ok {
		return reject(tokenwatch.ReasonNoTime, "date and time cannot be read")
	}
	p.row.SetInt(tokenwatch.ColTime, ns)
	return nil
}

// cloudFrontFields are the columns of CloudFront's standard logs; older logs have fewer.
const cloudFrontFields = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) " +
	"x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type " +
	"cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end"

// guess returns the columns of a line that came without a line of fields, nil if
// it is none of IIS or CloudFront.
func (p *w3c) guess(tabs bool) []*field {
	f := p.fields
	p.guessed = p.guessed[:0]
	add := func(names ...string) {
		for _, name := range names {
			p.guessed = append(p.guessed, p.column([]byte(name)))
		}
	}
	if tabs || cloudFrontLine(f) {
		for name := range bytes.FieldsSeq([]byte(cloudFrontFields)) {
			if len(p.guessed) == len(f) {
				break
			}
			p.guessed = append(p.guessed, p.column(name))
		}
		for n := len(p.guessed); n < len(f); n++ { // newer than what is known here
			p.guessed = append(p.guessed, p.column(fmt.Appendf(nil, "field_%d", n+1)))
		}
		if len(f) < 15 || len(f[0]) != len("2006-01-02") || !isMethod(f[5]) {
			return nil
		}
		return p.guessed
	}
	i := 2
	at := func(n int) []byte {
		if i+n < len(f) {
			return f[i+n]
		}
		return nil
	}
	isAddress := func(v []byte) bool { _, _, ok := address(v); return ok }
	isRequest := func() bool { return isMethod(at(0)) && len(at(1)) > 0 && (at(1)[0] == '/' || at(1)[0] == '*') }
	add("date", "time")
	for _, name := range []string{"s-sitename", "s-computername"} {
		if !isAddress(at(0)) && !isRequest() && len(at(0)) > 0 {
			add(name)
			i++
		}
	}
	if isAddress(at(0)) {
		add("s-ip")
		i++
	}
	if !isRequest() {
		return nil
	}
	add("cs-method", "cs-uri-stem", "cs-uri-query")
	i += 3
	if isDigits(at(0)) {
		add("s-port")
		i++
	}
	if !isAddress(at(1)) {
		return nil
	}
	add("cs-username", "c-ip")
	i += 2
	if bytes.HasPrefix(at(0), []byte("HTTP/")) {
		add("cs-version")
		i++
	}
	end := len(f) // behind the numbers
	if last := f[end-1]; end > i+4 && !isDigits(last) && (string(last) == "-" || isAddress(firstOfList(last))) {
		end--
	}
	numbers := 0
	for numbers < 6 && end-1-numbers >= i && isDigits(f[end-1-numbers]) {
		numbers++
	}
	texts := f[i:max(i, end-numbers)]
	switch len(texts) {
	case 0:
	case 1:
		add("cs(User-Agent)")
	case 2:
		if host := texts[1]; string(host) == "-" || bytes.Contains(host, []byte("://")) {
			add("cs(User-Agent)", "cs(Referer)")
		} else {
			add("cs(User-Agent)", "cs-host")
		}
	case 3:
		if bytes.Contains(texts[1], []byte("://")) || string(texts[1]) == "-" && !bytes.Contains(texts[2], []byte("://")) {
			add("cs(User-Agent)", "cs(Referer)", "cs-host")
		} else {
			add("cs(User-Agent)", "cs(Cookie)", "cs(Referer)")
		}
	case 4:
		add("cs(User-Agent)", "cs(Cookie)", "cs(Referer)", "cs-host")
	default:
		return nil
	}
	switch numbers {
	case 3:
		add("sc-status", "sc-substatus", "sc-win32-status")
	case 4:
		add("sc-status", "sc-substatus", "sc-win32-status", "time-taken")
	case 5:
		add("sc-status", "sc-substatus", "sc-win32-status", "sc-bytes", "cs-bytes")
	case 6:
		add("sc-status", "sc-substatus", "sc-win32-status", "sc-bytes", "cs-bytes", "time-taken")
	default:
		return nil
	}
	if end < len(f) {
		add("X-Forwarded-For")
	}
	if len(p.guessed) != len(f) {
		return nil
	}
	return p.guessed
}

// cloudFrontLine tells whether fields are CloudFront's, of whose line something
// made spaces of the tabs.
func cloudFrontLine(f [][]byte) bool {
	if len(f) < 23 || !isMethod(f[5]) || bytes.IndexByte(f[6], '.') < 0 || len(f[7]) == 0 || f[7][0] != '/' {
		return false
	}
	_, _, ok := address(f[4])
	return ok
}

// firstOfList returns the first of addresses that commas separate.
func firstOfList(v []byte) []byte {
	first, _, _ := bytes.Cut(v, []byte(","))
	return first
}
