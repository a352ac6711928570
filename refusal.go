package tokenwatch

import "time"

// Refusal is why a whole request was not accepted: nothing of it is stored. Its
// texts are words of ours and never hold what was sent.
type Refusal struct {
	Reason     string        // one of the Refused constants
	Detail     string        // what to do about it
	RetryAfter time.Duration // temporary, try again after that long; 0: do not repeat it as it is
	Err        error         // what it comes from; for logs, not for answers
}

// The stable reason codes of refusals.
const (
	RefusedArgument    = "invalid_argument"     // a parameter or header that is unknown or cannot be read
	RefusedEncoding    = "unsupported_encoding" // a content encoding that is not supported
	RefusedBody        = "malformed_body"       // compressed data that cannot be expanded, or a body that ends early
	RefusedTooLarge    = "too_large"            // over a limit of size, ratio or number of records
	RefusedTooSlow     = "too_slow"             // below the minimum rate of transfer
	RefusedAllRejected = "all_rejected"         // no record of the request could be stored
	RefusedSome        = "some_rejected"        // some records could not be stored; the others are
	RefusedConflict    = "conflict"             // the idempotency key was used before for other content
	RefusedOverload    = "overloaded"           // more than can be taken at present
	RefusedUnavailable = "unavailable"          // the store takes nothing at present, or the server is stopping
	RefusedInternal    = "internal"             // a fault of ours
)

// Error returns reason, detail and cause.
func (r *Refusal) Error() string {
	s := r.Reason
	if r.Detail != "" {
		s += ": " + r.Detail
	}
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }
