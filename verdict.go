package tokenwatch

import (
	"errors"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// What people do about a finding. Statuses say how far they are, verdicts what
// they think of it.
const (
	StatusNew        = "new"
	StatusInProgress = "in_progress"
	StatusResolved   = "resolved"

	VerdictNone          = ""
	VerdictTruePositive  = "true_positive"  // what was found was an attack, or broke a rule
	VerdictFalsePositive = "false_positive" // what was found is not so
	VerdictBenign        = "benign"         // it is so, and is expected
)

// Statuses and Verdicts are all there are.
var (
	Statuses = []string{StatusNew, StatusInProgress, StatusResolved}
	Verdicts = []string{VerdictNone, VerdictTruePositive, VerdictFalsePositive, VerdictBenign}
)

// MaxNote is how many bytes the note of a finding or the reason of a suppression
// may have.
const MaxNote = 4096

// Verdict is the body of a control record of kind [ControlVerdict]: what
// somebody changed about the handling of a finding. What is nil stays.
type Verdict struct {
	Finding string  `cbor:"1,keyasint"` // id
	Status  *string `cbor:"2,keyasint,omitempty"`
	Verdict *string `cbor:"3,keyasint,omitempty"`
	Note    *string `cbor:"4,keyasint,omitempty"`
	By      string  `cbor:"5,keyasint"` // id of the API key

	// Detectors are those that Verdict is about; see About. Older records have none.
	Detectors []string `cbor:"6,keyasint,omitempty"`
}

// About notes whom a verdict on f is about: the detectors of what one entity did that
// it does not usually do, as f stands. What many did together and what breaks a stated
// rule say nothing of how sure a detector is.
func (v *Verdict) About(f *Finding) {
	v.Detectors = nil
	if v.Verdict != nil && f.Class == ClassAnomaly && f.EntityKind != EntityGroup {
		v.Detectors = f.Detectors
	}
}

// Check tells whether all that is set is one of the values there are.
func (v *Verdict) Check() error {
	switch {
	case v.Finding == "":
		return errors.New("a verdict needs a finding")
	case v.Status == nil && v.Verdict == nil && v.Note == nil:
		return errors.New("a verdict changes nothing")
	case v.Status != nil && !slices.Contains(Statuses, *v.Status):
		return errors.New("status is new, in_progress or resolved")
	case v.Verdict != nil && !slices.Contains(Verdicts, *v.Verdict):
		return errors.New("verdict is true_positive, false_positive, benign or empty")
	case v.Note != nil && len(*v.Note) > MaxNote:
		return errors.New("a note has at most 4096 bytes")
	}
	return nil
}

// Apply makes the change to f, at a time.
func (v *Verdict) Apply(f *Finding, at time.Time) {
	for _, c := range []struct {
		from *string
		to   *string
	}{{v.Status, &f.Status}, {v.Verdict, &f.Verdict}, {v.Note, &f.Note}} {
		if c.from != nil {
			*c.to = *c.from
		}
	}
	f.JudgedBy, f.Judged = v.By, at
}

// Suppression is the body of a control record of kind [ControlSuppression]: an
// exception with a reason and an end. Findings in its scope are marked, counted
// and listed like others, but nobody is notified of them. It is kept when it has
// ended.
type Suppression struct {
	ID      string    `cbor:"1,keyasint" json:"id"` // sup_…
	Tenant  string    `cbor:"2,keyasint" json:"tenant"`
	Scope   string    `cbor:"3,keyasint" json:"scope"` // a filter of findings
	Reason  string    `cbor:"4,keyasint" json:"reason"`
	Author  string    `cbor:"5,keyasint" json:"author"` // id of the API key that made it
	Created time.Time `cbor:"6,keyasint" json:"created"`
	Expires time.Time `cbor:"7,keyasint" json:"expires"`
	Ended   time.Time `cbor:"8,keyasint,omitzero" json:"ended,omitzero"` // lifted before its time
}

// Active tells whether the suppression holds at a time.
func (s *Suppression) Active(at time.Time) bool { return s.Ended.IsZero() && at.Before(s.Expires) }

// bodies are encoded so that equal ones have equal bytes.
var bodies = func() cbor.EncMode {
	m, err := cbor.EncOptions{Sort: cbor.SortCoreDeterministic, Time: cbor.TimeRFC3339Nano}.EncMode()
	if err != nil {
		panic("tokenwatch: cbor encoder: " + err.Error()) // options are constant
	}
	return m
}()

// Control returns the control record of a verdict.
func (v *Verdict) Control() *Control { return &Control{ControlVerdict, encodeBody(v)} }

// Control returns the control record of a suppression.
func (s *Suppression) Control() *Control { return &Control{ControlSuppression, encodeBody(s)} }

func encodeBody(v any) []byte {
	b, err := bodies.Marshal(v)
	if err != nil {
		panic("tokenwatch: control record: " + err.Error()) // no field of ours can fail
	}
	return b
}

// DecodeVerdict reads the body of a control record of kind verdict.
func DecodeVerdict(body []byte) (Verdict, error) {
	var v Verdict
	if cbor.Unmarshal(body, &v) != nil {
		return v, errors.New("not a verdict")
	}
	return v, v.Check()
}

// DecodeSuppression reads the body of a control record of kind suppression.
func DecodeSuppression(body []byte) (Suppression, error) {
	var s Suppression
	if cbor.Unmarshal(body, &s) != nil || s.ID == "" || s.Tenant == "" {
		return s, errors.New("not a suppression")
	}
	return s, nil
}
