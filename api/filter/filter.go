// Package filter reads the filters and orders of list requests, AIP-160 and
// AIP-132, and applies them to values in memory.
//
// In come a text and a table of what it may name ([Fields]); out goes a function
// that says yes or no to one value ([Filter]), or puts values in order ([Order]).
// A text is understood whole or refused: an unknown field, a comparison that a
// field does not have or a value that cannot be read is an [Error], which says
// where and never repeats what was sent. Work and memory are bounded by the
// length of the text.
package filter

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Limits of a filter.
const (
	MaxLength = 4096 // characters
	MaxTerms  = 64
	maxDepth  = 32 // of parentheses and negations
)

// Fields are what a filter over T may name.
type Fields[T any] map[string]Field[T]

// Filter tells which values are wanted. The nil Filter wants all.
type Filter[T any] func(*T) bool

// Match tells whether v is wanted.
func (f Filter[T]) Match(v *T) bool { return f == nil || f(v) }

// Error is why a text is no filter or no order.
type Error struct {
	At      int // character, from 1; 0 where the whole is meant
	Message string
}

func (e *Error) Error() string {
	if e.At == 0 {
		return e.Message
	}
	return fmt.Sprintf("at character %d: %s", e.At, e.Message)
}

// Config is how a filter is read, besides its text.
type Config[T any] struct {
	Fields Fields[T]
	// Search are the texts that a word by itself is looked for in; nil: a word by
	// itself is an error.
	Search func(*T) []string
	// Name is what a value given for a field of names stands for, for example the
	// id of a secret; nil: itself.
	Name func(value string) []string
}

// Parse reads a filter; an empty text wants everything.
//
// Terms are joined by AND, OR and NOT, in upper case; OR binds more tightly than
// AND, as AIP-160 has it, and terms side by side are joined by AND. A term is
// field, operator (= != < <= > >= :) and value, or a word by itself.
func Parse[T any](text string, c Config[T]) (Filter[T], error) {
	if len(text) > MaxLength {
		return nil, &Error{Message: fmt.Sprintf("the filter is longer than %d characters", MaxLength)}
	}
	p := &parser[T]{scanner: scanner{text: text}, config: c}
	p.space()
	if p.done() {
		return nil, nil
	}
	f, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if !p.done() {
		return nil, p.errorf("a closing parenthesis too many")
	}
	return f, nil
}

type parser[T any] struct {
	scanner
	config Config[T]
	terms  int
}

// expression is sequences joined by AND.
func (p *parser[T]) expression(depth int) (Filter[T], error) {
	if depth > maxDepth {
		return nil, p.errorf("the filter is nested too deeply")
	}
	all, err := p.factor(depth)
	if err != nil {
		return nil, err
	}
	for {
		p.space()
		if p.done() || p.peek() == ')' {
			return all, nil
		}
		p.keyword("AND") // or side by side, which is the same
		next, err := p.factor(depth)
		if err != nil {
			return nil, err
		}
		before := all
		all = func(v *T) bool { return before(v) && next(v) }
	}
}

// factor is terms joined by OR.
func (p *parser[T]) factor(depth int) (Filter[T], error) {
	any, err := p.term(depth)
	if err != nil {
		return nil, err
	}
	for {
		p.space()
		if !p.keyword("OR") {
			return any, nil
		}
		next, err := p.term(depth)
		if err != nil {
			return nil, err
		}
		before := any
		any = func(v *T) bool { return before(v) || next(v) }
	}
}

// term is a restriction or an expression in parentheses, perhaps negated.
func (p *parser[T]) term(depth int) (Filter[T], error) {
	p.space()
	if p.keyword("NOT") || p.accept('-') {
		f, err := p.simple(depth + 1)
		if err != nil {
			return nil, err
		}
		return func(v *T) bool { return !f(v) }, nil
	}
	return p.simple(depth)
}

func (p *parser[T]) simple(depth int) (Filter[T], error) {
	if p.accept('(') {
		p.space()
		f, err := p.expression(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.accept(')') {
			return nil, p.errorf("a closing parenthesis is missing")
		}
		return f, nil
	}
	if p.terms++; p.terms > MaxTerms {
		return nil, p.errorf("the filter has more than %d terms", MaxTerms)
	}
	return p.restriction()
}

func (p *parser[T]) restriction() (Filter[T], error) {
	start := p.at
	if p.done() || p.atKeyword() {
		return nil, p.errorf("a term is missing: a field, an operator and a value")
	}
	quoted := p.peek() == '"' || p.peek() == '\''
	name, err := p.word(true)
	if err != nil {
		return nil, err
	}
	p.space()
	op, opAt := p.operator(), p.at
	if op == "" {
		return p.search(name, start)
	}
	if quoted {
		return nil, p.errorAt(start, "a field is written without quotes")
	}
	field, ok := p.config.Fields[name]
	if !ok {
		return nil, p.errorAt(start, "no field of that name; there are "+strings.Join(p.config.Fields.names(), ", "))
	}
	p.space()
	value := value{quoted: !p.done() && (p.peek() == '"' || p.peek() == '\'')}
	valueAt := p.at
	if value.text, err = p.word(false); err != nil {
		return nil, err
	}
	f, refused := field.compile(op, value, p.config.Name)
	switch {
	case refused == nil:
		return f, nil
	case refused.operator:
		return nil, p.errorAt(opAt-len(op), refused.message)
	default:
		return nil, p.errorAt(valueAt, refused.message)
	}
}

// search is a word by itself: any of the texts has it, in whatever case.
func (p *parser[T]) search(word string, at int) (Filter[T], error) {
	if p.config.Search == nil || word == "" {
		return nil, p.errorAt(at, "a term is a field, an operator and a value")
	}
	texts, want := p.config.Search, strings.ToLower(word)
	return func(v *T) bool {
		return slices.ContainsFunc(texts(v), func(s string) bool { return strings.Contains(strings.ToLower(s), want) })
	}, nil
}

func (f Fields[T]) names() []string { return slices.Sorted(maps.Keys(f)) }
