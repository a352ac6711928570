package tokenwatch

// Reject stands for a record that could not be stored. It holds nothing of the
// record's content.
type Reject struct {
	Index  int    `json:"index"`            // of the record in its request, from 0
	Offset int64  `json:"offset"`           // of its first byte in the decoded request or file
	Length int64  `json:"length"`           // in bytes, before any cut
	Digest string `json:"digest"`           // keyed digest of the record; "" if it was too long to hold
	Reason string `json:"reason"`           // one of the Reason constants
	Detail string `json:"detail,omitempty"` // where and what to do, in words of ours
}

// The stable reason codes of rejects.
const (
	ReasonMalformed    = "malformed"     // not in the format it was taken for
	ReasonLineTooLong  = "line_too_long" // longer than the record limit
	ReasonTooDeep      = "too_deep"      // nested deeper than the limit
	ReasonTooManyField = "too_many_fields"
	ReasonNoTime       = "no_time"        // no time that can be read
	ReasonUnknown      = "unknown_format" // auto-detection found no format
	ReasonFault        = "parser_fault"   // the parser failed on it: a bug of ours
)

// Rejection is the error of a parser that does not understand a record. It says
// what and where in words of ours, never in the record's.
type Rejection struct {
	Reason string // one of the Reason constants
	Detail string
}

// Error returns reason and detail.
func (r *Rejection) Error() string {
	if r.Detail == "" {
		return r.Reason
	}
	return r.Reason + ": " + r.Detail
}
