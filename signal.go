package tokenwatch

import "cmp"

// Signal is one detector's number for one entity in one window, with what it
// rests on. Detectors emit it; engine/finding makes findings of it.
type Signal struct {
	Row      int        // which of the windows being scored
	Detector string     // name of the detector
	Axis     string     // what it looked at; "" if the detector looks at one thing only
	Group    string     // of signals that tell of the same, the strongest counts; "" tells of something else than all others
	Surprise Bans       // how improbable this was
	Observed int64      // in thousandths, by detector
	Expected int64      // in thousandths, by detector
	Learning bool       // judged without a settled baseline
	Evidence []EventRef // most telling first
	Beside   []EventRef // what these are told apart from; not evidence themselves
	Attack   []string   // MITRE ATT&CK technique ids
}

// Bans is a surprise: −log10 of a probability, in thousandths. It is an integer
// so that sums do not depend on their order.
type Bans int32

// Surprising is the surprise that counts: a signal below it is what happens to
// everybody now and then.
const Surprising Bans = 1000

// MaxBans is where one signal's surprise is cut, since no model of ours is right
// further out than that.
const MaxBans Bans = 9000

// EventRef points at an event in the log. Two references order by event time,
// then by a digest of the event's content, so that which of several events comes
// first does not depend on how they arrived.
type EventRef struct {
	_      struct{} `cbor:",toarray"` // stored without the names of its fields
	Millis int64    // event time, UTC milliseconds since 1970
	Tie    uint32   // digest of the event's content
	Row    uint32   // in the entry's batch
	Offset Offset   // of the entry
}

// Compare orders references by time and content.
func (r EventRef) Compare(o EventRef) int {
	return cmp.Or(cmp.Compare(r.Millis, o.Millis), cmp.Compare(r.Tie, o.Tie))
}

// Before tells whether r comes before o.
func (r EventRef) Before(o EventRef) bool { return r.Compare(o) < 0 }
