package block

import (
	"errors"
	"fmt"
)

// Errors a caller acts on.
var (
	// ErrNewer: the bytes are whole, but in a layout of a later version of
	// tokenwatch. Nothing is to be written over them.
	ErrNewer = errors.New("segment has a newer layout than this program reads")
	// ErrTooLarge: the entry exceeds [MaxRows] or [MaxCells]. Split it.
	ErrTooLarge = errors.New("entry is too large for one segment")
)

var errNoBatch = errors.New("encode segment: the entry holds no batch")

// Corrupt is the error for bytes that are not a segment as it was written.
type Corrupt struct {
	Part   string // head, requests, names or the name of a column
	Offset int    // in the segment, at or before the first wrong byte
	Reason string // in words of ours
}

func (c *Corrupt) Error() string {
	return fmt.Sprintf("segment is corrupt in %s at byte %d: %s", c.Part, c.Offset, c.Reason)
}
