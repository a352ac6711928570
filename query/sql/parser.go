// Package sql reads the query language of tokenwatch: one SELECT statement.
//
// In comes text from anyone; out goes a syntax tree, or an *Error that says
// where it stopped, what was there and what would have been right. Errors show
// keywords and signs, never what else was written: it may be a secret. Depth and
// length are bounded.
package sql

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxText  = 256 << 10 // bytes of a statement
	maxDepth = 64        // of brackets and operators within each other
)

// Error is what is wrong with a statement, and where: At counts bytes from 0.
type Error struct {
	At      int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("at character %d: %s", e.At+1, e.Message) }

// Errorf makes an Error. What it says must not repeat what was sent.
func Errorf(at int, format string, args ...any) error {
	return &Error{at, fmt.Sprintf(format, args...)}
}

// Parse reads a statement.
func Parse(text string) (s *Statement, err error) {
	if len(text) > maxText {
		return nil, Errorf(maxText, "the statement is longer than %d bytes", maxText)
	}
	if !utf8.ValidString(text) {
		return nil, Errorf(0, "the statement is not UTF-8")
	}
	p := &parser{text: text}
	defer func() {
		if r := recover(); r != nil {
			stop, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			s, err = nil, stop
		}
	}()
	p.next()
	s = &Statement{}
	if p.word("EXPLAIN") {
		s.Explain = true
		s.Analyze = p.word("ANALYZE") || p.word("ANALYSE")
	}
	s.Query = p.query()
	p.sign(";")
	if p.tok.kind != end {
		p.expected("the end of the statement")
	}
	return s, nil
}

type kind uint8

const (
	end    kind = iota
	word        // identifier or keyword
	quoted      // "identifier"
	text        // 'string'
	number
	sign
)

// token is one piece of the text. For a word val is as written and key in upper
// case; for a string val is what it means.
type token struct {
	kind     kind
	at, stop int
	val, key string
}

type parser struct {
	text  string
	pos   int
	tok   token
	last  int // where the token before ended
	depth int
}

func (p *parser) fail(at int, format string, args ...any) {
	panic(&Error{at, fmt.Sprintf(format, args...)})
}

// keywords may stand in an error as they were found, and end an expression or an alias.
var keywords = []string{
	"ALL", "ANALYZE", "AND", "AS", "ASC", "BETWEEN", "BY", "CASE", "CAST", "CROSS", "DESC", "DISTINCT", "ELSE", "END",
	"ESCAPE", "EXCEPT", "EXISTS", "EXPLAIN", "FALSE", "FILTER", "FIRST", "FROM", "FULL", "GROUP", "HAVING", "ILIKE", "IN",
	"INNER", "INTERSECT", "INTERVAL", "IS", "JOIN", "LAST", "LEFT", "LIKE", "LIMIT", "NATURAL", "NOT", "NULL", "NULLS", "OFFSET",
	"ON", "OR", "ORDER", "OUTER", "OVER", "REGEXP", "RIGHT", "SELECT", "THEN", "TRUE", "UNION", "USING", "WHEN", "WHERE", "WINDOW", "WITH",
}

// reserved words are not names of columns or tables unless quoted.
var reserved = func() map[string]bool {
	m := make(map[string]bool)
	for _, k := range keywords {
		m[k] = true
	}
	for _, free := range []string{"FIRST", "LAST", "FILTER", "ANALYZE", "EXPLAIN", "NULLS", "OVER", "ESCAPE"} {
		delete(m, free)
	}
	return m
}()

// found describes the present token without showing what was sent.
func (p *parser) found() string {
	switch t := p.tok; t.kind {
	case end:
		return "the end"
	case word:
		if slices.Contains(keywords, t.key) {
			return t.key
		}
		return "a name"
	case quoted:
		return "a quoted name"
	case text:
		return "a string"
	case number:
		return "a number"
	default:
		return t.key
	}
}

func (p *parser) expected(what string) { p.fail(p.tok.at, "found %s, expected %s", p.found(), what) }

