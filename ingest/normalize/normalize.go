// Package normalize gives each field of a row its one spelling, and derives
// the columns that follow from others.
//
// In: a [tokenwatch.Row] as a parser filled it. Out: the same row, with method
// in upper and host in lower case, and with route, action, action_class,
// agent_family, outcome, error and the kind of src_ip filled where the parser
// left them empty. It never overrides what the record gave but to spell it as
// everyone else does, reads no clock, and keeps nothing of a row but, in
// bounded caches, recent user agents, routes and operations with what follows
// from them.
package normalize

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// Normalizer normalizes rows one after another. It is not safe for use from
// several goroutines; each keeps its own.
type Normalizer struct {
	agents  memo // families by user agent
	classes memo // action classes by method and route, or by operation
	lower   []byte
	usual   [len(usualWords)]*tokenwatch.Word
}

// New returns a Normalizer with empty caches.
func New() *Normalizer {
	n := &Normalizer{agents: newMemo(), classes: newMemo()}
	for i, text := range usualWords {
		n.usual[i] = tokenwatch.NewWord(text)
	}
	return n
}

// usualWords are what nearly every row is told.
var usualWords = [...]string{"success", "public", "private", "denied", "failure"}

// say gives a column a text of ours.
func (n *Normalizer) say(row *tokenwatch.Row, c tokenwatch.Col, text string) {
	for i := range usualWords {
		if usualWords[i] == text {
			row.SetWord(c, n.usual[i])
			return
		}
	}
	row.SetString(c, text)
}

// maxMethod is the length of the longest method that is written in upper case
// whatever its spelling. Longer text is none, and could be an encoding.
const maxMethod = 15

// Normalize completes row. What it adds lives as long as the row's other values.
func (n *Normalizer) Normalize(row *tokenwatch.Row) {
	if m := row.Text(tokenwatch.ColMethod); m != nil && len(m) <= maxMethod && hasLower(m) {
		row.SetText(tokenwatch.ColMethod, row.Build(func(b []byte) []byte { return appendUpper(b, m) }))
	}
	if h := row.Text(tokenwatch.ColHost); h != nil && hasUpper(h) {
		row.SetText(tokenwatch.ColHost, row.Build(func(b []byte) []byte { return appendLower(b, h) }))
	}
	if s := row.Text(tokenwatch.ColScheme); s != nil && hasUpper(s) {
		row.SetText(tokenwatch.ColScheme, row.Build(func(b []byte) []byte { return appendLower(b, s) }))
	}
	n.routeAndAction(row)
	if !row.Has(tokenwatch.ColAgentFamily) {
		if ua := row.Text(tokenwatch.ColUserAgent); ua != nil {
			family, again := n.agents.get(nil, ua, func() string { return AgentFamily(ua) })
			set(row, tokenwatch.ColAgentFamily, family, again)
			if again != nil {
				row.SetWord(tokenwatch.ColUserAgent, again.text)
			}
		}
	}
	n.outcome(row)
	if !row.Has(tokenwatch.ColSrcCloud) && row.Has(tokenwatch.ColSrcIP) {
		n.say(row, tokenwatch.ColSrcCloud, addressKind(row.Addr()))
	}
}

// routeAndAction fills route, action and action_class.
func (n *Normalizer) routeAndAction(row *tokenwatch.Row) {
	provided, routed := row.Has(tokenwatch.ColAction), row.Has(tokenwatch.ColRoute)
	method, route := row.Text(tokenwatch.ColMethod), row.Text(tokenwatch.ColRoute)
	if path := row.Text(tokenwatch.ColPath); path != nil && !routed {
		route = row.Build(func(b []byte) []byte { return AppendRoute(b, path) })
		if len(route) == 0 {
			route = nil
		}
	}
	class, again := "", (*answer)(nil)
	switch {
	case method != nil && !(provided && route == nil):
		class, again = n.classes.get(method, route, func() string {
			n.lower = appendLower(n.lower[:0], route)
			return requestClass(method, n.lower)
		})
	case provided:
		action := row.Text(tokenwatch.ColAction)
		if class, again = n.classes.get(nil, action, func() string { return n.operationClass(action) }); again != nil {
			row.SetWord(tokenwatch.ColAction, again.text)
		}
	}
	known := again != nil && again.route != nil
	if route != nil && !routed {
		if known {
			row.SetWord(tokenwatch.ColRoute, again.route)
		} else {
			row.SetText(tokenwatch.ColRoute, route)
		}
	}
	if !provided && method != nil && route != nil {
		if known {
			row.SetWord(tokenwatch.ColAction, again.action)
		} else {
			row.SetText(tokenwatch.ColAction, row.Build(func(b []byte) []byte {
				b = append(append(b, method...), ' ')
				return append(b, route...)
			}))
		}
	}
	if given := row.Text(tokenwatch.ColActionClass); given != nil {
		if own := classWord(given); own != "" {
			row.SetString(tokenwatch.ColActionClass, own)
			return
		}
		row.Clear(tokenwatch.ColActionClass) // not of our words: derived instead
	}
	set(row, tokenwatch.ColActionClass, class, again)
}

func hasLower(b []byte) bool {
	for _, c := range b {
		if c >= 'a' && c <= 'z' {
			return true
		}
	}
	return false
}

func hasUpper(b []byte) bool {
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			return true
		}
	}
	return false
}

func appendUpper(dst, b []byte) []byte {
	for _, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func appendLower(dst, b []byte) []byte {
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func contains(b []byte, s string) bool { return bytes.Contains(b, []byte(s)) }
