package expr

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/tokenwatch/tokenwatch"
)

// textTest is a test of a text: LIKE, a regular expression, a substring.
type textTest struct {
	x       Expr
	test    func(string) bool
	literal string // what must occur in the text; "" : unknown
	only    bool   // literal tells all: the test is whether it occurs
	not     bool

	parts  []string // more that must occur
	suffix string   // what the text must end with
}

// Contains is true where text x has sub in it.
func Contains(x Expr, sub string) (Expr, error) {
	return newTextTest(x, &textTest{test: func(s string) bool { return strings.Contains(s, sub) }, literal: sub, only: true})
}

// HasPrefix is true where text x begins with prefix.
func HasPrefix(x Expr, prefix string) (Expr, error) {
	return newTextTest(x, &textTest{test: func(s string) bool { return strings.HasPrefix(s, prefix) }, literal: prefix})
}

// HasSuffix is true where text x ends with suffix.
func HasSuffix(x Expr, suffix string) (Expr, error) {
	return newTextTest(x, &textTest{test: func(s string) bool { return strings.HasSuffix(s, suffix) }, literal: suffix})
}

const maxPattern = 4096 // bytes of a regular expression or LIKE pattern

// Match is true where the regular expression (RE2) matches somewhere in text x.
func Match(x Expr, pattern string, fold, not bool) (Expr, error) {
	if len(pattern) > maxPattern {
		return nil, typeError("the pattern is longer than %d bytes", maxPattern)
	}
	if fold {
		pattern = "(?i)" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, typeError("not a regular expression (RE2), or one that grows too large")
	}
	t := &textTest{test: re.MatchString, not: not}
	if literal, whole := re.LiteralPrefix(); whole && literal != "" {
		t.test, t.literal, t.only = func(s string) bool { return strings.Contains(s, literal) }, literal, true
	} else {
		t.literal = literal
	}
	return newTextTest(x, t)
}

// Like is true where text x fits the pattern: % stands for any characters, _ for
// one, escape (0: none) before one of them for itself.
func Like(x Expr, pattern string, fold bool, escape rune, not bool) (Expr, error) {
	if len(pattern) > maxPattern {
		return nil, typeError("the pattern is longer than %d bytes", maxPattern)
	}
	if fold {
		pattern = foldCase(pattern)
	}
	p, err := newPattern(pattern, escape)
	if err != nil {
		return nil, err
	}
	t := &textTest{not: not, literal: p.longest()}
	if p.plain {
		last := len(p.parts) - 1
		for _, part := range p.parts {
			t.parts = append(t.parts, string(part))
		}
		t.suffix = t.parts[last]
	}
	switch {
	case p.plain && len(p.parts) == 1:
		t.test = func(s string) bool { return s == string(p.parts[0]) }
	case p.plain && len(p.parts) == 3 && len(p.parts[0]) == 0 && len(p.parts[2]) == 0:
		sub := t.literal
		t.test, t.only = func(s string) bool { return strings.Contains(s, sub) }, true
	default:
		t.test = p.match
	}
	if fold {
		inner := t.test
		t.test, t.literal, t.only = func(s string) bool { return inner(foldCase(s)) }, "", false
		t.parts, t.suffix = nil, ""
	}
	return newTextTest(x, t)
}

// foldCase is s in lower case, for comparing without regard to case.
func foldCase(s string) string { return strings.ToLower(s) }

func newTextTest(x Expr, t *textTest) (Expr, error) {
	switch x.Type() {
	case TypeText, TypeJSON:
	case TypeNull:
		return Const(Value{Type: TypeBool, Null: true}), nil
	case TypeMap:
		return nil, typeError("attrs as a whole cannot be matched: name a key, attrs['key']")
	default:
		x = mustCast(x, TypeText)
	}
	t.x = x
	return finish(t), nil
}

func (t *textTest) Type() Type       { return TypeBool }
func (t *textTest) children() []Expr { return []Expr{t.x} }

func (t *textTest) eval(f *Frame, sel []int32, n int) Vec {
	v := t.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	out := Vec{Type: TypeBool, Const: v.Const, Bools: make([]bool, n), Valid: v.validity(n)}
	for i := range n {
		out.Bools[i] = t.test(v.Str(i)) != t.not
	}
	return out
}

func (t *textTest) filter(f *Frame, sel []int32, n int, out []int32) []int32 {
	c, ok := t.x.(*column)
	if !ok {
		v := t.eval(f, sel, n)
		return trueRows(&v, sel, n, out)
	}
	v := &f.Cols[c.at]
	if v.Const || v.Codes != nil {
		r := t.eval(f, sel, n)
		return trueRows(&r, sel, n, out)
	}
	if t.literal != "" && !t.not && sel == nil {
		return t.search(v, n, out)
	}
	for k := range n {
		if i := int(row(sel, k)); v.Valid.At(i) && t.test(v.Text.At(i)) != t.not {
			out = append(out, int32(i))
		}
	}
	return out
}

// search looks for the literal in the bytes of all rows at once, and only then
// at the rows in which it occurs.
func (t *textTest) search(v *Vec, n int, out []int32) []int32 {
	offsets := v.Text.Offsets[:n+1]
	end := int(offsets[n])
	literal := []byte(t.literal)
	i, at := 0, int(offsets[0])
	for at < end {
		hit := bytes.Index(v.Text.Bytes[at:end], literal)
		if hit < 0 {
			break
		}
		at += hit
		for int(offsets[i+1]) <= at {
			i++
		}
		if at+len(literal) > int(offsets[i+1]) { // goes on in the next row
			at++
			continue
		}
		if v.Valid.At(i) && (t.only || t.test(v.Text.At(i))) {
			out = append(out, int32(i))
		}
		at = int(offsets[i+1])
	}
	return out
}

