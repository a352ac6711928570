package tokenwatch

import "time"

// TokenState is where a token is in its life.
type TokenState string

// The states of a token, as of the time it was looked at.
const (
	TokenIssued   TokenState = "issued"   // said to exist, and not seen in use
	TokenActive   TokenState = "active"   // seen in use
	TokenRotating TokenState = "rotating" // has a successor, and may still be used
	TokenDisabled TokenState = "disabled" // switched off for now
	TokenExpired  TokenState = "expired"  // past its end, or rotated out
	TokenRevoked  TokenState = "revoked"  // ended before its time
	TokenDormant  TokenState = "dormant"  // not used for thirty days, which its sources would have shown
	TokenZombie   TokenState = "zombie"   // used after its end
)

// DormantAfter is how long a token is not used before it is dormant.
const DormantAfter = 30 * 24 * time.Hour

// TokenRecord is what the inventory knows of one token: what logs and imports
// said, and what was seen of its use. It is as of the engine's cursor. Times that
// are zero were not told.
type TokenRecord struct {
	Tenant  string    `json:"tenant"`
	ID      TokenID   `json:"id"`
	Names   []Alias   `json:"names,omitempty"`   // by kind and value
	SameAs  []TokenID `json:"same_as,omitempty"` // other ids that logs led to, which are this token's
	Lineage string    `json:"lineage,omitempty"` // its issuer's id over all secrets in turn
	Kind    string    `json:"kind,omitempty"`    // sort of credential
	Issuer  string    `json:"issuer,omitempty"`  //
	Type    string    `json:"type,omitempty"`    // what it is for: ci, personal, service …
	Label   string    `json:"label,omitempty"`   // what people call it
	Owner   string    `json:"owner,omitempty"`   //
	Team    string    `json:"team,omitempty"`    //
	Purpose string    `json:"purpose,omitempty"` //
	App     string    `json:"app,omitempty"`     //
	Env     string    `json:"env,omitempty"`     //
	Scopes  []string  `json:"scopes,omitempty"`  // granted
	Used    []string  `json:"scopes_used,omitempty"`
	Sources []string  `json:"networks,omitempty"` // from which it may be used, as CIDR

	State        TokenState `json:"state"`
	Known        bool       `json:"known"` // by an import or an audit trail, not by its use alone
	OwnerLeft    time.Time  `json:"owner_left,omitzero"`
	Created      time.Time  `json:"created,omitzero"`
	CreatedBy    string     `json:"created_by,omitempty"`
	KeyCreated   time.Time  `json:"key_created,omitzero"` // this secret; Created is the lineage
	Expires      time.Time  `json:"expires,omitzero"`
	NeverExpires bool       `json:"never_expires,omitempty"` // said to have no end
	RotationDays int        `json:"rotation_days,omitempty"`
	RotatedFrom  TokenID    `json:"rotated_from,omitempty"`
	RotatedTo    TokenID    `json:"rotated_to,omitempty"`
	Rotated      time.Time  `json:"rotated,omitzero"`       // when it got a successor
	OverlapUntil time.Time  `json:"overlap_until,omitzero"` // up to when it may then still be used
	Revoked      time.Time  `json:"revoked,omitzero"`
	RevokedBy    string     `json:"revoked_by,omitempty"`
	Expired      time.Time  `json:"expired,omitzero"`
	Disabled     time.Time  `json:"disabled,omitzero"`
	CheckedOut   time.Time  `json:"checked_out_until,omitzero"`

	First    *Sighting   `json:"first_seen,omitempty"`
	Last     *Sighting   `json:"last_seen,omitempty"`
	LastUsed time.Time   `json:"last_used,omitzero"` // seen, or said by an import
	Events   int64       `json:"events"`             // seen, repeats left out
	Exposed  []Exposure  `json:"exposure,omitempty"` // where the secret was seen
	Coverage []Coverage  `json:"coverage,omitempty"` // by source
	Steps    []TokenStep `json:"lifecycle,omitempty"`

	// AsOf is when it is so: the newest time of an event in the log, or of a tick where it
	// is quiet; zero where nothing is known of that.
	AsOf time.Time `json:"-"`
}

// Sighting is one use of a token.
type Sighting struct {
	Time   time.Time `json:"time"`
	SrcIP  string    `json:"src_ip,omitempty"`
	Action string    `json:"action,omitempty"`
	Source string    `json:"source,omitempty"`
	Offset Offset    `json:"offset"` // of the entry in the log
	Row    int       `json:"row"`    // in the entry
}

// Exposure is one report that a token's secret was where it should not be.
type Exposure struct {
	Time  time.Time `json:"time"`
	Place string    `json:"place,omitempty"`
}

// Coverage is what one source showed of a token's use.
type Coverage struct {
	Source string    `json:"source"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	Events int64     `json:"events"`
	Holes  []Window  `json:"holes,omitempty"` // since First, when the source was silent or could not be read
}

// Covered tells whether no source that has shown use of the token had a hole after
// a time: only then can it be said that it was not used since.
func (t *TokenRecord) Covered(after time.Time) bool {
	for i := range t.Coverage {
		for _, w := range t.Coverage[i].Holes {
			if w.End.After(after) {
				return false
			}
		}
	}
	return true
}

// TokenStep is one step of a token's life, with the record that tells of it.
type TokenStep struct {
	Time    time.Time `json:"time"`
	Kind    FactKind  `json:"kind"` // or imported
	By      string    `json:"by,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Source  string    `json:"source,omitempty"`
	Request string    `json:"request_id,omitempty"`
	Offset  Offset    `json:"offset"`
	Row     int       `json:"row"`
}

// FactImported is the step of a token that an inventory told of.
const FactImported FactKind = "imported"
