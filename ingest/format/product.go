package format

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tokenwatch/tokenwatch"
)

// product is the JSON audit log of one product as a table: how its records are
// known, where they keep what, and what its actions mean. [auditParser] reads
// all of them; what a table cannot say is a function beside it.
//
// Marks are texts that every record holds; a text with bars is any of its parts.
//
// Fields has a line a field: its path, and what its value is. Indices of arrays
// are left out of paths, case, _ and - do not matter, and a path is the same
// below the outer names of under. Fields without a line become attrs.
//
//	published           = time               // a column of the schema; the first of several fields has it
//	actor.alternateId   = actor attrs.user.email // a column, and an attr: under its ECS name where ECS has one
//	actor.id            = actor?             // the column if no better field comes; ?? is still weaker
//	debugData.requestId = drop               // nothing; debugData.* all in it that has no line
//	outcome.result      = @result            // kept for the functions below
//	initiatedBy         = json               // JSON as text; its fields have the paths they would have without the quotes
//	details.ms          = duration:1e6       // a number of so many nanoseconds
//	request.url         = url                // scheme, host, path, credentials in it; also query, referer
//	credentials.jti     = name:jti           // a name of the token that the request was made with; @ its scope
//	hashed_token        = digest             // its SHA-256
//	request.headers.x   = credential:x       // itself
//	response.secret     = secret:secret      // another secret, to be masked
//	parameters.name     = key                // an item of a list of names and values,
//	parameters.value    = value              // whose parts have the paths
//	parameters[scope]   = scope
//	target.name         = value:name         // another value of the item, whose path is target[…]:name
//	new_key.id          = fact.subject:provider_id // what the action did to a token: see factPart
//
// Actions has a line an action: its name, or a pattern with stars, and its
// class, outcome, kind of error (error:), what it does to a token (+ and the kind of
// fact), that token's type (type:), and that the actor owns it (own). Of several
// patterns the first counts.
//
//	system.api_token.create = credential +created type:api_token
//	*.login_failed          = auth denied error:authn
//
// Outcomes maps the product's words to success, failure and denied. An event
// that says nothing of its outcome has happened: success.
type product struct {
	name     string
	marks    []string
	under    []string
	fields   string
	actions  string
	outcomes string
	inner    string // what is kept under this name is a record itself, as text
	split    string // the member that holds the events, where a record may hold several
	members  int    // a record has exactly so many members, all texts; 0 for no matter
	each     string // the part of a path behind which an index stands: parts of facts with one index are one fact

	derive func(*auditParser) // fills columns that follow from several fields, before the action is looked up
	finish func(*auditParser) // runs when all else is done
}

// table is a product ready for use.
type table struct {
	*product
	rules    map[string]rule
	kept     []string // names, by place
	actions  map[string]*meaning
	patterns []pattern
	outcomes map[string]string
}

// meaning is what an action says.
type meaning struct {
	class, outcome, err string
	fact                tokenwatch.FactKind // "" for none
	typ                 string              // of the token that the fact is about
	own                 bool                // whose owner is the actor
}

type pattern struct {
	parts   []string // between the stars
	meaning *meaning
}

// audit makes a Format of a product.
func audit(doc string, p *product) Format {
	compiled := sync.OnceValue(func() *table { return compile(p) })
	return Format{
		Name: p.name, Doc: doc, Frame: jsonFrame, Arrival: true,
		New: func(Config) (Parser, error) {
			a := newAuditParser(compiled())
			return &a, nil
		},
		Sniff: p.sniff,
	}
}

// foldedBytes is how much of a record is searched for names in small letters.
const foldedBytes = 4 << 10

// sniff looks for the marks.
func (p *product) sniff(record []byte) int {
	if firstByte(record) != '{' || p.members > 0 && bytes.Count(record, []byte{'"'}) != 4*p.members {
		return 0
	}
	var lower []byte // made when first needed: some pipelines fold names
	for _, mark := range p.marks {
		if holdsAny(record, mark) {
			continue
		}
		if lower == nil {
			lower = bytes.ToLower(record[:min(len(record), foldedBytes)])
		}
		if !holdsAny(lower, strings.ToLower(mark)) {
			return 0
		}
	}
	return min(70+5*len(p.marks), 99)
}

func holdsAny(record []byte, alternatives string) bool {
	for one := range strings.SplitSeq(alternatives, "|") {
		if bytes.Contains(record, []byte(one)) {
			return true
		}
	}
	return false
}

// compile reads a product's tables. They are part of the program: a line that
// says nothing is a broken promise of ours.
func compile(p *product) *table {
	t := &table{product: p, rules: make(map[string]rule), actions: make(map[string]*meaning), outcomes: make(map[string]string)}
	for path, what := range lines(p.name, p.fields) {
		r := t.ruleOf(path, strings.Fields(what))
		for _, outer := range append([]string{""}, p.under...) {
			r.many = slices.Clone(r.many)
			for _, one := range append([]*rule{&r}, pointers(r.many)...) {
				if one.op == toKey || one.op == toValue {
					one.carrier = outer + path[:strings.LastIndexByte(path, '.')]
					one.base = fold(one.carrier)
				}
			}
			t.rules[fold(outer+path)] = r
			if list, name, ok := strings.Cut(path, "["); ok && strings.HasSuffix(name, "]") { // as an object of names and values
				t.rules[fold(outer+list+"."+strings.TrimSuffix(name, "]"))] = r
			}
		}
	}
	for name, words := range lines(p.name, p.actions) {
		m := meaningOf(p.name, strings.Fields(words))
		if strings.Contains(name, "*") {
			t.patterns = append(t.patterns, pattern{strings.Split(name, "*"), m})
			continue
		}
		t.actions[name] = m
	}
	for word, outcome := range lines(p.name, p.outcomes) {
		t.outcomes[word] = outcome
	}
	return t
}