func (p *parser) enter(at int) {
	if p.depth++; p.depth > maxDepth {
		p.fail(at, "nested deeper than %d", maxDepth)
	}
}

// --- words and signs

var signs = []string{"<<=", ">>=", "!~*", "<<", ">>", "<=", ">=", "<>", "!=", "==", "!~", "~*", "||", "//", "::", "(", ")", "[", "]", ",", ".", ";", "=", "<", ">", "+", "-", "*", "/", "%", "~"}

func (p *parser) next() {
	p.last = p.tok.stop
	p.space()
	start := p.pos
	p.tok = token{at: start}
	if start == len(p.text) {
		p.tok.stop = start
		return
	}
	switch c := p.text[start]; {
	case c == '\'':
		p.tok.kind, p.tok.val = text, p.quote('\'', "string")
	case c == '"':
		p.tok.kind, p.tok.val = quoted, p.quote('"', "quoted name")
	case c >= '0' && c <= '9' || c == '.' && start+1 < len(p.text) && isDigit(p.text[start+1]):
		p.tok.kind = number
		p.number()
		p.tok.val = p.text[start:p.pos]
	case isLetter(c):
		p.tok.kind = word
		for p.pos < len(p.text) && (isLetter(p.text[p.pos]) || isDigit(p.text[p.pos])) {
			p.pos++
		}
		p.tok.val = p.text[start:p.pos]
		p.tok.key = strings.ToUpper(p.tok.val)
	default:
		p.tok.kind = sign
		for _, s := range signs {
			if strings.HasPrefix(p.text[start:], s) {
				p.tok.key = s
				p.pos += len(s)
				break
			}
		}
		if p.tok.key == "" {
			p.fail(start, "a character that means nothing here")
		}
	}
	p.tok.stop = p.pos
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLetter(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '@' || c >= utf8.RuneSelf
}

// space skips blanks and comments.
func (p *parser) space() {
	for p.pos < len(p.text) {
		rest := p.text[p.pos:]
		switch {
		case strings.IndexByte(" \t\r\n\f", rest[0]) >= 0:
			p.pos++
		case strings.HasPrefix(rest, "--"):
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				p.pos += i
			} else {
				p.pos = len(p.text)
			}
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest[2:], "*/")
			if i < 0 {
				p.fail(p.pos, "a comment that does not end")
			}
			p.pos += i + 4
		default:
			return
		}
	}
}

func (p *parser) quote(q byte, what string) string {
	start := p.pos
	var b strings.Builder
	for p.pos++; ; p.pos++ {
		i := strings.IndexByte(p.text[p.pos:], q)
		if i < 0 {
			p.fail(start, "a %s that does not end", what)
		}
		b.WriteString(p.text[p.pos : p.pos+i])
		p.pos += i + 1
		if p.pos == len(p.text) || p.text[p.pos] != q {
			return b.String()
		}
		b.WriteByte(q)
	}
}

func (p *parser) number() {
	digits := func() {
		for p.pos < len(p.text) && (isDigit(p.text[p.pos]) || p.text[p.pos] == '_') {
			p.pos++
		}
	}
	digits()
	if p.pos < len(p.text) && p.text[p.pos] == '.' {
		p.pos++
		digits()
	}
	if p.pos < len(p.text) && p.text[p.pos]|0x20 == 'e' {
		at := p.pos
		p.pos++
		if p.pos < len(p.text) && (p.text[p.pos] == '+' || p.text[p.pos] == '-') {
			p.pos++
		}
		if p.pos == len(p.text) || !isDigit(p.text[p.pos]) {
			p.pos = at
		} else {
			digits()
		}
	}
	if p.pos < len(p.text) && isLetter(p.text[p.pos]) {
		p.fail(p.pos, "a number ends in a letter")
	}
}

// is tells whether the present token is a keyword.
func (p *parser) is(key string) bool { return p.tok.kind == word && p.tok.key == key }

// word takes a keyword if it is there.
func (p *parser) word(key string) bool {
	if !p.is(key) {
		return false
	}
	p.next()
	return true
}

