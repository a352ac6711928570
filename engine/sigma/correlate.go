package sigma

import (
	"cmp"
	"errors"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Correlation is a compiled correlation: which groups of matches make one.
type Correlation struct {
	ID, Name, Title, Author string
	Level                   Level
	Tags                    []string
	Attack                  []string
	Type                    string
	Timespan                time.Duration

	rules  []string // keys of the rules or correlations it is about, in order
	group  []string
	alias  map[string]map[string]string // alias → rule → field
	field  []string
	test   []bound
	fields map[string]fieldMap // by key of rule
}

// Key names the correlation: its id, else its name, else its title.
func (c *Correlation) Key() string { return cmp.Or(c.ID, c.Name, c.Title) }

// Rules are the keys of what it correlates, in order.
func (c *Correlation) Rules() []string { return c.rules }

// bound is one comparison of a condition.
type bound struct {
	op    string
	value float64
}

func (b bound) holds(x float64) bool {
	switch b.op {
	case "gt":
		return x > b.value
	case "gte":
		return x >= b.value
	case "lt":
		return x < b.value
	case "lte":
		return x <= b.value
	case "eq":
		return x == b.value
	default:
		return x != b.value
	}
}

// correlationTypes are those of specification 2.1.
var correlationTypes = []string{"event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile"}

// correlations compiles the correlations among the documents.
func (l *Loader) correlations(pack *Pack, byName map[string]*Rule) {
	named := map[string]*Correlation{}
	type open struct {
		p        *parsed
		c        *Correlation
		generate bool
	}
	var list []open
	for i := range l.docs {
		p := &l.docs[i]
		if p.Correlation.Kind == 0 {
			continue
		}
		c, generate, err := l.correlation(p)
		if err != nil {
			l.problem(p, err)
			continue
		}
		list = append(list, open{p, c, generate})
		for _, name := range []string{c.ID, c.Name, c.Key()} {
			if name != "" {
				named[name] = c
			}
		}
	}
	// One that rests on another stands after it; what rests on itself does not run.
	state := map[*Correlation]int{}
	var visit func(o open) bool
	visit = func(o open) bool {
		if state[o.c] != 0 {
			return state[o.c] == 2
		}
		state[o.c] = 1
		for i, name := range o.c.rules {
			if r := byName[name]; r != nil {
				o.c.rules[i] = r.Key()
				o.c.fields[r.Key()] = r.fields
				for _, byRule := range o.c.alias {
					if f, ok := byRule[name]; ok {
						byRule[r.Key()] = f
					}
				}
				continue
			}
			other := named[name]
			j := slices.IndexFunc(list, func(x open) bool { return x.c == other && other != nil })
			if j < 0 || !visit(list[j]) {
				l.problem(o.p, errors.New("it names a rule that is not here, does not run, or rests on itself"))
				return false
			}
			o.c.rules[i] = other.Key()
			// A correlation comes true at an event of one of its rules.
			o.c.fields[other.Key()] = other.fields[other.rules[len(other.rules)-1]]
		}
		state[o.c] = 2
		pack.Correlations = append(pack.Correlations, o.c)
		if !o.generate {
			for _, name := range o.c.rules {
				if r := byName[name]; r != nil {
					r.Silent = true
				}
			}
		}
		return true
	}
	for _, o := range list {
		visit(o)
	}
}

var aggregations = regexp.MustCompile(`^\s*(count|sum|avg)\s*\(\s*([\w.@-]*)\s*\)\s*(?:by\s+([\w.@-]+))?\s*(>=|<=|>|<|=|==)\s*(\d+)\s*$`)

// aggregation makes a correlation of what a rule of before Sigma 2 has behind |:
// count(field) by field > number, within its timeframe.
func aggregation(r *Rule, text, timeframe string) (*Correlation, error) {
	m := aggregations.FindStringSubmatch(text)
	if m == nil {
		return nil, errors.New("the aggregation behind | is none that is supported: write a correlation")
	}
	if timeframe == "" {
		return nil, errors.New("the aggregation behind | has no timeframe")
	}
	within, err := span(timeframe)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseFloat(m[5], 64)
	if err != nil {
		return nil, errors.New("the aggregation behind | has no number")
	}
	c := &Correlation{
		ID: r.ID, Name: r.Name, Title: r.Title, Author: r.Author, Level: r.Level, Tags: r.Tags, Attack: r.Attack, Timespan: within,
		rules: []string{r.Key()}, fields: map[string]fieldMap{r.Key(): r.fields},
		test: []bound{{map[string]string{">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "=": "eq", "==": "eq"}[m[4]], n}},
	}
	if m[3] != "" {
		c.group = []string{m[3]}
	}
	if m[2] != "" {
		c.field = []string{m[2]}
	}
	switch {
	case m[1] == "count" && m[2] == "":
		c.Type = "event_count"
	case m[2] == "":
		return nil, errors.New("the aggregation behind | names no field")
	default:
		c.Type = map[string]string{"count": "value_count", "sum": "value_sum", "avg": "value_avg"}[m[1]]
	}
	return c, nil
}

func (l *Loader) correlation(p *parsed) (*Correlation, bool, error) {
	var body struct {
		Type      string                       `yaml:"type"`
		Rules     yaml.Node                    `yaml:"rules"`
		GroupBy   yaml.Node                    `yaml:"group-by"`
		Timespan  string                       `yaml:"timespan"`
		Timeframe string                       `yaml:"timeframe"`
		Condition map[string]yaml.Node         `yaml:"condition"`
		Aliases   map[string]map[string]string `yaml:"aliases"`
		Generate  bool                         `yaml:"generate"`
	}
	if err := p.Correlation.Decode(&body); err != nil {
		return nil, false, at(&p.Correlation, "the correlation cannot be read")
	}
	c := &Correlation{
		ID: p.ID, Name: p.Name, Title: p.Title, Author: p.Author, Level: Level(strings.ToLower(p.Level)), Tags: p.Tags, Attack: techniques(p.Tags),
		Type: body.Type, alias: body.Aliases, fields: map[string]fieldMap{},
	}
	if c.Title == "" {
		return nil, false, errors.New("it has no title")
	}
	if c.Level == "" {
		c.Level = Medium
	}
	if !slices.Contains(correlationTypes, c.Type) {
		return nil, false, at(&p.Correlation, "there is no such type of correlation in Sigma 2.1")
	}
	var err error
	if c.rules, err = texts(&body.Rules); err != nil || len(c.rules) == 0 {
		return nil, false, at(&p.Correlation, "the correlation names no rules")
	}
	if c.group, err = texts(&body.GroupBy); err != nil {
		return nil, false, at(&p.Correlation, "group-by is no list of fields")
	}
	if c.Timespan, err = span(cmp.Or(body.Timespan, body.Timeframe)); err != nil {
		return nil, false, at(&p.Correlation, "%v", err)
	}
	for op, v := range body.Condition {
		if op == "field" {
			if c.field, err = texts(&v); err != nil {
				return nil, false, at(&v, "field is no text and no list of texts")
			}
			continue
		}
		x, err := strconv.ParseFloat(v.Value, 64)
		if err != nil || math.IsNaN(x) || !slices.Contains([]string{"gt", "gte", "lt", "lte", "eq", "neq"}, op) {
			return nil, false, at(&v, "the condition has no such comparison")
		}
		c.test = append(c.test, bound{op, x})
	}
	slices.SortFunc(c.test, func(a, b bound) int { return cmp.Compare(a.op, b.op) })
	temporal := strings.HasPrefix(c.Type, "temporal")
	if len(c.test) == 0 {
		if !temporal {
			return nil, false, at(&p.Correlation, "the correlation has no condition")
		}
		c.test = []bound{{"gte", float64(len(c.rules))}}
	}
	if strings.HasPrefix(c.Type, "value_") && len(c.field) == 0 {
		return nil, false, at(&p.Correlation, "the condition names no field")
	}
	return c, body.Generate, nil
}

// texts reads one text or a list of them.
func texts(n *yaml.Node) (out []string, err error) {
	switch n.Kind {
	case 0:
		return nil, nil
	case yaml.ScalarNode:
		return []string{n.Value}, nil
	}
	err = n.Decode(&out)
	return out, err
}

// span reads a time span: a number and s, m, h or d.
func span(s string) (time.Duration, error) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	bad := errors.New("timespan is a number and s, m, h or d, at most 30d")
	if len(s) < 2 {
		return 0, bad
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	unit, ok := units[s[len(s)-1]]
	if err != nil || !ok || n <= 0 || n > 30*24*3600 || time.Duration(n)*unit > 30*24*time.Hour {
		return 0, bad
	}
	return time.Duration(n) * unit, nil
}

// join returns the values of fields in a row, and whether it has all of them.
func (c *Correlation) join(v *View, rule string, names []string, row int) (string, bool) {
	var b strings.Builder
	for i, name := range names {
		if byRule, ok := c.alias[name]; ok {
			name = cmp.Or(byRule[rule], name)
		}
		values := v.values(c.fields[rule].field(name), row)
		if len(values) == 0 {
			return "", false
		}
		if i > 0 {
			b.WriteByte(0)
		}
		b.WriteString(values[0])
	}
	return b.String(), true
}

// fires returns the places of the events at which the correlation comes true,
// among those of one group in order of time. The window slides: at each event it
// holds the events of the timespan before and with it. While it stays true it does
// not fire again. Work is proportional to the events, however wide the window.
func (c *Correlation) fires(list []Candidate) (fires []int) {
	w := window{c: c, values: map[string]int{}, children: map[string]int{}, starts: make([]int64, len(c.rules)+1)}
	for i := range w.starts {
		w.starts[i] = math.MinInt64
	}
	from, was := 0, false
	for i := range list {
		w.add(&list[i])
		for list[i].Ref.Millis-list[from].Ref.Millis > c.Timespan.Milliseconds() {
			w.remove(&list[from])
			from++
		}
		is := c.holds(&w, &list[i])
		if is && !was {
			fires = append(fires, i)
		}
		was = is
	}
	return fires
}

// window is what is in the timespan, as far as the condition asks.
type window struct {
	c        *Correlation
	events   int
	values   map[string]int // events by value
	children map[string]int // events by rule
	numbers  int            // events whose value is a number
	sum      int64          // of these, in millionths: whole, so that its order does not matter
	// starts are, for each number of rules that occurred in their order, when the
	// first of them did, at the latest.
	starts []int64
}

// micro is a number in millionths, as far as an int64 goes.
func micro(text string) (int64, bool) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(x) > 1e12 {
		return 0, false
	}
	return int64(math.Round(x * 1e6)), true
}

func (w *window) add(x *Candidate) {
	w.events++
	w.values[x.Value]++
	w.children[x.Child]++
	if n, ok := micro(x.Value); ok {
		w.numbers++
		w.sum += n
	}
	for k := len(w.c.rules) - 1; k >= 0; k-- {
		switch {
		case w.c.rules[k] != x.Child:
		case k == 0:
			w.starts[1] = x.Ref.Millis
		default:
			w.starts[k+1] = max(w.starts[k+1], w.starts[k])
		}
	}
}

func (w *window) remove(x *Candidate) {
	w.events--
	drop(w.values, x.Value)
	drop(w.children, x.Child)
	if n, ok := micro(x.Value); ok {
		w.numbers--
		w.sum -= n
	}
}

func drop(counts map[string]int, key string) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

func (c *Correlation) holds(w *window, last *Candidate) bool {
	x, ok := c.measure(w, last)
	if !ok {
		return false
	}
	for _, b := range c.test {
		if !b.holds(x) {
			return false
		}
	}
	return true
}

// measure is the number that the condition is about, with the last event in.
func (c *Correlation) measure(w *window, last *Candidate) (float64, bool) {
	switch c.Type {
	case "event_count":
		return float64(w.events), true
	case "temporal":
		return float64(len(w.children)), true
	case "temporal_ordered":
		for k := len(c.rules); k > 0; k-- {
			if s := w.starts[k]; s != math.MinInt64 && last.Ref.Millis-s <= c.Timespan.Milliseconds() {
				return float64(k), true
			}
		}
		return 0, true
	case "value_count":
		return float64(len(w.values)), true
	case "value_percentile":
		// The share of the window's events, in percent, that have the value of the
		// last one: rare where it is small.
		return float64(float64(100*w.values[last.Value]) / float64(w.events)), true
	}
	if w.numbers == 0 {
		return 0, false
	}
	sum := float64(w.sum) / 1e6
	if c.Type == "value_avg" {
		return sum / float64(w.numbers), true
	}
	return sum, true
}
