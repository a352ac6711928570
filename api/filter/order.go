package filter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// maxOrder is how many fields values are put in order by.
const maxOrder = 3

// Order puts values in the order of some of their fields. The zero Order leaves
// everything equal.
type Order[T any] struct {
	by []ordered[T]
}

type ordered[T any] struct {
	key  func(*T) []byte
	desc bool
}

// ParseOrder reads an order as AIP-132 has it: fields between commas, each with
// desc behind it where the greatest comes first.
func ParseOrder[T any](text string, fields Fields[T]) (Order[T], error) {
	var o Order[T]
	if strings.TrimSpace(text) == "" {
		return o, nil
	}
	parts := strings.Split(text, ",")
	if len(parts) > maxOrder {
		return o, &Error{Message: fmt.Sprintf("an order has at most %d fields", maxOrder)}
	}
	for _, part := range parts {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 || len(words) == 2 && words[1] != "desc" && words[1] != "asc" {
			return o, &Error{Message: "an order is fields between commas, each perhaps with desc behind it"}
		}
		f, ok := fields[words[0]]
		if !ok || f.key == nil {
			var names []string
			for _, name := range fields.names() {
				if fields[name].key != nil {
					names = append(names, name)
				}
			}
			return o, &Error{Message: "nothing can be ordered by that name; there are " + strings.Join(names, ", ")}
		}
		o.by = append(o.by, ordered[T]{f.key, len(words) == 2 && words[1] == "desc"})
	}
	return o, nil
}

// IsZero tells whether the order leaves everything equal.
func (o Order[T]) IsZero() bool { return len(o.by) == 0 }

// Key returns bytes that sort as the order has it, ended by last, which parts
// what is equal otherwise.
func (o Order[T]) Key(v *T, last ...byte) []byte {
	var key []byte
	for _, by := range o.by {
		part := by.key(v)
		if by.desc {
			part = complement(part)
		}
		key = append(key, part...)
	}
	return append(key, last...)
}

func complement(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = ^c
	}
	return out
}

// Page gathers the first values behind a key, and holds few more than it
// returns, however many it is shown.
type Page[T any] struct {
	size  int
	after []byte
	items []item[T]
}

type item[T any] struct {
	key   []byte
	value T
}

// NewPage returns a page of size values, those behind key after; nil is the
// first page.
func NewPage[T any](size int, after []byte) *Page[T] { return &Page[T]{size: size, after: after} }

// Add shows a value to the page.
func (p *Page[T]) Add(key []byte, v T) {
	if p.after != nil && bytes.Compare(key, p.after) <= 0 {
		return
	}
	if p.items = append(p.items, item[T]{key, v}); len(p.items) >= 2*(p.size+1) {
		p.trim()
	}
}

// Full tells whether the page needs to see no more, of values shown to it in
// order.
func (p *Page[T]) Full() bool { return len(p.items) > p.size }

func (p *Page[T]) trim() {
	slices.SortFunc(p.items, func(a, b item[T]) int { return bytes.Compare(a.key, b.key) })
	if len(p.items) > p.size+1 {
		clear(p.items[p.size+1:])
		p.items = p.items[:p.size+1]
	}
}

// Values returns the page, and the key behind which the next one begins; nil if
// this is the last.
func (p *Page[T]) Values() (values []T, next []byte) {
	p.trim()
	if len(p.items) > p.size {
		next = p.items[p.size-1].key
	}
	for i := range min(len(p.items), p.size) {
		values = append(values, p.items[i].value)
	}
	return values, next
}