// needWord takes a keyword, or fails.
func (p *parser) needWord(key string) {
	if !p.word(key) {
		p.expected(key)
	}
}

func (p *parser) sign(s string) bool {
	if p.tok.kind != sign || p.tok.key != s {
		return false
	}
	p.next()
	return true
}

func (p *parser) need(s string) {
	if !p.sign(s) {
		p.expected(s)
	}
}

// name takes an identifier: case does not matter unless it is quoted.
func (p *parser) name(what string) string {
	t := p.tok
	switch {
	case t.kind == quoted:
		p.next()
		return t.val
	case t.kind == word && !reserved[t.key]:
		p.next()
		return strings.ToLower(t.val)
	}
	p.expected(what)
	return ""
}

// --- queries

func (p *parser) query() *Select {
	p.enter(p.tok.at)
	defer func() { p.depth-- }()
	q := &Select{At: p.tok.at}
	if p.word("WITH") {
		for {
			at := p.tok.at
			c := CTE{Name: p.name("a name for the query")}
			for _, before := range q.With {
				if before.Name == c.Name {
					p.fail(at, "WITH gives this name twice")
				}
			}
			p.needWord("AS")
			p.need("(")
			c.Query = p.query()
			p.need(")")
			q.With = append(q.With, c)
			if !p.sign(",") {
				break
			}
		}
	}
	p.needWord("SELECT")
	q.Distinct = p.word("DISTINCT")
	if !q.Distinct {
		p.word("ALL")
	}
	for {
		q.Items = append(q.Items, p.item())
		if !p.sign(",") {
			break
		}
	}
	if p.word("FROM") {
		q.From = p.from()
	}
	if p.word("WHERE") {
		q.Where = p.expr()
	}
	if p.word("GROUP") {
		p.needWord("BY")
		q.GroupBy = p.list()
	}
	if p.word("HAVING") {
		q.Having = p.expr()
	}
	if p.word("ORDER") {
		p.needWord("BY")
		for {
			q.OrderBy = append(q.OrderBy, p.order())
			if !p.sign(",") {
				break
			}
		}
	}
	for {
		switch {
		case p.is("LIMIT") && q.Limit == nil:
			p.next()
			if !p.word("ALL") {
				n := p.whole("LIMIT")
				q.Limit = &n
			}
			continue
		case p.is("OFFSET") && q.Offset == 0:
			p.next()
			q.Offset = p.whole("OFFSET")
			if !p.word("ROWS") {
				p.word("ROW")
			}
			continue
		}
		break
	}
	for _, other := range []string{"UNION", "INTERSECT", "EXCEPT", "WINDOW"} {
		if p.is(other) {
			p.fail(p.tok.at, "%s is not part of this language", other)
		}
	}
	return q
}

func (p *parser) whole(what string) int64 {
	if p.tok.kind == number {
		if n, err := strconv.ParseInt(p.tok.val, 10, 64); err == nil {
			p.next()
			return n
		}
	}
	p.expected("a whole number for " + what)
	return 0
}

func (p *parser) item() Item {
	start := p.tok.at
	if p.tok.kind == sign && p.tok.key == "*" {
		p.next()
		return Item{Expr: &Star{At: At(start)}}
	}
	it := Item{Expr: p.expr()}
	it.Text = p.text[start:p.last]
	if p.word("AS") {
		it.As = p.alias()
	} else if p.tok.kind == quoted || p.tok.kind == word && !reserved[p.tok.key] {
		it.As = p.name("a name")
	}
	return it
}

// alias takes the name after AS, where any word is a name.
func (p *parser) alias() string {
	if t := p.tok; t.kind == word {
		p.next()
		return strings.ToLower(t.val)
	}
	return p.name("a name")
}

func (p *parser) order() Order {
	o := Order{Expr: p.expr()}
	if p.word("DESC") {
		o.Descending = true
	} else {
		p.word("ASC")
	}
	if p.word("NULLS") {
		first := p.word("FIRST")
		if !first {
			p.needWord("LAST")
		}
		o.NullsFirst = &first
	}
	return o
}

