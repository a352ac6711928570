// Package policy tells what must not be: packs of policies, written as YAML with
// a condition in CEL, over a token, an event of it, the window that it lies in and
// what was said of it.
//
// A pack comes in and is compiled once; records of tokens and rows of batches
// come in then, and out goes whether a condition holds. A condition is taken
// apart at its top-level &&: the parts that read the token alone are asked when
// the token has changed, those that read one text of the event once for each of
// its values, and only where all of these hold the rest is asked of a row. No
// condition may cost more than a limit; one that fails does not hold.
//
// The variables are token, event (the columns of the schema), fact, window (see
// [Window]) and now. Parts that read the window are asked of a token's hour rather
// than of a row, again while it grows and for the last time when it settles:
//
//	when: event.action_class == "export" && window.requests > 100
//
// is broken by every export of an hour in which the token made more than a hundred
// requests, those before the hundredth too.
package policy

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tokenwatch/tokenwatch"
)

// Pack is a file of policies. Its first line is a comment that says what it is.
type Pack struct {
	Name     string    `yaml:"pack"`
	Policies []*Policy `yaml:"policies"`
	Doc      string    `yaml:"-"`
}

// Policy is one rule.
type Policy struct {
	ID       string   `yaml:"id"`
	Title    string   `yaml:"title"`
	Severity string   `yaml:"severity"` // low, medium, high, critical
	Action   string   `yaml:"action"`   // observe, alert, deny, revoke
	Controls []string `yaml:"controls"` // ids of a control catalogue: CIS8:6.2 …
	Attack   []string `yaml:"attack"`   // MITRE ATT&CK technique ids
	When     string   `yaml:"when"`     // CEL
	Message  string   `yaml:"message"`  // a sentence; {token.owner} and the like are filled in
	Tests    []Test   `yaml:"tests"`

	parts []part

	reads  reads
	spoken []piece
}

// Actions and severities there are.
var (
	actions = []string{"observe", "alert", "deny", "revoke"}
	scores  = map[string]int{"low": 40, "medium": 70, "high": 80, "critical": 95}
)

// Score of a finding of the policy.
func (p *Policy) Score() int { return scores[p.Severity] }

// OfEvents tells whether the policy is about events, or the windows that they lie in,
// rather than about what a token is like.
func (p *Policy) OfEvents() bool { return p.reads.event || p.reads.window }

// OfFacts tells whether the policy is about what is said of a token, at the time
// it is said.
func (p *Policy) OfFacts() bool { return p.reads.fact }

// Timed tells whether the policy may come to hold as time passes.
func (p *Policy) Timed() bool { return p.reads.now && !p.OfEvents() && !p.reads.fact }

// MaxPolicies is how many policies a set may have.
const MaxPolicies = 64

// Set is compiled policies, in order of id. It never changes, and may be used
// from many goroutines but for the memory of its prefilters, see Asked.
type Set struct {
	Policies []*Policy
	Packs    []*Pack
}

var idForm = regexp.MustCompile(`^[a-z][a-z0-9_]{1,62}$`)

// Compile reads packs and compiles their policies.
func Compile(packs ...[]byte) (*Set, error) {
	s := &Set{}
	for _, text := range packs {
		p, err := parse(text)
		if err != nil {
			return nil, err
		}
		s.Packs = append(s.Packs, p)
		s.Policies = append(s.Policies, p.Policies...)
	}
	slices.SortFunc(s.Policies, func(a, b *Policy) int { return strings.Compare(a.ID, b.ID) })
	for i := 1; i < len(s.Policies); i++ {
		if s.Policies[i].ID == s.Policies[i-1].ID {
			return nil, fmt.Errorf("policy %s is there twice", s.Policies[i].ID)
		}
	}
	if len(s.Policies) > MaxPolicies {
		return nil, fmt.Errorf("%d policies; at most %d can be in use at once", len(s.Policies), MaxPolicies)
	}
	return s, nil
}

