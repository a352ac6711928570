package source

import (
	"bytes"
	"context"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// insist hands a delivery on until it is taken, waiting as long as the pipeline
// says. Nil: it is durable, or all its records are in the list of rejects. The
// error is that of ctx where it ended first, else a refusal for good.
func insist(ctx context.Context, to Pipeline, d Delivery, body []byte) error {
	if d.Format == "" {
		d.Format = FormatAuto
	}
	own := context.WithoutCancel(ctx) // what has begun is not cut short
	for {
		d.Body = bytes.NewReader(body)
		_, err := to.Ingest(own, d)
		if err == nil {
			return nil
		}
		r := refusalOf(err)
		switch r.Reason {
		case tokenwatch.RefusedAllRejected:
			return nil
		case tokenwatch.RefusedOverload, tokenwatch.RefusedUnavailable:
		default:
			return r
		}
		wait := r.RetryAfter
		if wait <= 0 {
			wait = time.Second
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// appendRecord appends a message as a line: a line break at its end is taken away,
// those within become spaces.
func appendRecord(dst, message []byte) []byte {
	at := len(dst)
	dst = append(dst, bytes.TrimRight(message, "\r\n\x00")...)
	for i := at; i < len(dst); i++ {
		if dst[i] == '\n' {
			dst[i] = ' '
		}
	}
	if len(dst) == at {
		return dst
	}
	return append(dst, '\n')
}