func (p *parser) from() *From {
	f := p.table()
	for {
		var j Join
		switch {
		case p.word("JOIN"):
		case p.is("INNER"):
			p.next()
			p.needWord("JOIN")
		case p.is("LEFT"):
			p.next()
			p.word("OUTER")
			p.needWord("JOIN")
			j.Left = true
		case p.is("RIGHT"), p.is("FULL"), p.is("CROSS"), p.is("NATURAL"):
			p.expected("JOIN or LEFT JOIN: the others are not part of this language")
		case p.tok.kind == sign && p.tok.key == ",":
			p.expected("JOIN … ON to add a table")
		default:
			return &f
		}
		j.From = p.table()
		if p.word("USING") {
			p.need("(")
			for {
				at := At(p.tok.at)
				name := p.name("a column")
				eq := &Binary{At: at, Op: "=", L: &Name{At: at, Table: f.label(), Column: name}, R: &Name{At: at, Table: j.From.label(), Column: name}}
				if j.On == nil {
					j.On = eq
				} else {
					j.On = &Binary{At: at, Op: "AND", L: j.On, R: eq}
				}
				if !p.sign(",") {
					break
				}
			}
			p.need(")")
		} else {
			p.needWord("ON")
			j.On = p.expr()
		}
		f.Joins = append(f.Joins, j)
		if len(f.Joins) > 8 {
			p.fail(p.tok.at, "more than 8 tables are joined")
		}
	}
}

// label is by what name the columns of a table are called.
func (f *From) label() string {
	if f.As != "" {
		return f.As
	}
	return f.Table
}

func (p *parser) table() From {
	f := From{At: p.tok.at}
	if p.sign("(") {
		f.Query = p.query()
		p.need(")")
	} else {
		f.Table = p.name("a table")
	}
	if p.word("AS") {
		f.As = p.name("a name")
	} else if p.tok.kind == quoted || p.tok.kind == word && !reserved[p.tok.key] {
		f.As = p.name("a name")
	}
	return f
}

func (p *parser) list() []Expr {
	var out []Expr
	for {
		out = append(out, p.expr())
		if !p.sign(",") {
			return out
		}
	}
}

// --- expressions, from the loosest operator to the tightest

func (p *parser) expr() Expr {
	p.enter(p.tok.at)
	defer func() { p.depth-- }()
	return p.or()
}

func (p *parser) or() Expr {
	x := p.and()
	for p.is("OR") {
		at := At(p.tok.at)
		p.next()
		x = &Binary{at, "OR", x, p.and()}
	}
	return x
}

func (p *parser) and() Expr {
	x := p.not()
	for p.is("AND") {
		at := At(p.tok.at)
		p.next()
		x = &Binary{at, "AND", x, p.not()}
	}
	return x
}

func (p *parser) not() Expr {
	if p.is("NOT") {
		at := p.tok.at
		p.enter(at)
		defer func() { p.depth-- }()
		p.next()
		return &Unary{At(at), "NOT", p.not()}
	}
	return p.comparison()
}

var comparisons = map[string]string{
	"=": "=", "==": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">=",
	"~": "~", "~*": "~*", "!~": "!~", "!~*": "!~*", "<<": "<<", "<<=": "<<=", ">>": ">>", ">>=": ">>=",
}

