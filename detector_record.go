package tokenwatch

// DetectorRecord is a detector as verdicts on a tenant's findings have moved it. It
// counts the findings that it had a part in, by the last verdict on each.
type DetectorRecord struct {
	Name          string
	Doc           string // what it notices
	FalsePositive int
	Benign        int
	TruePositive  int
	Shift         Bans // taken off its surprises
}
