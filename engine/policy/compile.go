package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/parser"

	"github.com/tokenwatch/tokenwatch"
)

// maxCost is what one evaluation may cost, in CEL's own units: a comparison is
// about one.
const maxCost = 20_000

// part is one of the conditions that are joined by && at the top.
type part struct {
	program cel.Program
	reads   reads
	field   string // the one text of the event that it reads and nothing else, "" if it reads otherwise
	attr    string // that text is this attr, field is then attrs
}

// reads is what a condition reads.
type reads struct {
	token, event, fact, window, now bool
}

func (p *part) ofToken() bool {
	return p.reads.token && !p.reads.event && !p.reads.fact && !p.reads.window
}

var environment = func() *cel.Env {
	env, err := cel.NewEnv(
		cel.Variable("token", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("event", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("fact", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("window", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("now", cel.TimestampType),
		cel.Function("within",
			cel.Overload("within_dyn_dyn", []*cel.Type{cel.DynType, cel.DynType}, cel.BoolType, cel.BinaryBinding(within))),
		ext.Strings(),
		cel.EnableMacroCallTracking(), // so that parts can be written out again
	)
	if err != nil {
		panic("policy: environment: " + err.Error()) // it is constant
	}
	return env
}()

// within(address, networks) tells whether an address lies in one of networks.
func within(address, networks ref.Val) ref.Val {
	text, ok := address.(types.String)
	if !ok {
		return types.False
	}
	a, err := netip.ParseAddr(string(text))
	if err != nil {
		return types.False
	}
	list, ok := networks.(traits.Lister)
	if !ok {
		return types.False
	}
	for it := list.Iterator(); it.HasNext() == types.True; {
		n, ok := it.Next().(types.String)
		if !ok {
			continue
		}
		if p, err := netip.ParsePrefix(string(n)); err == nil && p.Contains(a) {
			return types.True
		}
	}
	return types.False
}

// takeApart compiles a condition.
func takeApart(condition string) ([]part, reads, error) {
	var all reads
	if strings.TrimSpace(condition) == "" {
		return nil, all, errors.New("it has no condition: when")
	}
	parsed, issues := environment.Parse(condition)
	if issues.Err() != nil {
		return nil, all, fmt.Errorf("when: %w", firstIssue(issues))
	}
	if _, issues := environment.Check(parsed); issues.Err() != nil {
		return nil, all, fmt.Errorf("when: %w", firstIssue(issues))
	}
	native := parsed.NativeRep()
	var parts []part
	for _, e := range conjuncts(native.Expr(), nil) {
		p, err := compilePart(e, native)
		if err != nil {
			return nil, all, err
		}
		all.token, all.event, all.fact, all.now = all.token || p.reads.token, all.event || p.reads.event, all.fact || p.reads.fact, all.now || p.reads.now
		all.window = all.window || p.reads.window
		parts = append(parts, p)
	}
	if all.event && all.fact {
		return nil, all, errors.New("when: a condition reads an event or a fact, not both")
	}
	if all.window && all.fact {
		return nil, all, errors.New("when: a condition reads the window or a fact, not both")
	}
	return parts, all, nil
}

func firstIssue(issues *cel.Issues) error {
	e := issues.Errors()[0]
	return fmt.Errorf("at column %d: %s", e.Location.Column()+1, e.Message)
}

// conjuncts lists what is joined by && at the top.
func conjuncts(e ast.Expr, out []ast.Expr) []ast.Expr {
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.LogicalAnd {
		for _, arg := range e.AsCall().Args() {
			out = conjuncts(arg, out)
		}
		return out
	}
	return append(out, e)
}

func compilePart(e ast.Expr, whole *ast.AST) (part, error) {
	var p part
	text, err := parser.Unparse(e, whole.SourceInfo())
	if err != nil {
		return p, fmt.Errorf("when: %w", err)
	}
	compiled, issues := environment.Compile(text)
	if issues.Err() != nil {
		return p, fmt.Errorf("when: %w", firstIssue(issues))
	}
	if t := compiled.OutputType(); t != cel.BoolType && t != cel.DynType {
		return p, fmt.Errorf("when: %s is not true or false", text)
	}
	if p.program, err = environment.Program(compiled, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize)); err != nil {
		return p, fmt.Errorf("when: %w", err)
	}
	r := reader{events: map[string]bool{}}
	r.read(compiled.NativeRep().Expr())
	if r.err != nil {
		return p, fmt.Errorf("when: %w", r.err)
	}
	p.reads = r.reads
	if p.reads.window && (p.reads.token || p.reads.event || p.reads.fact || p.reads.now) {
		return p, fmt.Errorf("when: %s reads the window and something else; join such parts by &&", text)
	}
	if p.reads.event && !p.reads.token && !p.reads.fact && !p.reads.now && len(r.events) == 1 {
		for name := range r.events {
			if attr, ok := strings.CutPrefix(name, "attrs."); ok {
				p.field, p.attr = "attrs", attr
			} else if c, ok := tokenwatch.ColumnByName(name); ok && c.Kind() == tokenwatch.KindText {
				p.field = name
			}
		}
	}
	return p, nil
}

// reader finds out what an expression reads.
type reader struct {
	reads  reads
	events map[string]bool // fields of the event; attrs by attrs.name
	err    error
}

// read looks at an expression. Local variables of comprehensions cannot be called
// like ours.
func (r *reader) read(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		r.ident(e.AsIdent(), "")
	case ast.SelectKind:
		s := e.AsSelect()
		if base := s.Operand(); base.Kind() == ast.IdentKind {
			r.ident(base.AsIdent(), s.FieldName())
			return
		}
		if r.attr(s.Operand(), s.FieldName()) {
			return
		}
		r.read(s.Operand())
	case ast.CallKind:
		c := e.AsCall()
		if c.FunctionName() == operators.Index && c.Args()[1].Kind() == ast.LiteralKind {
			if name, ok := c.Args()[1].AsLiteral().(types.String); ok && r.attr(c.Args()[0], string(name)) {
				return
			}
		}
		if c.IsMemberFunction() {
			r.read(c.Target())
		}
		for _, arg := range c.Args() {
			r.read(arg)
		}
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			r.read(x)
		}
	case ast.MapKind:
		for _, x := range e.AsMap().Entries() {
			r.read(x.AsMapEntry().Key())
			r.read(x.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		for _, x := range []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			r.read(x)
		}
	}
}

// attr notes event.attrs.name or event.attrs["name"], and tells whether it is one.
func (r *reader) attr(base ast.Expr, name string) bool {
	if base.Kind() != ast.SelectKind || base.AsSelect().FieldName() != "attrs" {
		return false
	}
	if of := base.AsSelect().Operand(); of.Kind() != ast.IdentKind || of.AsIdent() != "event" {
		return false
	}
	r.reads.event = true
	r.events["attrs."+name] = true
	return true
}

func (r *reader) ident(name, field string) {
	switch name {
	case "token":
		r.reads.token = true
	case "event":
		r.reads.event = true
		r.events[field] = true
	case "fact":
		r.reads.fact = true
	case "window":
		r.reads.window = true
	case "now":
		r.reads.now = true
		return
	default:
		return
	}
	switch {
	case field == "":
		r.err = fmt.Errorf("%s stands alone; ask for one of its fields", name)
	case !fields[name][field]:
		r.err = fmt.Errorf("%s has no field %s", name, field)
	}
}