func (p *parser) comparison() Expr {
	x := p.sum()
	for {
		at := At(p.tok.at)
		if op, ok := comparisons[p.tok.key]; ok && p.tok.kind == sign {
			p.next()
			x = &Binary{at, op, x, p.sum()}
			continue
		}
		if p.tok.kind != word {
			return x
		}
		not := false
		if p.is("NOT") {
			p.next()
			not = true
			if !p.is("IN") && !p.is("LIKE") && !p.is("ILIKE") && !p.is("BETWEEN") && !p.is("REGEXP") {
				p.expected("IN, LIKE, ILIKE, REGEXP or BETWEEN")
			}
		}
		switch {
		case p.word("IS"):
			n := &Is{At: at, X: x, Not: p.word("NOT"), What: p.tok.key}
			if !p.word("NULL") && !p.word("TRUE") && !p.word("FALSE") {
				p.expected("NULL, TRUE or FALSE")
			}
			x = n
		case p.is("LIKE"), p.is("ILIKE"):
			n := &Like{At: at, X: x, Not: not, Fold: p.is("ILIKE")}
			p.next()
			n.Pattern = p.sum()
			if p.word("ESCAPE") {
				r, size := utf8.DecodeRuneInString(p.tok.val)
				if p.tok.kind != text || size == 0 || size != len(p.tok.val) {
					p.expected("a string of one character after ESCAPE")
				}
				n.Escape = r
				p.next()
			}
			x = n
		case p.word("REGEXP"):
			op := "~"
			if not {
				op = "!~"
			}
			x = &Binary{at, op, x, p.sum()}
		case p.word("BETWEEN"):
			n := &Between{At: at, X: x, Not: not, Low: p.sum()}
			p.needWord("AND")
			n.High = p.sum()
			x = n
		case p.word("IN"):
			n := &In{At: at, X: x, Not: not}
			p.need("(")
			if p.is("SELECT") || p.is("WITH") {
				n.Query = p.query()
			} else {
				n.List = p.list()
			}
			p.need(")")
			x = n
		default:
			return x
		}
	}
}

func (p *parser) sum() Expr {
	x := p.product()
	for p.tok.kind == sign && (p.tok.key == "+" || p.tok.key == "-" || p.tok.key == "||") {
		at, op := At(p.tok.at), p.tok.key
		p.next()
		x = &Binary{at, op, x, p.product()}
	}
	return x
}

func (p *parser) product() Expr {
	x := p.unary()
	for p.tok.kind == sign && (p.tok.key == "*" || p.tok.key == "/" || p.tok.key == "//" || p.tok.key == "%") {
		at, op := At(p.tok.at), p.tok.key
		p.next()
		x = &Binary{at, op, x, p.unary()}
	}
	return x
}

func (p *parser) unary() Expr {
	at := p.tok.at
	if p.sign("-") {
		p.enter(at)
		defer func() { p.depth-- }()
		if p.tok.kind == number {
			return p.postfix(p.numeral(at, "-"))
		}
		return &Unary{At(at), "-", p.unary()}
	}
	if p.sign("+") {
		p.enter(at)
		defer func() { p.depth-- }()
		return p.unary()
	}
	return p.postfix(p.primary())
}

// postfix reads ['key'] and ::type after an operand.
func (p *parser) postfix(x Expr) Expr {
	for {
		at := p.tok.at
		switch {
		case p.sign("["):
			if p.tok.kind != text {
				p.expected("a string as key")
			}
			x = &Index{At(at), x, p.tok.val}
			p.next()
			p.need("]")
		case p.sign("::"):
			x = &Cast{At(at), x, p.typeName()}
		default:
			return x
		}
	}
}

var typeNames = map[string]string{
	"BOOL": "bool", "BOOLEAN": "bool", "INT": "int", "INTEGER": "int", "BIGINT": "int", "INT64": "int", "INT8": "int",
	"FLOAT": "float", "DOUBLE": "float", "REAL": "float", "NUMERIC": "float", "DECIMAL": "float",
	"TEXT": "text", "VARCHAR": "text", "STRING": "text", "TIMESTAMP": "time", "TIMESTAMPTZ": "time", "DATETIME": "time", "TIME": "time",
	"INTERVAL": "interval", "INET": "addr", "IP": "addr", "ADDR": "addr",
}

func (p *parser) typeName() string {
	name, ok := typeNames[p.tok.key]
	if p.tok.kind != word || !ok {
		p.expected("a type: bool, int, float, text, timestamp, interval or inet")
	}
	double := p.is("DOUBLE")
	p.next()
	if double {
		p.word("PRECISION")
	}
	return name
}

// numeral reads the present number, with a sign that came before it.
func (p *parser) numeral(at int, minus string) Expr {
	s := minus + strings.ReplaceAll(p.tok.val, "_", "")
	tok := p.tok
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		p.next()
		return &Int{At(at), n}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		p.fail(tok.at, "a number that is out of range")
	}
	p.next()
	return &Float{At(at), f}
}

