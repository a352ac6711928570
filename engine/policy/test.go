package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Test is an inline test of a policy: a case, and whether the condition holds
// there. Fields that are not given are not told; a token that no state is given
// of is active.
type Test struct {
	Name   string           `yaml:"name"`
	Token  map[string]any   `yaml:"token"`
	Event  map[string]any   `yaml:"event"`
	Fact   map[string]any   `yaml:"fact"`
	Window map[string]int64 `yaml:"window"` // what is not given is 0
	Now    string           `yaml:"now"`    // default 2026-01-01T00:00:00Z, or the time of the event
	Want   bool             `yaml:"want"`
}

// Result is what became of one test.
type Result struct {
	Policy, Test string
	Err          error // nil: as wanted
}

// errOther is the result of a test that came out the other way.
var errOther = errors.New("it came out the other way")

// Test runs the inline tests of all policies. A policy that has none that wants
// it to hold and one that does not is an error too.
func (s *Set) Test() (out []Result) {
	for _, p := range s.Policies {
		var wants [2]bool
		for _, t := range p.Tests {
			err := p.run(&t)
			out = append(out, Result{p.ID, t.Name, err})
			if t.Want {
				wants[1] = true
			} else {
				wants[0] = true
			}
		}
		if !wants[0] || !wants[1] {
			out = append(out, Result{p.ID, "(tests)", errors.New("it needs a test that wants it to hold, and one that does not")})
		}
	}
	return out
}

func (p *Policy) run(t *Test) error {
	c := Case{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()}
	var err error
	if c.Token, err = tokenOf(t.Token); err != nil {
		return err
	}
	if t.Event != nil {
		if c.Batch, err = eventOf(t.Event); err != nil {
			return err
		}
		if at := c.Batch.Int(tokenwatch.ColTime, 0); at != 0 {
			c.Now = at
		}
	}
	if t.Fact != nil {
		kind, _ := t.Fact["kind"].(string)
		place, _ := t.Fact["place"].(string)
		c.Fact = &Fact{Kind: tokenwatch.FactKind(kind), Told: &tokenwatch.Fact{Kind: tokenwatch.FactKind(kind), Place: place}}
	}
	if p.OfWindow() || t.Window != nil {
		c.Window = new(Window)
	}
	for name, n := range t.Window {
		f := windowFields[name]
		if f == nil {
			return fmt.Errorf("a window has no field %s", name)
		}
		*f(c.Window) = n
	}
	if t.Now != "" {
		at, err := time.Parse(time.RFC3339, t.Now)
		if err != nil {
			return errors.New("now is no time")
		}
		c.Now = at.UnixNano()
	}
	if p.Holds(&c) != t.Want {
		return errOther
	}
	// The prefilter must not leave out what holds.
	if t.Want && !p.MayHold(&c) {
		return errors.New("its parts on the token alone leave it out")
	}
	return nil
}

// tokenOf makes a token of the fields of a test.
func tokenOf(given map[string]any) (*tokenwatch.TokenRecord, error) {
	t := &tokenwatch.TokenRecord{ID: "tkw_test", State: tokenwatch.TokenActive}
	texts := map[string]*string{
		"lineage": &t.Lineage, "kind": &t.Kind, "issuer": &t.Issuer, "type": &t.Type, "label": &t.Label, "owner": &t.Owner, "team": &t.Team,
		"purpose": &t.Purpose, "app": &t.App, "env": &t.Env, "created_by": &t.CreatedBy, "state": (*string)(&t.State),
	}
	lists := map[string]*[]string{"scopes": &t.Scopes, "scopes_used": &t.Used, "networks": &t.Sources}
	times := map[string]*time.Time{
		"created": &t.Created, "key_created": &t.KeyCreated, "expires": &t.Expires, "rotated": &t.Rotated, "overlap_until": &t.OverlapUntil, "revoked": &t.Revoked,
		"expired": &t.Expired, "disabled": &t.Disabled, "checked_out": &t.CheckedOut, "owner_left": &t.OwnerLeft, "last_used": &t.LastUsed,
	}
	bools := map[string]*bool{"known": &t.Known, "never_expires": &t.NeverExpires}
	for name, v := range given {
		ok := false
		switch {
		case texts[name] != nil:
			*texts[name], ok = v.(string)
		case bools[name] != nil:
			*bools[name], ok = v.(bool)
		case name == "covered":
			var covered bool
			if covered, ok = v.(bool); ok && !covered {
				t.Coverage = []tokenwatch.Coverage{{Holes: []tokenwatch.Window{{End: time.Unix(1<<33, 0)}}}}
			}
		case name == "rotation_days":
			t.RotationDays, ok = v.(int)
		case lists[name] != nil:
			var items []any
			if items, ok = v.([]any); ok {
				for _, x := range items {
					*lists[name] = append(*lists[name], fmt.Sprint(x))
				}
			}
		case name == "exposed":
			var at time.Time
			at, ok = testTime(v)
			t.Exposed = []tokenwatch.Exposure{{Time: at}}
		case times[name] != nil:
			*times[name], ok = testTime(v)
		}
		if !ok {
			return nil, fmt.Errorf("token.%s cannot be given so", name)
		}
	}
	return t, nil
}

func testTime(v any) (time.Time, bool) {
	if at, ok := v.(time.Time); ok {
		return at.UTC(), true
	}
	text, _ := v.(string)
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}

// eventOf makes an event of the fields of a test.
func eventOf(given map[string]any) (*tokenwatch.Batch, error) {
	var b tokenwatch.Builder
	var row tokenwatch.Row
	for name, v := range given {
		c, ok := tokenwatch.ColumnByName(name)
		if !ok || name != c.String() {
			return nil, fmt.Errorf("event has no field %s", name)
		}
		text := fmt.Sprint(v)
		switch c.Kind() {
		case tokenwatch.KindTime:
			at, ok := testTime(v)
			if !ok {
				return nil, fmt.Errorf("event.%s is no time", name)
			}
			row.SetInt(c, at.UnixNano())
		case tokenwatch.KindInt:
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("event.%s is no number", name)
			}
			row.SetInt(c, n)
		case tokenwatch.KindAddr:
			a, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("event.%s is no address", name)
			}
			row.SetAddr(a)
		case tokenwatch.KindMap:
			pairs, ok := v.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("event.%s is no list of names and values", name)
			}
			for k, v := range pairs {
				row.AddAttr([]byte(k), fmt.Append(nil, v))
			}
		case tokenwatch.KindBool:
			return nil, fmt.Errorf("event.%s is not for a test to give", name)
		default:
			row.SetString(c, text)
		}
	}
	b.Append(&row)
	return b.Batch(), nil
}
