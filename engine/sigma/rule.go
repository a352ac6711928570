package sigma

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Level is how serious a match is, by the author of the rule.
type Level string

// The levels of the specification.
const (
	Informational Level = "informational"
	Low           Level = "low"
	Medium        Level = "medium"
	High          Level = "high"
	Critical      Level = "critical"
)

// Rule is a compiled rule: which events it matches.
type Rule struct {
	ID, Name, Title, Description, Author string
	Status                               string
	Level                                Level
	Tags                                 []string // as the author wrote them
	Attack                               []string // MITRE ATT&CK technique ids among them
	Source                               Logsource
	// Silent: the rule only serves correlations, which do not ask for its own matches.
	Silent bool

	fields    fieldMap
	formats   []string // of the rows it looks at; nil: all that have a path
	when      node
	aggregate *Correlation // what a condition of before Sigma 2 has behind |
}

// Key names the rule: its id, else its name, else its title.
func (r *Rule) Key() string { return cmp.Or(r.ID, r.Name, r.Title) }

// Problem is what a document asks for and does not get.
type Problem struct {
	File     string // as given to Load
	Document int    // in the file, from 1
	Line     int    // 0: none can be named
	Rule     string // id or title, if the document has one
	Reason   string
}

// Error returns the problem as a sentence.
func (p Problem) Error() string {
	place := p.File
	if p.Line > 0 {
		place += fmt.Sprintf(":%d", p.Line)
	}
	if p.Document > 1 {
		place += fmt.Sprintf(", document %d", p.Document)
	}
	if p.Rule != "" {
		place += ", rule " + p.Rule
	}
	return place + ": " + p.Reason
}

// Pack is a set of documents that belong together.
type Pack struct {
	Rules        []*Rule
	Correlations []*Correlation
	Problems     []Problem
}

// Loader gathers documents. Compile makes a pack of them.
type Loader struct {
	// Placeholders are the values of %name% in rules that use the modifier expand.
	Placeholders map[string][]string

	docs     []parsed
	problems []Problem
}

// parsed is one document and where it came from.
type parsed struct {
	document
	file  string
	place int // in the file, from 1
	root  *yaml.Node
}

// document is a Sigma document of any kind.
type document struct {
	Title       string    `yaml:"title"`
	ID          string    `yaml:"id"`
	Name        string    `yaml:"name"`
	Description string    `yaml:"description"`
	Author      string    `yaml:"author"`
	Status      string    `yaml:"status"`
	Level       string    `yaml:"level"`
	Action      string    `yaml:"action"`
	Tags        []string  `yaml:"tags"`
	Logsource   Logsource `yaml:"logsource"`
	Detection   yaml.Node `yaml:"detection"`
	Correlation yaml.Node `yaml:"correlation"`
	Filter      yaml.Node `yaml:"filter"`
}

// Logsource says which logs a rule is about.
type Logsource struct {
	Category string `yaml:"category"`
	Product  string `yaml:"product"`
	Service  string `yaml:"service"`
}

// String names the log source as product/service/category.
func (l Logsource) String() string {
	var parts []string
	for _, p := range []string{l.Product, l.Service, l.Category} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "/")
}

// maxDocument bounds a file of rules.
const maxDocument = 1 << 20

// Load takes in the documents of one file.
func (l *Loader) Load(file string, b []byte) {
	if len(b) > maxDocument {
		l.problems = append(l.problems, Problem{File: file, Reason: "a file of rules may have 1 MiB"})
		return
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	for n := 1; ; n++ {
		var root yaml.Node
		err := d.Decode(&root)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			l.problems = append(l.problems, Problem{File: file, Document: n, Reason: "it is not YAML"})
			return
		}
		p := parsed{file: file, place: n, root: &root}
		if err := root.Decode(&p.document); err != nil {
			l.problem(&p, errors.New("its fields are not those of a Sigma rule"))
			continue
		}
		l.docs = append(l.docs, p)
	}
}

func (l *Loader) problem(p *parsed, err error) {
	out := Problem{File: p.file, Document: p.place, Rule: cmp.Or(p.ID, p.Name, p.Title), Reason: err.Error()}
	var at *placed
	if errors.As(err, &at) {
		out.Line, out.Reason = at.line, at.reason
	}
	l.problems = append(l.problems, out)
}

// placed is an error at a line of a document.
type placed struct {
	line   int
	reason string
}

