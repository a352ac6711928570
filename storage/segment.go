package storage

import (
	"context"
	"iter"
	"net/netip"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// Segments is what queries ask of the events: the same rows as Events, but
// column by column, and in pieces that tell beforehand what they cannot hold.
type Segments interface {
	// Segments yields the segments that may hold a row in r, all of one moment,
	// in the order of their first offsets, and ends. First and Last pick whole
	// segments. Nothing of a segment but its head has been read when it is
	// yielded. Rows have no order that could be relied on across segments.
	//
	// A segment may be used until ctx ends, or, if ctx never does, until the
	// iteration ends; what was selected from it may be kept.
	Segments(ctx context.Context, r Range) iter.Seq2[Segment, error]
}

// Segment is one piece of the log as it is stored: one appended entry, or many
// that were merged. Its methods may be called from many goroutines.
type Segment interface {
	// First is the offset of its first entry.
	First() tokenwatch.Offset
	// Rows is how many rows it has, duplicates among them.
	Rows() int
	// Bounds says between which values a column lies; false if nothing is known
	// of it, as of attrs.
	Bounds(col tokenwatch.Col) (Bounds, bool)
	// Counts returns how many rows have which value, those flagged duplicate left
	// out, in the order of values, null first; false if the segment does not carry
	// them for this column. They add up to the rows that are no duplicates. The
	// slice is only to be read.
	Counts(col tokenwatch.Col) ([]ValueCount, bool)
	// Counted tells whether Counts has something to say of a column.
	Counted(col tokenwatch.Col) bool
	// Addresses returns the rows from lo up to hi of a column of addresses as places
	// in a list of its distinct ones, 16 bytes each; place 0 is null, and place k is
	// the k-th of the list. ok is false where the segment does not hold them so.
	Addresses(ctx context.Context, col tokenwatch.Col, lo, hi int) (codes []uint32, distinct []byte, ok bool, err error)
	// Select decodes some columns of all rows; the others have no value in the
	// batch, and it has no namings. Dictionaries may hold values that no row has.
	Select(ctx context.Context, cols tokenwatch.ColSet) (*tokenwatch.Batch, error)
	// SelectRows is Select for the rows from lo up to hi only.
	SelectRows(ctx context.Context, cols tokenwatch.ColSet, lo, hi int) (*tokenwatch.Batch, error)
	// Search returns which of the rows from lo up to hi of a column of KindString
	// fulfil a test, ascending and counted from lo; of among, likewise, if that is not
	// nil. ok is false where that would be no less work than looking at the strings.
	Search(ctx context.Context, col tokenwatch.Col, test *tokenwatch.TextTest, lo, hi int, among []int32) (rows []int32, ok bool, err error)
	// TokenRows returns where the rows of a token lie, in the order of their
	// times, those without a time first; lo = hi if it has none. ok is false where
	// rows are not sorted by token.
	TokenRows(token tokenwatch.TokenID) (lo, hi int, ok bool)
	// Series returns the cells of a series with at least these measures, nil if the
	// segment does not carry them: then series.Of counts them from its rows.
	Series(ctx context.Context, kind series.Kind, measures series.Measures) (*series.Table, error)
	// MayHold is false if no row has this value in a column, given as text: a
	// number in decimal, an address in its usual form, a flag as true or false.
	MayHold(col tokenwatch.Col, value string) bool
	// Runs returns runs of rows, in their order, outside of which no row has a value
	// in a column, given as for MayHold; ok is false if nothing is known of that.
	Runs(col tokenwatch.Col, value string) (runs [][2]int, ok bool)
	// MayContain is false if no row has this substring in a text column.
	MayContain(col tokenwatch.Col, substring string) bool
}

// SeriesOf returns the cells of a series of a segment's rows, with at least these
// measures: those it carries, or else those counted from its rows. A key and time
// may have several cells.
func SeriesOf(ctx context.Context, s Segment, kind series.Kind, measures series.Measures) (t *series.Table, carried bool, err error) {
	if t, err = s.Series(ctx, kind, measures); t != nil || err != nil {
		return t, true, err
	}
	b, err := s.Select(ctx, series.Columns(kind, measures))
	if err != nil {
		return nil, false, err
	}
	return series.Of(b, kind, measures), false, nil
}

// Bounds is between which values the rows of a column lie. The fields used
// follow from the kind of the column; they mean nothing if every row is null.
type Bounds struct {
	Nulls            int        // rows without a value
	Min, Max         int64      // KindTime, KindInt; KindBool as 0 and 1
	MinAddr, MaxAddr netip.Addr // in the order of their 16 bytes
	MinText, MaxText string     // KindText, KindString; they need not occur
	Open             bool       // there is no MaxText
}

// ValueCount is how many rows have one value.
type ValueCount struct {
	Null bool
	Text string // KindText
	Int  int64  // KindInt
	Rows int
}
