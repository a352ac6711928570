package policy

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"github.com/tokenwatch/tokenwatch"
)

// tokenFields are the fields of a token in conditions. Times that were not told
// are null.
var tokenFields = map[string]func(*tokenwatch.TokenRecord) any{
	"id":            func(t *tokenwatch.TokenRecord) any { return string(t.ID) },
	"lineage":       func(t *tokenwatch.TokenRecord) any { return t.Lineage },
	"kind":          func(t *tokenwatch.TokenRecord) any { return t.Kind },
	"issuer":        func(t *tokenwatch.TokenRecord) any { return t.Issuer },
	"type":          func(t *tokenwatch.TokenRecord) any { return t.Type },
	"label":         func(t *tokenwatch.TokenRecord) any { return t.Label },
	"name":          func(t *tokenwatch.TokenRecord) any { return nameOf(t) },
	"owner":         func(t *tokenwatch.TokenRecord) any { return t.Owner },
	"team":          func(t *tokenwatch.TokenRecord) any { return t.Team },
	"purpose":       func(t *tokenwatch.TokenRecord) any { return t.Purpose },
	"app":           func(t *tokenwatch.TokenRecord) any { return t.App },
	"env":           func(t *tokenwatch.TokenRecord) any { return t.Env },
	"scopes":        func(t *tokenwatch.TokenRecord) any { return t.Scopes },
	"scopes_used":   func(t *tokenwatch.TokenRecord) any { return t.Used },
	"networks":      func(t *tokenwatch.TokenRecord) any { return t.Sources },
	"state":         func(t *tokenwatch.TokenRecord) any { return string(t.State) },
	"live":          func(t *tokenwatch.TokenRecord) any { return live(t) },
	"known":         func(t *tokenwatch.TokenRecord) any { return t.Known },
	"created":       func(t *tokenwatch.TokenRecord) any { return t.Created },
	"created_by":    func(t *tokenwatch.TokenRecord) any { return t.CreatedBy },
	"key_created":   func(t *tokenwatch.TokenRecord) any { return t.KeyCreated },
	"expires":       func(t *tokenwatch.TokenRecord) any { return t.Expires },
	"never_expires": func(t *tokenwatch.TokenRecord) any { return t.NeverExpires },
	"rotation_days": func(t *tokenwatch.TokenRecord) any { return int64(t.RotationDays) },
	"rotated":       func(t *tokenwatch.TokenRecord) any { return t.Rotated },
	"overlap_until": func(t *tokenwatch.TokenRecord) any { return t.OverlapUntil },
	"revoked":       func(t *tokenwatch.TokenRecord) any { return t.Revoked },
	"expired":       func(t *tokenwatch.TokenRecord) any { return t.Expired },
	"disabled":      func(t *tokenwatch.TokenRecord) any { return t.Disabled },
	"checked_out":   func(t *tokenwatch.TokenRecord) any { return t.CheckedOut },
	"owner_left":    func(t *tokenwatch.TokenRecord) any { return t.OwnerLeft },
	"covered":       func(t *tokenwatch.TokenRecord) any { return t.Covered(t.LastUsed) },
	"last_used":     func(t *tokenwatch.TokenRecord) any { return t.LastUsed },
	"exposed":       func(t *tokenwatch.TokenRecord) any { return exposed(t) },
	"exposed_where": func(t *tokenwatch.TokenRecord) any { return where(t) },
}

// factFields are those of what was said of it.
var factFields = map[string]func(*Fact) any{
	"kind":    func(f *Fact) any { return string(f.Kind) },
	"place":   func(f *Fact) any { return told(f).Place },
	"owner":   func(f *Fact) any { return told(f).Owner },
	"scopes":  func(f *Fact) any { return told(f).Scopes },
	"removed": func(f *Fact) any { return told(f).Removed },
	"until":   func(f *Fact) any { return timeOf(told(f).Until) },
}

// fields are the names that conditions and messages may use.
var fields = func() map[string]map[string]bool {
	m := map[string]map[string]bool{"token": {}, "event": {}, "fact": {}, "window": {}}
	for name := range tokenFields {
		m["token"][name] = true
	}
	for name := range factFields {
		m["fact"][name] = true
	}
	for name := range windowFields {
		m["window"][name] = true
	}
	for _, c := range tokenwatch.Schema {
		m["event"][c.Name] = true
	}
	return m
}()

func told(f *Fact) *tokenwatch.Fact {
	if f.Told == nil {
		return &tokenwatch.Fact{}
	}
	return f.Told
}

// nameOf is what people call a token: its label, a display prefix, or its id.
func nameOf(t *tokenwatch.TokenRecord) string {
	if t.Label != "" {
		return t.Label
	}
	for _, n := range t.Names {
		if n.Kind == tokenwatch.NamePrefix || n.Kind == tokenwatch.NameAccessKeyID {
			return n.Value
		}
	}
	return string(t.ID)
}

// live tells whether a token has not ended.
func live(t *tokenwatch.TokenRecord) bool {
	switch t.State {
	case tokenwatch.TokenRevoked, tokenwatch.TokenExpired, tokenwatch.TokenZombie, tokenwatch.TokenDisabled:
		return false
	}
	return true
}

