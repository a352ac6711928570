package policy

// Window is what conditions may ask of the token's hour that an event lies in, as far
// as it has come in; before it settles it is asked for the last time, and then it is
// the whole hour. What lies outside the windows does not count: late and future
// events, repeats. Of tokens that live for hours only, whose habits are their actor's,
// nothing but the networks is known.
type Window struct {
	_                 struct{} `cbor:",toarray"`
	Requests          int64
	Errors            int64 // of these, those that were refused or failed, whoever was to blame
	Denied            int64 // of these, those that were answered with 401 or 403, or denied by the source's word
	Bytes             int64 // of the answers
	DistinctResources int64 // different objects; about, from some hundreds on
	Networks          int64
	Addresses         int64
	Actions           int64 // different ones
	DayRequests       int64 // of the UTC day, up to and with the hour
	DayErrors         int64
}

// windowFields are the fields of a window in conditions.
var windowFields = map[string]func(*Window) *int64{
	"requests":           func(w *Window) *int64 { return &w.Requests },
	"errors":             func(w *Window) *int64 { return &w.Errors },
	"denied":             func(w *Window) *int64 { return &w.Denied },
	"bytes":              func(w *Window) *int64 { return &w.Bytes },
	"distinct_resources": func(w *Window) *int64 { return &w.DistinctResources },
	"networks":           func(w *Window) *int64 { return &w.Networks },
	"addresses":          func(w *Window) *int64 { return &w.Addresses },
	"actions":            func(w *Window) *int64 { return &w.Actions },
	"day_requests":       func(w *Window) *int64 { return &w.DayRequests },
	"day_errors":         func(w *Window) *int64 { return &w.DayErrors },
}

// OfWindow tells whether the policy reads the window: of what the other parts let
// through, HoldsOfWindow decides when the window is known.
func (p *Policy) OfWindow() bool { return p.reads.window }

// HoldsOfWindow tells whether the parts that read the window hold.
func (p *Policy) HoldsOfWindow(w *Window) bool {
	c := Case{Window: w}
	for i := range p.parts {
		if q := &p.parts[i]; q.reads.window && !q.holds(&c) {
			return false
		}
	}
	return true
}

// HoldsBesideWindow tells whether all other parts hold.
func (p *Policy) HoldsBesideWindow(c *Case) bool {
	for i := range p.parts {
		if q := &p.parts[i]; !q.reads.window && !q.holds(c) {
			return false
		}
	}
	return true
}
