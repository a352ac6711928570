package format

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"

	"github.com/vjeantet/grok"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

//go:embed patterns.grok
var grokLibrary string

// library returns the standard patterns by name.
var library = sync.OnceValue(func() map[string]string {
	m := make(map[string]string)
	for line := range strings.Lines(grokLibrary) {
		if name, text, ok := strings.Cut(strings.TrimRight(line, "\n"), " "); ok && name != "#" {
			m[name] = text
		}
	}
	return m
})

// Bounds of a pattern: explosive ones are refused when they are configured.
const (
	maxPattern  = 16 << 10 // bytes as configured
	maxExpanded = 64 << 10 // with the library's patterns in place
	maxRefs     = 64       // patterns within patterns
	maxProgram  = 8192     // instructions
)

// grokPattern is a pattern ready for use: run by a scanner of our own where it
// is within that one's means, else by vjeantet/grok. It matches whole lines.
type grokPattern struct {
	anchored string // for vjeantet/grok
	text     string // with all names expanded
	regex    *syntax.Regexp
	names    []string          // by capture; "" where it is not named
	patterns map[string]string // that it uses
	scan     *scan             // nil: beyond the scanner
	slow     func() (*grok.Grok, error)
}

var (
	grokRef   = regexp.MustCompile(`%\{([\w-.]+(?::[\w-.]+(?::[\w-.]+)?)?)\}`)
	grokWord  = regexp.MustCompile(`^\w+([-.]\w+)*(:([-.\w]+)(:(string|float|int))?)?$`)
	grokPlain = regexp.MustCompile(`\W`)
)

// compileGrok makes a pattern ready. Custom patterns come before the library's.
func compileGrok(pattern string, custom map[string]string) (*grokPattern, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("the pattern is longer than %d bytes", maxPattern)
	}
	patterns := make(map[string]string, len(library())+len(custom))
	for name, text := range library() {
		patterns[name] = text
	}
	for name, text := range custom {
		if len(text) > maxPattern || !grokWord.MatchString(name) || strings.Contains(name, ":") {
			return nil, fmt.Errorf("pattern %q: its name is not a word, or its text is longer than %d bytes", name, maxPattern)
		}
		patterns[name] = text
	}
	p := &grokPattern{anchored: "^(?:" + pattern + ")$", patterns: make(map[string]string)}
	aliases := make(map[string]string)
	var err error
	if p.text, err = expandGrok(p.anchored, patterns, p.patterns, aliases, 0); err != nil {
		return nil, err
	}
	if p.regex, err = syntax.Parse(p.text, syntax.Perl); err != nil {
		if e, ok := errors.AsType[*syntax.Error](err); ok {
			return nil, fmt.Errorf("the pattern is not a regular expression of linear time: %v", e.Code)
		}
		return nil, errors.New("the pattern is not a regular expression of linear time")
	}
	prog, err := syntax.Compile(p.regex.Simplify())
	if err != nil {
		return nil, errors.New("the pattern cannot be compiled")
	}
	if len(prog.Inst) > maxProgram {
		return nil, fmt.Errorf("the pattern takes %d steps, more than %d: repeat less within repetitions", len(prog.Inst), maxProgram)
	}
	p.names = p.regex.CapNames()
	named := false
	for i, alias := range p.names {
		if name, ok := aliases[alias]; ok {
			p.names[i] = name
		}
		named = named || p.names[i] != ""
	}
	if !named {
		return nil, errors.New("the pattern names no field: write %{PATTERN:field}")
	}
	p.scan = compileScan(p.regex)
	p.slow = sync.OnceValues(func() (*grok.Grok, error) {
		return grok.NewWithConfig(&grok.Config{NamedCapturesOnly: true, SkipDefaultPatterns: true, Patterns: p.patterns})
	})
	if p.scan == nil {
		if _, err := p.slow(); err != nil {
			return nil, errors.New("the pattern, or one it uses, cannot be compiled")
		}
	}
	return p, nil
}

// expandGrok puts the text of patterns in place of their names, as vjeantet/grok
// does, and notes which of them are used and the names that are aliased.
func expandGrok(text string, patterns, used, aliases map[string]string, depth int) (string, error) {
	if depth > maxRefs {
		return "", errors.New("patterns refer to each other in a circle")
	}
	for _, m := range grokRef.FindAllStringSubmatch(text, -1) {
		if !grokWord.MatchString(m[1]) {
			return "", fmt.Errorf("%%{%s} is not of the form %%{PATTERN:field:type}", m[1])
		}
		parts := strings.Split(m[1], ":")
		inner, ok := patterns[parts[0]]
		if !ok {
			return "", fmt.Errorf("there is no pattern %%{%s}", parts[0])
		}
		used[parts[0]] = inner
		inner, err := expandGrok(inner, patterns, used, aliases, depth+1)
		if err != nil {
			return "", err
		}
		group := "("
		if len(parts) > 1 {
			alias := grokPlain.ReplaceAllString(parts[1], "_")
			aliases[alias] = parts[1]
			group = "(?P<" + alias + ">"
		}
		text = strings.ReplaceAll(text, m[0], group+inner+")")
		if len(text) > maxExpanded {
			return "", fmt.Errorf("the pattern is longer than %d bytes when the patterns in it are written out", maxExpanded)
		}
	}
	if i := strings.Index(text, "%{"); i >= 0 {
		return "", errors.New("%{ begins what is not of the form %{PATTERN:field:type}")
	}
	return text, nil
}