func pointers(rules []rule) (out []*rule) {
	for i := range rules {
		out = append(out, &rules[i])
	}
	return out
}

// lines gives the two sides of each line of a table.
func lines(name, text string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			left, right, ok := strings.Cut(line, " = ")
			if !ok {
				panic(fmt.Sprintf("format %s: no = in %q", name, line))
			}
			if !yield(strings.TrimSpace(left), strings.TrimSpace(right)) {
				return
			}
		}
	}
}

func (t *table) ruleOf(path string, targets []string) rule {
	var all []rule
	shown := false // as an attr anyway
	for _, target := range targets {
		r, ok := t.target(target)
		if !ok {
			panic(fmt.Sprintf("format %s: %s cannot be %q", t.name, path, target))
		}
		shown = shown || r.op == toAttr
		all = append(all, r)
	}
	if len(all) == 1 {
		return all[0]
	}
	for i := range all {
		all[i].quiet = shown
	}
	return rule{op: toMany, many: all}
}

func (t *table) target(s string) (rule, bool) {
	kind, arg, _ := strings.Cut(s, ":")
	switch kind {
	case "drop":
		return rule{op: toNothing}, true
	case "key":
		return rule{op: toKey}, true
	case "json":
		return rule{op: toJSON}, true
	case "value":
		return rule{op: toValue, issuer: arg}, true
	case "url":
		return rule{op: toURL}, true
	case "query":
		return rule{op: toQuery}, true
	case "referer":
		return rule{op: toReferer}, true
	case "digest":
		return rule{op: toDigest}, true
	case "duration":
		var unit float64
		_, err := fmt.Sscan(arg, &unit)
		return rule{op: toDuration, unit: int64(unit)}, err == nil
	case "name":
		name, issuer, _ := strings.Cut(arg, "@")
		return rule{op: toName, name: tokenwatch.NameKind(name), issuer: issuer}, knownKind(name)
	case "credential":
		return rule{op: toCredential, carrier: arg, own: true}, arg != ""
	case "authorization":
		return rule{op: toAuthorization, carrier: arg, own: true}, arg != ""
	case "secret":
		return rule{op: toCredential, carrier: arg, incidental: true}, arg != ""
	}
	if name, ok := strings.CutPrefix(s, "@"); ok {
		return rule{op: toKept, kept: t.place(name)}, true
	}
	if name, ok := strings.CutPrefix(s, "attrs."); ok {
		return rule{op: toAttr, carrier: name}, true
	}
	if part, ok := strings.CutPrefix(s, "fact."); ok {
		return factRule(part)
	}
	name := strings.TrimRight(s, "?")
	col, ok := tokenwatch.ColumnByName(name)
	if !ok || col.String() != name {
		return rule{}, false
	}
	if n := len(s) - len(name); n > 0 {
		return rule{op: toWeak, col: col, rank: uint8(n - 1)}, true
	}
	return rule{op: toColumn, col: col}, true
}

func knownKind(name string) bool {
	for _, k := range tokenwatch.NameKinds {
		if string(k) == name {
			return true
		}
	}
	return false
}

// place returns the place of what is kept under a name.
func (t *table) place(name string) int {
	for i, n := range t.kept {
		if n == name {
			return i
		}
	}
	t.kept = append(t.kept, name)
	return len(t.kept) - 1
}

func meaningOf(name string, words []string) *meaning {
	m := &meaning{}
	for _, w := range words {
		kind, arg, _ := strings.Cut(w, ":")
		switch {
		case strings.HasPrefix(w, "+"):
			m.fact = tokenwatch.FactKind(w[1:])
			if !slices.Contains(tokenwatch.FactKinds, m.fact) {
				panic(fmt.Sprintf("format %s: no fact is called %q", name, w))
			}
		case w == "own":
			m.own = true
		case kind == "error":
			m.err = arg
		case kind == "type":
			m.typ = arg
		case w == "success" || w == "failure" || w == "denied":
			m.outcome = w
		case classes[w]:
			m.class = w
		default:
			panic(fmt.Sprintf("format %s: no action means %q", name, w))
		}
	}
	return m
}

// classes are the classes of actions; see the column action_class.
var classes = map[string]bool{
	"read": true, "list": true, "write": true, "delete": true, "admin": true, "credential": true, "export": true, "auth": true,
}

// of returns what an action means; nil for nothing that is known of it.
func (t *table) of(action []byte) *meaning {
	if m, ok := t.actions[string(action)]; ok {
		return m
	}
	for i := range t.patterns {
		if t.patterns[i].fits(string(action)) {
			return t.patterns[i].meaning
		}
	}
	return nil
}

// fits tells whether the parts stand in s in their order, the first at its
// beginning and the last at its end.
func (p *pattern) fits(s string) bool {
	last := len(p.parts) - 1
	s, ok := strings.CutPrefix(s, p.parts[0])
	if !ok {
		return false
	}
	if s, ok = strings.CutSuffix(s, p.parts[last]); !ok {
		return false
	}
	for _, part := range p.parts[1:last] {
		if _, s, ok = strings.Cut(s, part); !ok {
			return false
		}
	}
	return true
}
