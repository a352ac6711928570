package enrich

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// Route is what a table says of a method and a path.
type Route struct {
	Template string // /v1/users/{id}
	Method   string // upper case; "" for every method
	Scope    string // that a token needs for it
	Risk     string // high, normal …
}

// Routes finds the route of a request. It never changes, and may be used from
// many goroutines.
type Routes struct {
	root    node
	sum     [32]byte
	entries int
	unused  []int
}

// node is a place in the tree of path segments. A plain segment goes before one
// that may be anything.
type node struct {
	plain map[string]*node
	any   *node
	rest  []Route // of a template that ends here with **: whatever follows
	here  []Route
}

// ErrNoRoutes says that a file is a table, but names no route.
var ErrNoRoutes = errors.New("it holds no routes")

// ParseRoutes reads a table of routes: a JSON list of objects with route, method,
// scope and risk, an object with such a list, or CSV with a line of these names.
// In a template {id}, :id, <id> and * stand for one segment, ** at its end for
// any number.
func ParseRoutes(data []byte) (*Routes, error) {
	r := &Routes{sum: digest(data)}
	var err error
	if t := bytes.TrimLeft(data, " \t\r\n"); len(t) > 0 && (t[0] == '[' || t[0] == '{') {
		err = r.addJSON(t)
	} else {
		err = r.addCSV(data)
	}
	if err == nil && r.entries == 0 {
		err = ErrNoRoutes
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Summary says what was read.
func (r *Routes) Summary() Summary {
	return Summary{tokenwatch.TableRoutes, r.entries, r.sum, r.unused}
}

var (
	templateNames = []string{"route", "template", "path", "pattern", "uri", "endpoint", "url"}
	methodNames   = []string{"method", "verb", "httpmethod"}
	scopeNames    = []string{"scope", "permission", "requiredscope", "scopes", "requires"}
	riskNames     = []string{"risk", "risklevel", "severity", "sensitivity"}
	routeNames    = set(templateNames, methodNames, scopeNames, riskNames)
)

func (r *Routes) addCSV(data []byte) error {
	s, err := newSheet(data, routeNames, nil)
	if err != nil {
		return err
	}
	if !s.has(templateNames...) {
		return wrong(1, "no column is called route")
	}
	r.unused = s.unused
	for {
		more, err := s.next()
		if err != nil || !more {
			return err
		}
		route := Route{s.get(templateNames...), s.get(methodNames...), s.get(scopeNames...), s.get(riskNames...)}
		if err := r.add(route); err != nil {
			return wrong(s.at(), "%w", err)
		}
	}
}

func (r *Routes) addJSON(data []byte) error {
	items, err := listOf(data, "routes", "policy", "endpoints")
	if err != nil {
		return err
	}
	for i, item := range items {
		o, err := objectOf(item)
		if err == nil {
			err = r.add(Route{o.text(templateNames...), o.text(methodNames...), o.text(scopeNames...), o.text(riskNames...)})
		}
		if err != nil {
			return wrongItem(i, err)
		}
	}
	return nil
}

var errTemplate = errors.New("the route is no path such as /v1/users/{id}")

func (r *Routes) add(route Route) error {
	route.Method, route.Risk = strings.ToUpper(route.Method), strings.ToLower(route.Risk)
	if route.Method == "*" || route.Method == "ANY" {
		route.Method = ""
	}
	if !strings.HasPrefix(route.Template, "/") || len(route.Template) > 1024 {
		return errTemplate
	}
	at := &r.root
	segments := strings.FieldsFunc(route.Template, func(c rune) bool { return c == '/' })
	for i, seg := range segments {
		if seg == "**" && i == len(segments)-1 {
			at.rest = append(at.rest, route)
			r.entries++
			return nil
		}
		at = at.child(seg)
	}
	at.here = append(at.here, route)
	r.entries++
	return nil
}

func (n *node) child(seg string) *node {
	if seg[0] == '{' || seg[0] == ':' || seg[0] == '<' || seg == "*" {
		if n.any == nil {
			n.any = &node{}
		}
		return n.any
	}
	if n.plain == nil {
		n.plain = map[string]*node{}
	}
	c, ok := n.plain[seg]
	if !ok {
		c = &node{}
		n.plain[seg] = c
	}
	return c
}

// Lookup returns the route of a request, nil if the table has none for it.
func (r *Routes) Lookup(method, path []byte) *Route {
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	if len(path) == 0 || path[0] != '/' {
		return nil
	}
	steps := 0
	return r.root.find(method, path, &steps)
}

// maxSteps bounds what a path may cost in a table with many wildcards.
const maxSteps = 256

func (n *node) find(method, path []byte, steps *int) *Route {
	if *steps++; *steps > maxSteps {
		return nil
	}
	for len(path) > 0 && path[0] == '/' {
		path = path[1:]
	}
	if len(path) == 0 {
		if r := pick(n.here, method); r != nil {
			return r
		}
		return pick(n.rest, method)
	}
	seg, rest, _ := bytes.Cut(path, []byte{'/'})
	if c, ok := n.plain[string(seg)]; ok {
		if r := c.find(method, rest, steps); r != nil {
			return r
		}
	}
	if n.any != nil {
		if r := n.any.find(method, rest, steps); r != nil {
			return r
		}
	}
	return pick(n.rest, method)
}

// pick returns the route of a method: its own before that of every method.
func pick(routes []Route, method []byte) *Route {
	var every *Route
	for i := range routes {
		switch r := &routes[i]; {
		case r.Method == "":
			if every == nil {
				every = r
			}
		case len(method) == len(r.Method) && bytes.EqualFold(method, []byte(r.Method)):
			return r
		}
	}
	return every
}

// object is a JSON object by the plain names of its members.
type object map[string]json.RawMessage

func objectOf(raw json.RawMessage) (object, error) {
	var named map[string]json.RawMessage
	if json.Unmarshal(raw, &named) != nil || named == nil {
		return nil, errors.New("no object")
	}
	o := make(object, len(named))
	for name, v := range named {
		if p := plain(name); o[p] == nil || p == name {
			o[p] = v
		}
	}
	return o, nil
}

// text returns the first of the members that holds text or a number.
func (o object) text(names ...string) string {
	for _, n := range names {
		raw, ok := o[n]
		if !ok {
			continue
		}
		var s string
		if json.Unmarshal(raw, &s) == nil && s != "" {
			return strings.TrimSpace(s)
		}
		var num json.Number
		if json.Unmarshal(raw, &num) == nil && num != "" {
			return num.String()
		}
	}
	return ""
}

// listOf returns the items of a JSON list, or of the list that an object has
// under one of the names.
func listOf(data []byte, names ...string) ([]json.RawMessage, error) {
	var items []json.RawMessage
	err := json.Unmarshal(data, &items)
	if err == nil {
		return items, nil
	}
	if o, errObject := objectOf(data); errObject == nil {
		for _, n := range names {
			if raw, ok := o[n]; ok && json.Unmarshal(raw, &items) == nil {
				return items, nil
			}
		}
		return nil, errors.New("the object has no list called " + names[0])
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return nil, wrong(1+bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n")), "no JSON")
	}
	return nil, errors.New("no JSON list")
}

func wrongItem(i int, err error) error { return fmt.Errorf("item %d: %w", i+1, err) }
