package notify

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Event is what a target is told of a finding.
type Event string

// A finding is raised once, and escalated when its severity grows. That it was
// withdrawn, or closed by somebody, is told only to targets that keep a state of
// their own and would otherwise show it for ever.
const (
	Raised    Event = "raised"
	Escalated Event = "escalated"
	Closed    Event = "closed"
)

// State is how far a letter has got.
type State string

const (
	Pending State = "pending" // due at Next
	Held    State = "held"    // covered by a suppression, looked at again at Next
	Sent    State = "sent"    // delivered at Done
	Dead    State = "dead"    // given up at Done
)

// Letter is what one target is told of one finding. There is one at most for
// each pair: when a finding escalates, its letter becomes pending again.
type Letter struct {
	Target   string              `json:"target"`
	Tenant   string              `json:"tenant"`
	Finding  string              `json:"finding"`
	Revision int                 `json:"revision"` // as last told, or to be told
	Event    Event               `json:"event"`
	Severity tokenwatch.Severity `json:"severity"` // the highest told or to be told
	State    State               `json:"state"`
	Told     tokenwatch.Severity `json:"told,omitempty"` // the highest delivered; "": nothing was yet
	Attempts int                 `json:"attempts,omitempty"`
	Error    string              `json:"error,omitempty"` // reason code of the last attempt, if it failed
	Made     time.Time           `json:"made"`
	Since    time.Time           `json:"since,omitzero"` // of the first attempt at this event
	Next     time.Time           `json:"next,omitzero"`
	Done     time.Time           `json:"done,omitzero"`
}

// ID names a letter: its target and finding.
func (l *Letter) ID() string { return l.Target + "." + l.Finding }

// Records of the outbox: letters, and how far each target has followed the
// findings. The names of targets hold no dot.
const (
	keyLetter = "letter."
	keyCursor = "cursor."
)

func (l *Letter) record() storage.Record {
	value, err := json.Marshal(l)
	if err != nil {
		panic("notify: letter: " + err.Error()) // no field of it can fail
	}
	return storage.Record{Key: []byte(keyLetter + l.ID()), Value: value}
}

func (l *Letter) removed() storage.Record { return storage.Record{Key: []byte(keyLetter + l.ID())} }

func decodeLetter(r storage.Record) (Letter, error) {
	var l Letter
	if json.Unmarshal(r.Value, &l) != nil || string(r.Key) != keyLetter+l.ID() {
		return l, &storage.Corruption{What: "letter", Err: errors.New("not a letter")}
	}
	return l, nil
}

func cursorRecord(target string, update uint64) storage.Record {
	return storage.Record{Key: []byte(keyCursor + target), Value: binary.AppendUvarint(nil, update)}
}

func decodeCursor(r storage.Record) (uint64, error) {
	n, size := binary.Uvarint(r.Value)
	if size != len(r.Value) || size <= 0 {
		return 0, &storage.Corruption{What: "letter", Err: errors.New("not a cursor")}
	}
	return n, nil
}

// severities, lowest first.
var severities = []tokenwatch.Severity{
	tokenwatch.SeverityLow, tokenwatch.SeverityMedium, tokenwatch.SeverityHigh, tokenwatch.SeverityCritical,
}

func rank(s tokenwatch.Severity) int { return slices.Index(severities, s) }

// closed tells whether nobody need be told of a finding any more.
func isClosed(f *tokenwatch.Finding) bool {
	return f.Withdrawn || f.Status == tokenwatch.StatusResolved
}

// next returns the letter to a target after an update of a finding, and whether
// it changed; before is nil where the target has not heard of the finding. An
// empty letter is one to be removed. wanted tells whether the finding is the
// target's business, stateful whether the target is told of closed ones.
func next(before *Letter, f *tokenwatch.Finding, wanted, stateful bool, now time.Time) (Letter, bool) {
	if before == nil {
		if !wanted || isClosed(f) {
			return Letter{}, false
		}
		return Letter{
			Tenant: f.Tenant, Finding: f.ID, Revision: f.Revision, Event: Raised, Severity: f.Severity,
			State: Pending, Made: now, Next: now,
		}, true
	}
	l := *before
	waiting := l.State == Pending || l.State == Held
	again := func(e Event) (Letter, bool) {
		l.Event, l.Revision, l.State, l.Next, l.Done = e, f.Revision, Pending, now, time.Time{}
		l.Attempts, l.Error, l.Since = 0, "", time.Time{}
		return l, true
	}
	switch {
	case isClosed(f):
		switch {
		case l.Told == "" && waiting:
			return Letter{}, true // it was never told: nor need it be
		case l.Event == Closed || l.Told == "":
			return l, false
		case stateful:
			return again(Closed)
		case waiting:
			l.State, l.Severity, l.Done = Sent, l.Told, now // the escalation is no news any more
			return l, true
		default:
			return l, false
		}
	case l.Event == Closed && wanted:
		l.Severity = f.Severity
		return again(Raised) // opened again
	case wanted && rank(f.Severity) > rank(l.Severity):
		l.Severity = f.Severity
		if l.Told == "" {
			return again(Raised)
		}
		return again(Escalated)
	default:
		return l, false
	}
}

// backoff returns how long to wait after an attempt that failed: twice as long
// each time up to ten minutes, of which the second half is left to chance.
func backoff(attempts int, jitter func() float64) time.Duration {
	const first, most = time.Second, 10 * time.Minute
	d := min(first<<min(attempts-1, 10), most)
	return d/2 + time.Duration(jitter()*float64(d/2))
}

// key is the idempotency key of a delivery.
func key(f *tokenwatch.Finding, e Event) string {
	if e == Closed {
		return fmt.Sprintf("%s/%d/closed", f.ID, f.Revision)
	}
	return fmt.Sprintf("%s/%d", f.ID, f.Revision)
}