func parse(text []byte) (*Pack, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var p Pack
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("read policy pack: %w", err)
	}
	if !idForm.MatchString(p.Name) {
		return nil, errors.New("read policy pack: pack needs a name of a-z, 0-9 and _")
	}
	if len(p.Policies) == 0 {
		return nil, fmt.Errorf("policy pack %s has no policies", p.Name)
	}
	if first, _, _ := bytes.Cut(text, []byte("\n")); bytes.HasPrefix(first, []byte("#")) {
		p.Doc = strings.TrimSpace(strings.TrimLeft(string(first), "# "))
	}
	for _, one := range p.Policies {
		if one == nil {
			return nil, fmt.Errorf("policy pack %s: an entry is empty", p.Name)
		}
		if err := one.compile(); err != nil {
			return nil, fmt.Errorf("policy pack %s: policy %q: %w", p.Name, one.ID, err)
		}
	}
	return &p, nil
}

func (p *Policy) compile() error {
	if p.Action == "" {
		p.Action = "alert"
	}
	switch {
	case !idForm.MatchString(p.ID):
		return errors.New("an id is 2 to 63 of a-z, 0-9 and _, a letter first")
	case p.Title == "":
		return errors.New("it needs a title")
	case scores[p.Severity] == 0:
		return errors.New("severity is low, medium, high or critical")
	case !slices.Contains(actions, p.Action):
		return errors.New("action is observe, alert, deny or revoke")
	case len(p.When) > 4096:
		return errors.New("its condition is longer than 4096 bytes")
	}
	var err error
	if p.parts, p.reads, err = takeApart(p.When); err != nil {
		return err
	}
	if err := p.restrict(); err != nil {
		return err
	}
	if p.Message == "" {
		p.Message = p.Title + "."
	}
	p.spoken, err = pieces(p.Message)
	return err
}

// restrict makes sure that no row is asked that nothing speaks for.
func (p *Policy) restrict() error {
	if !p.reads.event {
		return nil
	}
	for i := range p.parts {
		if p.parts[i].ofToken() || p.parts[i].field != "" {
			return nil
		}
	}
	return errors.New("a condition on events needs a part, joined by &&, that reads the token alone or one text of the event alone")
}

// piece is a part of a message: text, or the name of a value.
type piece struct {
	text string
	of   string // token, event, window or fact; "" for text
}

var placeholder = regexp.MustCompile(`\{(token|event|window|fact)\.([a-z_]+)\}`)

func pieces(message string) (out []piece, err error) {
	at := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(message, -1) {
		of, name := message[m[2]:m[3]], message[m[4]:m[5]]
		if !fields[of][name] {
			return nil, fmt.Errorf("message: %s has no %s", of, name)
		}
		out = append(out, piece{text: message[at:m[0]]}, piece{text: name, of: of})
		at = m[1]
	}
	return append(out, piece{text: message[at:]}), nil
}

// Say is the policy's message about a case.
func (p *Policy) Say(c *Case) string {
	var b strings.Builder
	for i, s := range p.spoken {
		if s.of != "" {
			b.WriteString(speak(c.lookUp(s.of, s.text)))
			continue
		}
		text := s.text
		if next := i + 1; next < len(p.spoken) && strings.HasSuffix(text, " of ") && speak(c.lookUp(p.spoken[next].of, p.spoken[next].text)) == "" {
			text = strings.TrimSuffix(text, " of ") // nobody's
		}
		b.WriteString(text)
	}
	return b.String()
}

// Case is what conditions are asked about. What is nil is not there.
type Case struct {
	Token  *tokenwatch.TokenRecord
	Batch  *tokenwatch.Batch // with Row: the event
	Row    int
	Fact   *Fact
	Window *Window // of the event
	Now    int64   // UTC nanoseconds
}

// Fact is what was said of the token.
type Fact struct {
	Kind tokenwatch.FactKind
	Told *tokenwatch.Fact // nil of an import
}

// Holds tells whether the whole condition holds.
func (p *Policy) Holds(c *Case) bool {
	for i := range p.parts {
		if !p.parts[i].holds(c) {
			return false
		}
	}
	return true
}

// MayHold tells whether the parts that read the token alone hold: if not, no
// event of it need be looked at, and if the policy is Timed, neither need time.
func (p *Policy) MayHold(c *Case) bool {
	for i := range p.parts {
		if q := &p.parts[i]; q.ofToken() && !q.reads.now && !q.holds(c) {
			return false
		}
	}
	return true
}

// OfAnyToken tells whether no part reads the token alone: events of every token
// must be looked at, by what their prefilter lets through.
func (p *Policy) OfAnyToken() bool {
	for i := range p.parts {
		if p.parts[i].ofToken() {
			return false
		}
	}
	return true
}
