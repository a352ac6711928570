package history

import "fmt"

// Kind says what a leaf states. The numbers are stored and never change.
type Kind uint8

// The kinds of leaves. Numbers 32 to 39 are kept for deny and undeny (intent
// and outcome), erasure, sensitive reads, merges (38) and aliases.
const (
	KindSegment     Kind = 1  // a segment was appended to the log
	KindControl     Kind = 2  // a control record was appended to the log
	KindFinding     Kind = 3  // the first revision of a finding
	KindRevision    Kind = 4  // a later revision of a finding
	KindAdminAction Kind = 5  // somebody did something
	KindConflict    Kind = 6  // a request reused the key of another one with other content
	KindTick        Kind = 7  // a minute has passed, and this is where all chains stand
	KindLoss        Kind = 8  // stored data was found lost or damaged
	KindSummary     Kind = 9  // counts of late, future, repeated and rejected records
	KindRestore     Kind = 10 // the store was restored; a new history begins
	KindKeyEpoch    Kind = 11 // a key was put in use
	KindRetention   Kind = 12 // segments ran out
	KindMerge       Kind = 38 // segments were merged into one
)

var kindNames = [...]string{
	KindSegment:     "segment",
	KindControl:     "control",
	KindFinding:     "finding",
	KindRevision:    "finding-revision",
	KindAdminAction: "admin-action",
	KindConflict:    "conflict",
	KindTick:        "tick",
	KindLoss:        "loss-report",
	KindSummary:     "late-or-rejected",
	KindRestore:     "restore",
	KindKeyEpoch:    "key-epoch",
	KindRetention:   "retention",
	KindMerge:       "merge",
}

// String returns the name of the kind.
func (k Kind) String() string {
	if int(k) >= len(kindNames) || kindNames[k] == "" {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kindNames[k]
}

// newBody returns an empty body of a kind, nil if the kind is unknown.
func newBody(k Kind) Body {
	switch k {
	case KindSegment:
		return new(Segment)
	case KindControl:
		return new(Control)
	case KindFinding, KindRevision:
		return new(Finding)
	case KindAdminAction:
		return new(AdminAction)
	case KindConflict:
		return new(Conflict)
	case KindTick:
		return new(Tick)
	case KindLoss:
		return new(Loss)
	case KindSummary:
		return new(Summary)
	case KindRestore:
		return new(Restore)
	case KindKeyEpoch:
		return new(KeyEpoch)
	case KindRetention:
		return new(Retention)
	case KindMerge:
		return new(Merge)
	default:
		return nil
	}
}