func (p *parser) primary() Expr {
	t := p.tok
	at := At(t.at)
	switch t.kind {
	case number:
		return p.numeral(t.at, "")
	case text:
		p.next()
		return &Text{at, t.val}
	case sign:
		if t.key != "(" {
			break
		}
		p.next()
		var x Expr
		if p.is("SELECT") || p.is("WITH") {
			x = &Sub{at, p.query()}
		} else {
			x = p.expr()
		}
		p.need(")")
		return x
	case word:
		if x := p.keyword(at); x != nil {
			return x
		}
		if reserved[t.key] {
			break
		}
		fallthrough
	case quoted:
		name := p.name("a column")
		if t.kind == word && p.tok.kind == sign && p.tok.key == "(" {
			return p.call(at, name)
		}
		if !p.sign(".") {
			return &Name{At: at, Column: name}
		}
		if p.sign("*") {
			return &Star{at, name}
		}
		return &Name{at, name, p.alias()}
	}
	p.expected("an expression")
	return nil
}

// keyword reads the expressions that begin with one, nil if this is none.
func (p *parser) keyword(at At) Expr {
	switch p.tok.key {
	case "NULL":
		p.next()
		return &Null{at}
	case "TRUE", "FALSE":
		v := p.is("TRUE")
		p.next()
		return &Bool{at, v}
	case "CASE":
		p.next()
		return p.caseOf(at)
	case "EXISTS":
		p.next()
		p.need("(")
		q := p.query()
		p.need(")")
		return &Exists{at, q}
	case "CAST", "TRY_CAST":
		p.next()
		p.need("(")
		x := p.expr()
		p.needWord("AS")
		c := &Cast{at, x, p.typeName()}
		p.need(")")
		return c
	case "INTERVAL":
		p.next()
		return p.interval(at)
	case "TIMESTAMP", "TIMESTAMPTZ", "DATE":
		if rest := strings.TrimLeft(p.text[p.pos:], " \t\r\n"); !strings.HasPrefix(rest, "'") {
			return nil // a column or function of that name
		}
		p.next()
		lit := p.tok
		n, err := ParseTime(lit.val)
		if err != nil {
			p.fail(lit.at, "%v", err)
		}
		p.next()
		return &Time{at, n}
	case "CURRENT_TIMESTAMP":
		p.next()
		return &Call{At: at, Name: "now"}
	}
	return nil
}

func (p *parser) caseOf(at At) Expr {
	p.enter(int(at))
	defer func() { p.depth-- }()
	c := &Case{At: at}
	if !p.is("WHEN") {
		c.Of = p.expr()
	}
	for p.word("WHEN") {
		w := When{If: p.expr()}
		p.needWord("THEN")
		w.Then = p.expr()
		c.Whens = append(c.Whens, w)
	}
	if len(c.Whens) == 0 {
		p.expected("WHEN")
	}
	if p.word("ELSE") {
		c.Else = p.expr()
	}
	p.needWord("END")
	return c
}

func (p *parser) call(at At, name string) Expr {
	c := &Call{At: at, Name: strings.ToLower(name)}
	p.need("(")
	switch {
	case p.sign("*"):
		c.Star = true
	case p.tok.kind == sign && p.tok.key == ")":
	default:
		c.Distinct = p.word("DISTINCT")
		c.Args = p.list()
	}
	p.need(")")
	if p.is("FILTER") {
		p.next()
		p.need("(")
		p.needWord("WHERE")
		c.Filter = p.expr()
		p.need(")")
	}
	if p.is("OVER") {
		p.fail(p.tok.at, "window functions are not part of this language")
	}
	return c
}

func (p *parser) interval(at At) Expr {
	lit := p.tok
	if lit.kind != text && lit.kind != number {
		p.expected("a string such as '1 hour'")
	}
	p.next()
	s := lit.val
	if p.tok.kind == word {
		if _, ok := units[strings.ToLower(p.tok.val)]; ok {
			s += " " + p.tok.val
			p.next()
		}
	}
	n, months, err := ParseInterval(s)
	if err != nil {
		p.fail(lit.at, "%v", err)
	}
	return &Interval{at, n, months}
}