// Substring returns the column of which e demands that a string occurs in it,
// and the string: for pruning.
func Substring(e Expr) (col int, sub string, ok bool) {
	t, is := unwrap(e).(*textTest)
	if !is || t.not || t.literal == "" {
		return 0, "", false
	}
	c, is := t.x.(*column)
	if !is {
		return 0, "", false
	}
	return c.at, t.literal, true
}

// TextTest returns the column of which e is a test that demands that a string
// occurs in it, and the test.
func TextTest(e Expr) (col int, test *tokenwatch.TextTest, ok bool) {
	col, sub, ok := Substring(e)
	if !ok {
		return 0, nil, false
	}
	t := unwrap(e).(*textTest)
	test = &tokenwatch.TextTest{Parts: []string{sub}, Suffix: t.suffix, Test: t.test}
	for _, p := range t.parts {
		if p != "" && p != sub {
			test.Parts = append(test.Parts, p)
		}
	}
	if t.only {
		test.Test = nil
	}
	return col, test, true
}

// pattern is a LIKE pattern cut at its %: the first part must begin the text,
// the last must end it, the others follow each other anywhere between.
type pattern struct {
	parts [][]byte // wild, as a byte no UTF-8 has, stands for _
	plain bool     // no _
}

const wild = 0xff

func newPattern(s string, escape rune) (*pattern, error) {
	p := &pattern{plain: true}
	part := []byte{}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case escape != 0 && r == escape:
			if i == len(s) {
				return nil, typeError("the pattern ends in its escape character")
			}
			_, size = utf8.DecodeRuneInString(s[i:])
			part = append(part, s[i:i+size]...)
			i += size
		case r == '%':
			if len(p.parts) > 0 && len(part) == 0 { // %% is %
				continue
			}
			p.parts, part = append(p.parts, part), []byte{}
		case r == '_':
			part, p.plain = append(part, wild), false
		default:
			part = append(part, s[i-size:i]...)
		}
	}
	p.parts = append(p.parts, part)
	return p, nil
}

// longest returns the longest run of bytes that a fitting text must have.
func (p *pattern) longest() string {
	best := []byte{}
	for _, part := range p.parts {
		for _, run := range bytes.Split(part, []byte{wild}) {
			if len(run) > len(best) {
				best = run
			}
		}
	}
	return string(best)
}

func (p *pattern) match(s string) bool {
	rest, ok := fits(s, p.parts[0])
	if !ok {
		return false
	}
	if len(p.parts) == 1 {
		return rest == ""
	}
	last := len(p.parts) - 1
	for _, part := range p.parts[1:last] {
		if rest, ok = p.find(rest, part); !ok {
			return false
		}
	}
	return endsWith(rest, p.parts[last])
}

// find returns what follows the first place at which part fits.
func (p *pattern) find(s string, part []byte) (string, bool) {
	if p.plain {
		i := strings.Index(s, string(part))
		if i < 0 {
			return "", false
		}
		return s[i+len(part):], true
	}
	for {
		if rest, ok := fits(s, part); ok {
			return rest, true
		}
		if s == "" {
			return "", false
		}
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
}

// fits tells whether s begins with part, and returns what follows.
func fits(s string, part []byte) (string, bool) {
	for _, c := range part {
		if s == "" {
			return "", false
		}
		if c == wild {
			_, size := utf8.DecodeRuneInString(s)
			s = s[size:]
			continue
		}
		if s[0] != c {
			return "", false
		}
		s = s[1:]
	}
	return s, true
}

func endsWith(s string, part []byte) bool {
	for i := len(part) - 1; i >= 0; i-- {
		if s == "" {
			return false
		}
		if part[i] == wild {
			_, size := utf8.DecodeLastRuneInString(s)
			s = s[:len(s)-size]
			continue
		}
		if s[len(s)-1] != part[i] {
			return false
		}
		s = s[:len(s)-1]
	}
	return true
}

// attr is attrs['key'].
type attr struct {
	x   Expr
	key string
}

// Attr is what the map x has under a key, null where it has none. Of a key that
// occurs twice in a row the last one counts.
func Attr(x Expr, key string) (Expr, error) {
	if _, ok := x.(*column); !ok || x.Type() != TypeMap {
		return nil, typeError("only attrs has keys: attrs['key']")
	}
	return &attr{x, key}, nil
}

func (a *attr) Type() Type       { return TypeText }
func (a *attr) children() []Expr { return []Expr{a.x} }

func (a *attr) eval(f *Frame, sel []int32, n int) Vec {
	at, _ := ColumnAt(a.x)
	v := &f.Cols[at]
	if v.Type == TypeNull || v.Attrs == nil || v.Attrs.Offsets == nil {
		return NullOf(TypeText)
	}
	code, ok := uint32(0), false
	for i := range v.Attrs.Dict.Len() {
		if v.Attrs.Dict.At(i) == a.key {
			code, ok = uint32(i), true
		}
	}
	if !ok {
		return NullOf(TypeText)
	}
	out := Vec{Type: TypeText, Text: tokenwatch.Strings{Offsets: make([]int32, 1, n+1)}, Valid: make(tokenwatch.Bitmap, (n+7)/8)}
	for k := range n {
		i := v.First + int(row(sel, k))
		for j := v.Attrs.Offsets[i+1] - 1; j >= v.Attrs.Offsets[i]; j-- {
			if v.Attrs.Keys[j] == code {
				out.Valid.Set(k)
				out.Text.Bytes = append(out.Text.Bytes, v.Attrs.Values.At(int(j))...)
				break
			}
		}
		out.Text.Offsets = append(out.Text.Offsets, int32(len(out.Text.Bytes)))
	}
	return out
}
