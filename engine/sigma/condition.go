package sigma

import (
	"errors"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// compiler makes predicates of a rule's detection.
type compiler struct {
	fields       fieldMap
	placeholders map[string][]string

	timeframe string
	aggregate string // what stood behind | in the condition, as before Sigma 2
}

// detection compiles the search identifiers of a detection and its condition.
func (c *compiler) detection(d *yaml.Node, except ...string) (node, error) {
	if d.Kind != yaml.MappingNode {
		return nil, at(d, "the detection is not a map")
	}
	searches := map[string]node{}
	var conditions []string
	var place *yaml.Node
	for i := 0; i+1 < len(d.Content); i += 2 {
		key, value := d.Content[i], d.Content[i+1]
		switch {
		case slices.Contains(except, key.Value):
		case key.Value == "condition":
			place = value
			if value.Kind == yaml.ScalarNode {
				conditions = []string{value.Value}
			} else if err := value.Decode(&conditions); err != nil || len(conditions) == 0 {
				return nil, at(value, "the condition is no text and no list of texts")
			}
		case key.Value == "timeframe":
			c.timeframe = value.Value
		default:
			n, err := c.search(value)
			if err != nil {
				return nil, err
			}
			searches[key.Value] = n
		}
	}
	if place == nil {
		return nil, at(d, "the detection has no condition")
	}
	var list []node
	for _, text := range conditions {
		if before, after, ok := strings.Cut(text, "|"); ok {
			if len(conditions) > 1 || except != nil {
				return nil, at(place, "an aggregation stands behind the only condition of a rule")
			}
			text, c.aggregate = before, after
		}
		n, err := parseCondition(text, searches)
		if err != nil {
			return nil, at(place, "condition: %v", err)
		}
		list = append(list, n)
	}
	return anyOf(list), nil
}

// parseCondition reads a condition over named searches.
func parseCondition(text string, searches map[string]node) (node, error) {
	text = strings.NewReplacer("(", " ( ", ")", " ) ").Replace(text)
	p := condition{words: strings.Fields(text), searches: searches}
	n, err := p.or()
	if err == nil && p.at < len(p.words) {
		err = errors.New("something follows its end")
	}
	return n, err
}

// condition is a condition being read: or binds weaker than and, that weaker than
// not.
type condition struct {
	words    []string
	at       int
	depth    int
	searches map[string]node
}

// word returns the next word in lower case, "" at the end.
func (p *condition) word() string {
	if p.at >= len(p.words) {
		return ""
	}
	return strings.ToLower(p.words[p.at])
}

func (p *condition) list(word string, one func() (node, error)) ([]node, error) {
	n, err := one()
	if err != nil {
		return nil, err
	}
	list := []node{n}
	for p.word() == word {
		p.at++
		if n, err = one(); err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

func (p *condition) or() (node, error) {
	list, err := p.list("or", p.and)
	if err != nil {
		return nil, err
	}
	return anyOf(list), nil
}

func (p *condition) and() (node, error) {
	list, err := p.list("and", p.unary)
	if err != nil {
		return nil, err
	}
	return allOf(list), nil
}

const maxNesting = 64

func (p *condition) unary() (node, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, errors.New("it is nested too deeply")
	}
	defer func() { p.depth-- }()
	switch word := p.word(); word {
	case "":
		return nil, errors.New("it ends early")
	case "not":
		p.at++
		n, err := p.unary()
		if err != nil {
			return nil, err
		}
		return &not{n}, nil
	case "(":
		p.at++
		n, err := p.or()
		if err != nil {
			return nil, err
		}
		if p.word() != ")" {
			return nil, errors.New("a parenthesis is not closed")
		}
		p.at++
		return n, nil
	case "1", "any", "all":
		if p.at+2 < len(p.words) && strings.EqualFold(p.words[p.at+1], "of") {
			list, err := p.named(p.words[p.at+2])
			p.at += 3
			if err != nil {
				return nil, err
			}
			if word == "all" {
				return allOf(list), nil
			}
			return anyOf(list), nil
		}
	}
	n, ok := p.searches[p.words[p.at]]
	if !ok {
		return nil, errors.New("a name in it is no search of the rule")
	}
	p.at++
	return n, nil
}

// named returns the searches that a pattern names, in order of name. Those that
// begin with _ are not among "them".
func (p *condition) named(pattern string) ([]node, error) {
	var names []string
	for name := range p.searches {
		switch ok, err := path.Match(pattern, name); {
		case err != nil:
			return nil, errors.New("a pattern in it is malformed")
		case ok, pattern == "them" && !strings.HasPrefix(name, "_"):
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("a pattern in it matches no search of the rule")
	}
	slices.Sort(names)
	list := make([]node, len(names))
	for i, name := range names {
		list[i] = p.searches[name]
	}
	return list, nil
}

// search compiles one search: a map of fields that all have to match, a list of
// which one has to, or texts that have to occur anywhere in the event.
func (c *compiler) search(n *yaml.Node) (node, error) {
	switch n.Kind {
	case yaml.MappingNode:
		var list []node
		for i := 0; i+1 < len(n.Content); i += 2 {
			item, err := c.item(n.Content[i], n.Content[i+1])
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		if len(list) == 0 {
			return nil, at(n, "a search is empty")
		}
		return allOf(list), nil
	case yaml.SequenceNode:
		var list []node
		for _, one := range n.Content {
			item, err := c.search(one)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		if len(list) == 0 {
			return nil, at(n, "a search is empty")
		}
		return anyOf(list), nil
	case yaml.ScalarNode:
		m, err := c.matcher(n, modifiers{list: []string{"contains"}})
		if err != nil {
			return nil, err
		}
		return &keyword{m}, nil
	default:
		return nil, at(n, "a search is neither a map nor a list nor a text")
	}
}

// item compiles one field with its modifiers and values.
func (c *compiler) item(key, value *yaml.Node) (node, error) {
	name, rest, _ := strings.Cut(key.Value, "|")
	m := modifiers{}
	if rest != "" {
		m.list = strings.Split(strings.ToLower(rest), "|")
	}
	if err := m.check(key); err != nil {
		return nil, err
	}
	values := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		values = value.Content
	}
	if len(values) == 0 {
		return nil, at(value, "a field has no value")
	}
	every := m.take("all")
	neq := m.take("neq")
	var list []node
	for _, v := range values {
		one, err := c.one(name, v, m)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	out := anyOf(list)
	if every {
		out = allOf(list)
	}
	if neq {
		out = &not{out}
	}
	return out, nil
}

// one compiles one field with one value.
func (c *compiler) one(name string, v *yaml.Node, m modifiers) (node, error) {
	if v.Kind != yaml.ScalarNode {
		return nil, at(v, "a value is not a text, a number or null")
	}
	if name == "" { // a keyword with modifiers
		match, err := c.matcher(v, m)
		if err != nil {
			return nil, err
		}
		return &keyword{match}, nil
	}
	f := c.fields.field(name)
	switch {
	case m.has("exists"):
		var want bool
		if err := v.Decode(&want); err != nil {
			return nil, at(v, "exists takes true or false")
		}
		if want {
			return &present{f}, nil
		}
		return &not{&present{f}}, nil
	case v.Tag == "!!null" || v.Value == "" && len(m.list) == 0:
		return &not{&nonempty{f}}, nil
	case m.has("fieldref"):
		return &same{f, c.fields.field(v.Value), m}, nil
	}
	match, err := c.matcher(v, m)
	if err != nil {
		return nil, err
	}
	return &leaf{f, match}, nil
}

func anyOf(list []node) node {
	if len(list) == 1 {
		return list[0]
	}
	return &anyone{list}
}

func allOf(list []node) node {
	if len(list) == 1 {
		return list[0]
	}
	return &all{list}
}
