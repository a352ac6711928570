package tokenwatch

import "math"

// FactKind says what happened in a token's life.
type FactKind string

// The kinds of facts.
const (
	FactCreated      FactKind = "created"       // the token was issued
	FactRotated      FactKind = "rotated"       // it follows another one, which ends at Until
	FactRevoked      FactKind = "revoked"       // it was ended before its time
	FactExpired      FactKind = "expired"       // its time was over
	FactDisabled     FactKind = "disabled"      // it was switched off, and may be switched on again
	FactEnabled      FactKind = "enabled"       // it was switched on again
	FactScopeChanged FactKind = "scope_changed" // Scopes were added, Removed taken away
	FactOwnerChanged FactKind = "owner_changed" // Owner has it from now on
	FactOwnerLeft    FactKind = "owner_left"    // Owner is gone; about all tokens of this owner if there is no subject
	FactLeaked       FactKind = "leaked"        // its secret was seen at Place, where it should not be
	FactUsed         FactKind = "used"          // it was used, says an audit trail
	FactDenied       FactKind = "denied"        // its use was denied, says an audit trail
	FactCheckedOut   FactKind = "checked_out"   // it was lent up to Until
)

// FactKinds lists the kinds.
var FactKinds = []FactKind{
	FactCreated, FactRotated, FactRevoked, FactExpired, FactDisabled, FactEnabled, FactScopeChanged,
	FactOwnerChanged, FactOwnerLeft, FactLeaked, FactUsed, FactDenied, FactCheckedOut,
}

// Never is the Expires of a token that has no end, as opposed to one whose end
// is not told.
const Never int64 = math.MaxInt64

// Fact is what a row of a batch says about the life of a token, sealed. The row
// is the audit record: who did it, when, from where. The token that it is about
// is the fact's and need not be the row's, which is the one the deed was done
// with.
type Fact struct {
	Row      int // of the batch: the citing event
	Kind     FactKind
	Token    TokenID // whom it is about; "" if only Lineage or Owner tell
	Previous TokenID // of a rotation: the token before; "" if it is not told
	Lineage  string  // an inventory's id over all secrets that a token has in turn; groups, never merges

	Owner, Label, TokenType, App, Env string // as told; "" is not told
	Scopes, Removed                   []string
	Expires                           int64 // UTC nanoseconds, or Never; 0 is not told
	Until                             int64 // UTC nanoseconds; 0 is not told
	Place                             string
}

// RowFact is a fact of a record being parsed. Its texts are the row's: they
// point into the record and may hold credentials until they are sealed.
type RowFact struct {
	Kind              FactKind
	Subject, Previous []Name // names of the token that it is about, and of the one before
	Lineage           []byte

	Owner, Label, TokenType, App, Env []byte
	Scopes, Removed                   [][]byte
	Expires, Until                    int64
	Place                             []byte

	// Secret, if above 0, is one more than the place in Row.Credentials of the
	// subject's own credential; PreviousSecret is the same of the one before.
	Secret, PreviousSecret int
}

// AddName adds a name of the token that the fact is about; an empty value is
// ignored.
func (f *RowFact) AddName(kind NameKind, issuer string, value []byte) {
	if len(value) > 0 {
		f.Subject = append(f.Subject, Name{kind, issuer, value})
	}
}

// AddPrevious adds a name of the token before; an empty value is ignored.
func (f *RowFact) AddPrevious(kind NameKind, issuer string, value []byte) {
	if len(value) > 0 {
		f.Previous = append(f.Previous, Name{kind, issuer, value})
	}
}

// Texts calls visit with every text of the fact but its names. free tells
// whether it is free text, as opposed to a word or an id.
func (f *RowFact) Texts(visit func(text *[]byte, free bool)) {
	visit(&f.Lineage, false)
	for _, t := range []*[]byte{&f.Owner, &f.Label, &f.TokenType, &f.App, &f.Env} {
		visit(t, false)
	}
	for i := range f.Scopes {
		visit(&f.Scopes[i], false)
	}
	for i := range f.Removed {
		visit(&f.Removed[i], false)
	}
	visit(&f.Place, true)
}

// reset empties the fact and keeps its memory.
func (f *RowFact) reset() {
	*f = RowFact{
		Subject: f.Subject[:0], Previous: f.Previous[:0],
		Scopes: f.Scopes[:0], Removed: f.Removed[:0],
	}
}