// grokParser reads lines by a pattern.
type grokParser struct {
	walker
	p      *grokPattern
	config Config
	fields []*field // by capture; nil where it has no name or a later one has the same
	caps   []int
	state  scanState
}

// newGrokParser returns the maker of parsers for a pattern.
func newGrokParser(p *grokPattern) func(Config) (Parser, error) {
	return func(c Config) (Parser, error) {
		g := &grokParser{walker: newWalker(nil), p: p, config: c, fields: make([]*field, len(p.names))}
		g.enclosed = c.enclosed
		for i, name := range p.names {
			if name != "" && !slices.Contains(p.names[i+1:], name) {
				g.fields[i] = columnOf(strings.TrimPrefix(name, "attrs."), grokRule(name))
			}
		}
		return g, nil
	}
}

// grokNames are the field names of the library that mean something else there
// than in JSON objects.
var grokNames = map[string]rule{
	"clientip": toCol(tokenwatch.ColSrcIP), "verb": toCol(tokenwatch.ColMethod), "response": toCol(tokenwatch.ColStatus), "agent": toCol(tokenwatch.ColUserAgent),
	"auth": {op: toUser}, "user": {op: toUser}, "remote_user": {op: toUser}, "referrer": {op: toReferer}, "timestamp": toCol(tokenwatch.ColTime), "logsource": toCol(tokenwatch.ColHost),
	"program": toCol(tokenwatch.ColService), "clientport": toCol(tokenwatch.ColSrcPort), "http_status_code": toCol(tokenwatch.ColStatus), "accept_date": toCol(tokenwatch.ColTime),
	"http_verb": toCol(tokenwatch.ColMethod), "http_request": {op: toURL}, "bytes_read": toCol(tokenwatch.ColBytesOut), "time_duration": toDur(1e6), "request": {op: toRequest},
	"uri_path": {op: toURL}, "uri_param": {op: toQuery}, "params": {op: toQuery}, "forwarded_for": {op: toWeak, col: tokenwatch.ColSrcIP}, "message": {op: toAttr}, "path": {op: toURL},
}

// grokRule returns what is done with a field: by the library's name, by that of a
// column, by that of a carrier, or by the usual ones.
func grokRule(name string) rule {
	if strings.HasPrefix(name, "attrs.") {
		return rule{}
	}
	if r, ok := grokNames[strings.ToLower(name)]; ok {
		return r
	}
	if r, ok := leafRules[fold(name)]; ok {
		return r
	}
	r := jsonRules[fold(name)]
	if r.op == toMessage {
		return rule{}
	}
	return r
}

// Parse fills row from a line.
func (g *grokParser) Parse(record []byte, row *tokenwatch.Row) error {
	line := record
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	done, ok := false, false
	if g.p.scan != nil {
		g.caps, ok, done = g.p.scan.match(&g.state, line, g.caps)
	}
	g.begin(record, row)
	if !done {
		if err := g.slowly(line); err != nil {
			return err
		}
		return g.finish()
	}
	if !ok {
		return malformed("the pattern does not match the line")
	}
	for i, f := range g.fields {
		if f != nil && 2*i+1 < len(g.caps) && g.caps[2*i] >= 0 {
			g.take(f, line[g.caps[2*i]:g.caps[2*i+1]])
		}
	}
	return g.finish()
}

// slowly reads a line by vjeantet/grok.
func (g *grokParser) slowly(line []byte) error {
	slow, err := g.p.slow()
	if err != nil {
		return malformed("the pattern cannot be compiled")
	}
	values, err := slow.Parse(g.p.anchored, string(line))
	if err != nil || len(values) == 0 {
		return malformed("the pattern does not match the line")
	}
	for i, f := range g.fields {
		if f != nil {
			g.take(f, g.row.Keep(values[g.p.names[i]]))
		}
	}
	return nil
}

// take gives a value to its field. Quotes around it are the pattern's, not the value's.
func (g *grokParser) take(f *field, v []byte) {
	if n := len(v); n >= 2 && v[0] == '"' && v[n-1] == '"' {
		v = v[1 : n-1]
	}
	if len(v) == 0 || string(v) == "-" {
		return
	}
	switch {
	case f.rule.op == toColumn && f.rule.col == tokenwatch.ColTime && !g.row.Has(tokenwatch.ColTime):
		if ns, n := normalize.ParseYearless(v, g.config.now()); n == len(v) {
			g.row.SetInt(tokenwatch.ColTime, ns)
			return
		}
	case f.rule.op == toRequest && !slices.Contains(v, ' '): // COMMONAPACHELOG's is the target alone
		setTarget(g.row, v)
		return
	}
	g.leaf(f, v, false)
}

// matches tells whether the pattern matches a line.
func (p *grokPattern) matches(line []byte) bool {
	var state scanState
	if p.scan != nil {
		if _, ok, done := p.scan.match(&state, line, nil); done {
			return ok
		}
	}
	slow, err := p.slow()
	if err != nil {
		return false
	}
	ok, err := slow.Match(p.anchored, string(line))
	return ok && err == nil
}

// grokFormat makes a format of a pattern.
func grokFormat(name string, p *grokPattern) Format {
	return Format{
		Name: name, Doc: "lines by a grok pattern", Frame: frame.Lines, New: newGrokParser(p),
		Sniff: func(record []byte) int {
			if p.matches([]byte(strings.TrimRight(string(record), "\r\n"))) {
				return 99
			}
			return 0
		},
	}
}
