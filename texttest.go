package tokenwatch

// TextTest is a test of texts that demands something which can be looked for before
// a text is at hand.
type TextTest struct {
	Parts  []string // that occur in every text that fulfils it; at least one
	Suffix string   // such a text ends with it
	// Test is the test; nil: that Parts[0] occurs is all there is to it.
	Test func(string) bool
}
