// Package source is where log records come from: HTTP requests in the protocols of
// the usual shippers ([Endpoints]), listeners, and files.
//
// In come bytes, compressed or not, from senders nobody trusts; out go
// deliveries, plain bytes with what is known of them, handed one at a time to a
// [Pipeline]. A source promises that it hands on either all of a request or an
// error, that no sender makes it hold more than its limits say, and that what
// it answers never holds what was sent.
package source

import (
	"context"
	"io"

	"github.com/tokenwatch/tokenwatch"
)

// Delivery is one request on its way into the log.
type Delivery struct {
	Tenant    string
	Principal string // id of the API key that sent it
	Source    string // which input it belongs to; fills the column of that name
	Format    string // a format's name, or "auto"
	Key       string // idempotency key; "": repeats are not recognised
	Body      io.Reader
	Mark      *tokenwatch.Mark // how far the input has got with it; nil if it cannot say
}

// FormatAuto is the format of a delivery whose format is to be found out.
const FormatAuto = "auto"

// MaxListed is how many rejects the answer to a sender lists at most; the others
// are counted.
const MaxListed = 1000

// Answer says what became of a delivery. All that it calls accepted is durable.
type Answer struct {
	Accepted      int                 `json:"accepted"`
	Duplicate     bool                `json:"duplicate"`         // stored by an earlier request; the rest is its answer
	Format        string              `json:"format"`            // which format the records were read as; "" if none was found
	Rejected      []tokenwatch.Reject `json:"rejected"`          // in their order
	RejectedTotal int                 `json:"rejected_total"`    // of all
	Reasons       map[string]int      `json:"reasons,omitempty"` // how many of all by reason
}

// Pipeline takes deliveries to the log. It may be called from many goroutines;
// it reads the body to its end and keeps nothing of it after it returns.
//
// An error is a *tokenwatch.Refusal where the sender can act on it. With reason
// RefusedAllRejected the answer lists the rejects; with any other nothing of the
// delivery was stored, or nobody can say whether it was: repeat it.
type Pipeline interface {
	Ingest(ctx context.Context, d Delivery) (Answer, error)
}