// units are those of intervals, in nanoseconds; a month is negative.
var units = func() map[string]int64 {
	m := make(map[string]int64)
	for names, size := range map[string]int64{
		"ns nanosecond nanoseconds": 1, "us microsecond microseconds": 1e3, "ms millisecond milliseconds": 1e6,
		"s sec secs second seconds": 1e9, "m min mins minute minutes": 60e9, "h hr hrs hour hours": 3600e9,
		"d day days": 86400e9, "w week weeks": 7 * 86400e9,
		"mon mons month months": -1, "quarter quarters": -3, "y yr year years": -12,
	} {
		for _, n := range strings.Fields(names) {
			m[n] = size
		}
	}
	return m
}()

// ParseInterval reads '1 hour 30 minutes', '90s', '1.5 h', '-2 days' or '01:30:00'.
func ParseInterval(s string) (nanos, months int64, err error) {
	bad := fmt.Errorf("not an interval: write it as '1 hour' or '2 days 30 minutes'")
	rest := strings.TrimSpace(s)
	if rest == "" {
		return 0, 0, bad
	}
	for rest != "" {
		end := 0
		for end < len(rest) && (isDigit(rest[end]) || strings.IndexByte("+-.:", rest[end]) >= 0) {
			end++
		}
		num := rest[:end]
		rest = strings.TrimSpace(rest[end:])
		if strings.Contains(num, ":") {
			n, ok := clock(num)
			if !ok {
				return 0, 0, bad
			}
			nanos += n
			continue
		}
		v, err := strconv.ParseFloat(num, 64)
		if err != nil {
			return 0, 0, bad
		}
		end = 0
		for end < len(rest) && isLetter(rest[end]) {
			end++
		}
		size, ok := units[strings.ToLower(rest[:end])]
		if !ok {
			return 0, 0, bad
		}
		rest = strings.TrimSpace(rest[end:])
		if size < 0 {
			if v != math.Trunc(v) || math.Abs(v) > 12e4 {
				return 0, 0, bad
			}
			months += int64(v) * -size
			continue
		}
		n := math.Round(v * float64(size))
		if math.Abs(n) >= 9e18 || math.Abs(float64(nanos)+n) >= 9e18 {
			return 0, 0, fmt.Errorf("an interval of more than 292 years")
		}
		if w, err := strconv.ParseInt(num, 10, 64); err == nil {
			nanos += w * size
		} else {
			nanos += int64(n)
		}
	}
	return nanos, months, nil
}

// clock reads hh:mm or hh:mm:ss.
func clock(s string) (int64, bool) {
	minus := strings.HasPrefix(s, "-")
	parts := strings.Split(strings.TrimLeft(s, "+-"), ":")
	if len(parts) > 3 {
		return 0, false
	}
	total := int64(0)
	for i, size := range []int64{3600e9, 60e9, 1e9}[:len(parts)] {
		v, err := strconv.ParseFloat(parts[i], 64)
		if err != nil || v < 0 || v > 1e6 || i < 2 && v != math.Trunc(v) {
			return 0, false
		}
		total += int64(math.Round(v * float64(size)))
	}
	if minus {
		total = -total
	}
	return total, true
}

var layouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05-07", "2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
}

var firstTime, lastTime = time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64)

// ParseTime reads a time as RFC 3339 or less of it; without a zone it is UTC.
func ParseTime(s string) (int64, error) {
	for _, layout := range layouts {
		t, err := time.Parse(layout, strings.TrimSpace(s))
		if err != nil {
			continue
		}
		if t.Before(firstTime) || t.After(lastTime) {
			return 0, fmt.Errorf("a time outside 1678 to 2262")
		}
		return t.UnixNano(), nil
	}
	return 0, fmt.Errorf("not a time: write it as '2026-03-02T15:04:05Z'")
}