func (p *placed) Error() string { return p.reason }

func at(n *yaml.Node, format string, args ...any) error {
	return &placed{n.Line, fmt.Sprintf(format, args...)}
}

// Compile makes rules and correlations of all documents. What cannot be made is
// among the problems; the rest runs.
func (l *Loader) Compile() *Pack {
	pack := &Pack{}
	byName := map[string]*Rule{}
	var filters []parsed
	for i := range l.docs {
		p := &l.docs[i]
		switch {
		case p.Filter.Kind != 0:
			filters = append(filters, *p)
		case p.Correlation.Kind != 0:
		case p.Detection.Kind != 0:
			r, err := l.rule(p)
			if err != nil {
				l.problem(p, err)
				continue
			}
			if first := byName[r.Key()]; first != nil {
				l.problem(p, errors.New("another rule has the same id"))
				continue
			}
			pack.Rules = append(pack.Rules, r)
			if r.aggregate != nil {
				pack.Correlations = append(pack.Correlations, r.aggregate)
			}
			for _, name := range []string{r.ID, r.Name, r.Key()} {
				if name != "" {
					byName[name] = r
				}
			}
		default:
			l.problem(p, errors.New("it has no detection, correlation or filter"))
		}
	}
	for i := range filters {
		if err := l.filter(&filters[i], byName); err != nil {
			l.problem(&filters[i], err)
		}
	}
	l.correlations(pack, byName)
	pack.Problems = slices.Clone(l.problems)
	return pack
}

func (l *Loader) rule(p *parsed) (*Rule, error) {
	r := &Rule{
		ID: p.ID, Name: p.Name, Title: p.Title, Description: p.Description, Author: p.Author,
		Status: p.Status, Level: Level(strings.ToLower(p.Level)), Tags: p.Tags, Source: p.Logsource,
	}
	if r.Title == "" {
		return nil, errors.New("it has no title")
	}
	if r.Level == "" {
		r.Level = Medium
	}
	if !slices.Contains([]Level{Informational, Low, Medium, High, Critical}, r.Level) {
		return nil, errors.New("its level is none of informational, low, medium, high, critical")
	}
	r.Attack = techniques(p.Tags)
	var ok bool
	if r.formats, r.fields, ok = sourceOf(p.Logsource); !ok {
		return nil, fmt.Errorf("logs of %s are not read here", p.Logsource)
	}
	c := compiler{fields: r.fields, placeholders: l.Placeholders}
	var err error
	if r.when, err = c.detection(&p.Detection); err != nil {
		return nil, err
	}
	if c.aggregate != "" {
		if r.aggregate, err = aggregation(r, c.aggregate, c.timeframe); err != nil {
			return nil, at(&p.Detection, "%v", err)
		}
		r.Silent = true
	}
	return r, nil
}

// techniques returns the technique ids among tags: attack.t1098.001 is T1098.001.
func techniques(tags []string) (ids []string) {
	for _, t := range tags {
		id, ok := strings.CutPrefix(strings.ToLower(t), "attack.t")
		if ok && len(id) >= 4 && id[0] >= '0' && id[0] <= '9' {
			ids = append(ids, "T"+id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// filter adds a filter's condition to the rules it names: they match where it does
// not.
func (l *Loader) filter(p *parsed, byName map[string]*Rule) error {
	var body struct {
		Rules yaml.Node `yaml:"rules"`
	}
	if err := p.Filter.Decode(&body); err != nil {
		return at(&p.Filter, "the filter cannot be read")
	}
	var names []string
	if body.Rules.Kind == yaml.ScalarNode {
		names = []string{body.Rules.Value}
	} else if err := body.Rules.Decode(&names); err != nil {
		return at(&p.Filter, "the filter names no rules")
	}
	if len(names) == 1 && names[0] == "any" {
		names = names[:0]
		for name, r := range byName {
			if name == r.Key() && r.Source == p.Logsource {
				names = append(names, name)
			}
		}
		slices.Sort(names)
	}
	for _, name := range names {
		r := byName[name]
		if r == nil {
			return at(&body.Rules, "the filter names a rule that is not here")
		}
		c := compiler{fields: r.fields, placeholders: l.Placeholders}
		unless, err := c.detection(&p.Filter, "rules")
		if err != nil {
			return err
		}
		r.when = &all{[]node{r.when, &not{unless}}}
	}
	return nil
}
