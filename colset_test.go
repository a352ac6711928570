package tokenwatch

import (
	"slices"
	"testing"
)

func TestColSet(t *testing.T) {
	s := Cols(ColAttrs, ColTime, ColPath)
	if got := slices.Collect(s.All()); !slices.Equal(got, []Col{ColTime, ColPath, ColAttrs}) {
		t.Errorf("got %v", got)
	}
	if s.Has(ColToken) || !s.With(ColToken).Has(ColToken) || s.Len() != 3 {
		t.Errorf("%d columns, token %v", s.Len(), s.Has(ColToken))
	}
	if AllCols.Len() != NumColumns {
		t.Errorf("all are %d of %d", AllCols.Len(), NumColumns)
	}
	for range AllCols.All() {
		return // ending early must not go on
	}
}
