package tokenwatch

// Lead returns the kind of the entity whose habits row i belongs to: its token if
// that is one that lasts; else its actor, since the key ids of a session change
// while its owner's habits do not; else its source address. NumEntityKinds: none.
func (b *Batch) Lead(i int) EntityKind {
	token, actor := b.Has(ColToken, i), b.Has(ColActor, i)
	switch {
	case token && !(actor && PassingToken(b.Text(ColTokenKind, i))):
		return EntityToken
	case actor:
		return EntityActor
	case b.Has(ColSrcIP, i):
		return EntityAddress
	default:
		return NumEntityKinds
	}
}

// PassingToken tells whether tokens of this kind live for hours only, so that
// habits are their actor's.
func PassingToken(kind string) bool { return kind == "aws_session" }