func exposed(t *tokenwatch.TokenRecord) time.Time {
	if len(t.Exposed) == 0 {
		return time.Time{}
	}
	return t.Exposed[0].Time
}

func where(t *tokenwatch.TokenRecord) string {
	if len(t.Exposed) == 0 {
		return ""
	}
	return t.Exposed[len(t.Exposed)-1].Place
}

func timeOf(ns int64) time.Time {
	if ns == 0 || ns == tokenwatch.Never {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// lookUp returns a field of what a case is about; nil if there is none.
func (c *Case) lookUp(of, name string) any {
	switch of {
	case "token":
		if f := tokenFields[name]; f != nil && c.Token != nil {
			return f(c.Token)
		}
	case "fact":
		if f := factFields[name]; f != nil && c.Fact != nil {
			return f(c.Fact)
		}
	case "window":
		if f := windowFields[name]; f != nil && c.Window != nil {
			return *f(c.Window)
		}
	case "event":
		if c.Batch != nil {
			return eventField(c.Batch, c.Row, name)
		}
	}
	return nil
}

// eventField returns a column of a row; text that is not there is "", other
// values are nil.
func eventField(b *tokenwatch.Batch, row int, name string) any {
	c, ok := tokenwatch.ColumnByName(name)
	if !ok {
		return nil
	}
	switch c.Kind() {
	case tokenwatch.KindText, tokenwatch.KindString:
		return b.Text(c, row)
	case tokenwatch.KindTime:
		if b.Has(c, row) {
			return timeOf(b.Int(c, row))
		}
	case tokenwatch.KindInt:
		if b.Has(c, row) {
			return b.Int(c, row)
		}
	case tokenwatch.KindAddr:
		if b.Has(c, row) {
			return b.Addr(row).String()
		}
	case tokenwatch.KindBool:
		return b.Bool(c, row)
	case tokenwatch.KindMap:
		return attrs{b, row}
	}
	return nil
}

// speak prints a value in a sentence.
func speak(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case time.Time:
		if x.IsZero() {
			return ""
		}
		return x.Format("2006-01-02 15:04:05Z")
	case []string:
		return strings.Join(x, ", ")
	default:
		return fmt.Sprint(x)
	}
}

// value is v for CEL.
func value(v any) ref.Val {
	switch x := v.(type) {
	case nil:
		return types.NullValue
	case ref.Val:
		return x
	case string:
		return types.String(x)
	case bool:
		return types.Bool(x)
	case int64:
		return types.Int(x)
	case time.Time:
		if x.IsZero() {
			return types.NullValue
		}
		return types.Timestamp{Time: x}
	case []string:
		return types.NewStringList(types.DefaultTypeAdapter, x)
	case attrs:
		return object{func(name string) (any, bool) { v, ok := x.get(name); return v, ok }}
	default:
		return types.NewErr("no such value")
	}
}

// attrs are the fields of a row that no column takes.
type attrs struct {
	b   *tokenwatch.Batch
	row int
}

func (a attrs) get(name string) (value string, ok bool) {
	a.b.EachAttr(a.row, func(k, v string) {
		if k == name && !ok {
			value, ok = v, true
		}
	})
	return value, ok
}

// Activation is how CEL asks for a variable of the case.
type activation struct{ c *Case }

func (a activation) ResolveName(name string) (any, bool) {
	switch name {
	case "token", "event", "fact", "window":
		return object{func(field string) (any, bool) {
			if !fields[name][field] {
				return nil, false
			}
			return a.c.lookUp(name, field), true
		}}, true
	case "now":
		return types.Timestamp{Time: timeOf(a.c.Now)}, true
	}
	return nil, false
}

// Parent has none.
func (activation) Parent() interpreter.Activation { return nil }

// holds evaluates a part. What cannot be evaluated, or costs too much, does not hold.
func (p *part) holds(c *Case) bool {
	out, _, err := p.program.Eval(activation{c})
	return err == nil && out == types.True
}

// object is a map of CEL whose members are looked up when asked for.
type object struct {
	get func(name string) (any, bool)
}

// Find returns a member.
func (o object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	v, ok := o.get(string(name))
	if !ok {
		return nil, false
	}
	return value(v), true
}

// Get returns a member; one that is not there is an error of the evaluation.
func (o object) Get(key ref.Val) ref.Val {
	if v, ok := o.Find(key); ok {
		return v
	}
	return types.NewErr("no such key")
}

// Contains tells whether there is a member.
func (o object) Contains(key ref.Val) ref.Val {
	_, ok := o.Find(key)
	return types.Bool(ok)
}

// Size, Iterator, Equal and the conversions are not for conditions: an object is
// asked for its members only.
func (object) Size() ref.Val { return types.NewErr("not to be counted") }
func (object) Iterator() traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, nil).Iterator()
}
func (object) Equal(ref.Val) ref.Val          { return types.False }
func (object) Type() ref.Type                 { return types.MapType }
func (o object) Value() any                   { return o }
func (object) ConvertToType(ref.Type) ref.Val { return types.NewErr("not to be converted") }
func (object) ConvertToNative(reflect.Type) (any, error) {
	return nil, fmt.Errorf("not to be converted")
}

var _ traits.Mapper = object{}
