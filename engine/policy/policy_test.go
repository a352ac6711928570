package policy

import (
	"strings"
	"testing"
)

// TestPacks: every pack compiles, says what it is, and passes its own tests; all
// can be in use at once.
func TestPacks(t *testing.T) {
	var all [][]byte
	for _, name := range Names() {
		text, err := Embedded(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
		s, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if s.Packs[0].Name != name || s.Packs[0].Doc == "" {
			t.Errorf("pack %s calls itself %s, and says %q", name, s.Packs[0].Name, s.Packs[0].Doc)
		}
		for _, r := range s.Test() {
			if r.Err != nil {
				t.Errorf("%s: %s: %v", r.Policy, r.Test, r.Err)
			}
		}
		for _, p := range s.Policies {
			if len(p.Controls) == 0 {
				t.Errorf("%s names no control", p.ID)
			}
		}
	}
	if _, err := Compile(all...); err != nil {
		t.Error(err)
	}
	if _, err := Embedded("../policy"); err == nil {
		t.Error("a pack by its path is no error")
	}
}

func pack(policy string) []byte {
	return []byte("pack: pp\npolicies:\n  - id: x_y\n    title: T\n    severity: low\n" + policy)
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "read policy pack: EOF"},
		{"pack: pp\n", "policy pack pp has no policies"},
		{"pack: P 1\npolicies: []\n", "read policy pack: pack needs a name"},
		{"pack: pp\nnope: 1\n", "read policy pack: yaml"},
		{string(pack("    when: token.owner\n")), ""},
		{string(pack("    when: 1 + 1\n")), `policy pack pp: policy "x_y": when: 1 + 1 is not true or false`},
		{string(pack("    when: token.ownr == 'a'\n")), `policy pack pp: policy "x_y": when: token has no field ownr`},
		{string(pack("    when: size(token) > 1\n")), `policy pack pp: policy "x_y": when: token stands alone`},
		{string(pack("    when: event.bytes_out > 5\n")), `policy pack pp: policy "x_y": a condition on events needs a part`},
		{string(pack("    when: token.live && event.method == 'GET' && fact.kind == 'x'\n")), `policy pack pp: policy "x_y": when: a condition reads an event or a fact`},
		{string(pack("    when: token.live && window.requests > 5\n")), ""},
		{string(pack("    when: window.requests > 5 && window.errors * 2 > window.requests\n    message: '{window.errors} of {window.requests}'\n")), ""},
		{string(pack("    when: token.live && (window.requests > 5 || event.method == 'GET')\n")), `policy pack pp: policy "x_y": when: window.requests > 5 || event.method == "GET" reads the window and something else`},
		{string(pack("    when: window.request > 5\n")), `policy pack pp: policy "x_y": when: window has no field request`},
		{string(pack("    when: fact.kind == 'leaked' && window.requests > 5\n")), `policy pack pp: policy "x_y": when: a condition reads the window or a fact`},
		{string(pack("    when: token.live &&\n")), `policy pack pp: policy "x_y": when: at column`},
		{string(pack("    when: nope\n")), `policy pack pp: policy "x_y": when: at column 1`},
		{string(pack("    when: token.live\n    message: '{token.ownr}'\n")), `policy pack pp: policy "x_y": message: token has no ownr`},
		{string(pack("    when: token.live\n    action: burn\n")), `policy pack pp: policy "x_y": action is`},
		{string(pack("    title: ''\n    when: token.live\n")), "read policy pack: yaml"},
		{"pack: pp\npolicies:\n  - {id: a_b, title: T, severity: low, when: token.live}\n  - {id: a_b, title: T, severity: low, when: token.live}\n", "policy a_b is there twice"},
	} {
		_, err := Compile([]byte(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

// TestCost: a condition that costs too much does not hold, and comes back soon.
func TestCost(t *testing.T) {
	list := "[" + strings.Repeat("1,", 200) + "1]"
	s, err := Compile(pack("    when: '" + list + ".all(a, " + list + ".all(b, " + list + ".all(c, a + b + c > 0 && token.rotation_days == null)))'\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Policies[0].Holds(&Case{}) {
		t.Error("it holds")
	}
}

// TestRows compares the prefilter with asking every row.
func TestRows(t *testing.T) {
	s, err := Compile(pack("    when: event.method in ['POST', 'PUT'] && event.attrs['k'].startsWith('a') && event.status > 299\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := s.Policies[0]
	for _, c := range []struct {
		event map[string]any
		may   bool
		holds bool
	}{
		{map[string]any{"method": "POST", "status": 300, "attrs": map[string]any{"k": "abc"}}, true, true},
		{map[string]any{"method": "POST", "status": 200, "attrs": map[string]any{"k": "abc"}}, true, false},
		{map[string]any{"method": "GET", "status": 300, "attrs": map[string]any{"k": "abc"}}, false, false},
		{map[string]any{"method": "PUT", "status": 300, "attrs": map[string]any{"j": "abc"}}, false, false},
		{map[string]any{"method": "PUT", "status": 300, "attrs": map[string]any{"k": "bc"}}, false, false},
		{map[string]any{"status": 300}, false, false},
	} {
		b, err := eventOf(c.event)
		if err != nil {
			t.Fatal(err)
		}
		rows, none := p.Rows(b)
		if may := !none && (rows == nil || rows[0]); may != c.may {
			t.Errorf("%v: may hold %v, want %v", c.event, may, c.may)
		}
		if got := p.Holds(&Case{Batch: b, Row: 0}); got != c.holds {
			t.Errorf("%v: holds %v, want %v", c.event, got, c.holds)
		}
	}
}

// FuzzCompile: whatever stands in a pack, it compiles or is refused.
func FuzzCompile(f *testing.F) {
	for _, name := range Names() {
		text, err := Embedded(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add(pack("    when: token.live && event.attrs['x'] == 'y'\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Compile(text)
		if err == nil {
			s.Test()
		}
	})
}

// TestWindowsInTests: the inline tests of a policy set the window, and what they do not
// set is 0.
func TestWindowsInTests(t *testing.T) {
	set, err := Compile([]byte(`# of windows
pack: windows
policies:
  - id: too_much_export
    title: Exports by the hundred
    severity: high
    when: event.action_class == "export" && window.requests > 100 && window.networks <= 1
    tests:
      - name: many
        event: {action_class: export}
        window: {requests: 101, networks: 1}
        want: true
      - name: few
        event: {action_class: export}
        window: {requests: 100}
        want: false
      - name: another action
        event: {action_class: read}
        window: {requests: 1000}
        want: false
      - name: nothing is known of the window
        event: {action_class: export}
        want: false
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range set.Test() {
		if r.Err != nil {
			t.Errorf("%s: %v", r.Test, r.Err)
		}
	}
	set.Policies[0].Tests[0].Window["reqests"] = 1
	if r := set.Test()[0]; r.Err == nil || r.Err.Error() != "a window has no field reqests" {
		t.Errorf("an unknown field: %v", r.Err)
	}
}
