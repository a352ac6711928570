package tokenwatch

import (
	"encoding/json"
	"time"
)

// Class parts what was unlikely from what was forbidden.
type Class string

const (
	ClassAnomaly Class = "anomaly" // the entity did what it does not usually do
	ClassPolicy  Class = "policy"  // a stated rule does not hold
)

// Severity of a finding, by score.
type Severity string

const (
	SeverityLow      Severity = "low"      // score below 70
	SeverityMedium   Severity = "medium"   // from 70
	SeverityHigh     Severity = "high"     // from 80
	SeverityCritical Severity = "critical" // from 90
)

// SeverityOf returns the severity that goes with a score of 0 to 100.
func SeverityOf(score int) Severity {
	switch {
	case score >= 90:
		return SeverityCritical
	case score >= 80:
		return SeverityHigh
	case score >= 70:
		return SeverityMedium
	default:
		return SeverityLow
	}
}

// Finding is a judgement with its evidence: within one UTC day, one entity did
// something it should not have. It is revised while the windows it is about are
// open; its key (tenant, entity, class, kind if a policy, day) stays.
//
// Equal logs give equal settled findings, byte for byte, in the fields that
// Canonical keeps.
type Finding struct {
	ID         string     `json:"id"`       // keyed hash of the key: fnd_…
	Revision   int        `json:"revision"` // from 1
	Settled    bool       `json:"settled"`  // every window it is about has settled
	Withdrawn  bool       `json:"withdrawn,omitempty"`
	Learning   bool       `json:"learning,omitempty"` // judged before the entity had a settled baseline
	Tenant     string     `json:"tenant"`
	EntityKind EntityKind `json:"entity_kind"`
	Entity     string     `json:"entity"`
	Token      TokenID    `json:"token,omitempty"`
	Aliases    []Alias    `json:"token_aliases,omitempty"` // of Token, by kind and value
	Actor      string     `json:"actor,omitempty"`

	Time      time.Time `json:"time"` // event time: settled, of the earliest evidence; else of the event that raised it
	Window    Window    `json:"window"`
	Detectors []string  `json:"detectors"` // that contributed, in order of name
	Kind      string    `json:"kind"`      // the strongest detector, or the policy
	Class     Class     `json:"class"`
	Score     int       `json:"score"` // 0 to 100: 30 − 20·log10(false findings expected per entity and week)
	Severity  Severity  `json:"severity"`
	Summary   string    `json:"summary"` // what was expected, what happened, how unlikely that is
	Reasons   []Reason  `json:"reasons"` // strongest first

	Evidence   []Event  `json:"evidence"`         // earliest first, at most MaxEvidence
	RequestIDs []string `json:"request_ids"`      // of the evidence
	Series     *Series  `json:"series,omitempty"` // of the day before the window and the window itself, as the baseline was when it was judged
	SrcIP      string   `json:"src_ip,omitempty"`
	Status     string   `json:"status"` // new; people change it, and verdict and note
	Verdict    string   `json:"verdict,omitempty"`
	Note       string   `json:"note,omitempty"`
	Attack     []string `json:"attack"`             // MITRE ATT&CK technique ids
	Controls   []string `json:"controls,omitempty"` // ids of controls that a policy is about
	Continues  string   `json:"continues,omitempty"`
	MergedInto string   `json:"merged_into,omitempty"`

	// Members are the entities that the finding is about besides Entity, the most
	// telling first, at most MaxMembers; MemberCount is how many there are. Of a
	// group, that is all of them.
	Members     []Member `json:"members,omitempty"`
	MemberCount int      `json:"member_count,omitempty"`

	JudgedBy     string    `json:"judged_by,omitempty"`     // id of the API key that last changed status, verdict or note
	Judged       time.Time `json:"judged,omitzero"`         // and when
	SuppressedBy string    `json:"suppressed_by,omitempty"` // id of the suppression that covers it at the time of reading

	Raised       time.Time `json:"raised"`        // wall clock: when this revision was made
	Update       uint64    `json:"update"`        // place in the order of all updates of the store, from 1
	HistoryIndex uint64    `json:"history_index"` // leaf of this revision in the history
}

// MaxEvidence is how many events a finding carries at most.
const MaxEvidence = 20

// MaxMembers is how many members a finding lists at most.
const MaxMembers = 100

// Member is an entity that shares a finding with others.
type Member struct {
	EntityKind EntityKind `json:"entity_kind"`
	Entity     string     `json:"entity"`
	Score      int        `json:"score"` // that its own finding would have; 0: it would have none
}

// Window is a span of event time: from Start up to, not including, End.
type Window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Reason is one detector's part in a finding.
type Reason struct {
	Detector string   `json:"detector"`
	Axis     string   `json:"axis,omitempty"` // what it looked at: network, route, action …
	Surprise float64  `json:"surprise"`       // −log10 of the probability, to three places
	Observed float64  `json:"observed"`
	Expected float64  `json:"expected"`
	Values   []string `json:"values,omitempty"` // what was new, most telling first, at most ten
	Text     string   `json:"text"`             // the same as a sentence
	Attack   []string `json:"attack,omitempty"`
}

// Event is what a finding shows of a log event.
type Event struct {
	Time      time.Time `json:"time"`
	Source    string    `json:"source,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
	Token     TokenID   `json:"token,omitempty"`
	Actor     string    `json:"actor,omitempty"`
	SrcIP     string    `json:"src_ip,omitempty"`
	Action    string    `json:"action,omitempty"`
	Resource  string    `json:"resource,omitempty"`
	Status    int       `json:"status,omitempty"`
	Outcome   string    `json:"outcome,omitempty"`
	Error     string    `json:"error,omitempty"`
}

// Canonical returns the bytes by which two findings are compared and which the
// history commits to: JSON in the order of the fields, without what depends on
// when and how often the finding was made and on what people did about it.
func (f *Finding) Canonical() []byte {
	c := *f
	c.Revision, c.Update, c.HistoryIndex = 0, 0, 0
	c.Raised = time.Time{}
	c.Status, c.Verdict, c.Note, c.JudgedBy, c.Judged, c.SuppressedBy = "", "", "", "", time.Time{}, ""
	c.Aliases = nil // applied when read: a name may become known later
	b, err := json.Marshal(&c)
	if err != nil {
		panic("tokenwatch: finding: " + err.Error()) // no field of it can fail
	}
	return b
}
