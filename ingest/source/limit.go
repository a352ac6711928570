package source

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// wire is a request's body as it comes from the network: counted, bounded, and
// no slower than a minimum rate. A sender has Grace, and for every MinRate bytes
// that it sent one second more.
type wire struct {
	r        io.Reader
	deadline func(time.Time) error // of the connection; nil where there is none to set
	start    time.Time
	limits   *Limits
	n        int64
}

func (w *wire) Read(p []byte) (int, error) {
	if w.n >= w.limits.Compressed {
		return 0, w.full(p)
	}
	if room := w.limits.Compressed - w.n; int64(len(p)) > room {
		p = p[:room]
	}
	if w.deadline != nil {
		earned := time.Duration(w.n * int64(time.Second) / w.limits.MinRate)
		w.deadline(w.start.Add(min(w.limits.Grace+earned, w.limits.Longest)))
	}
	n, err := w.r.Read(p)
	w.n += int64(n)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, w.failed(err)
}

// full tells a body that ends at the limit from one that goes on.
func (w *wire) full(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	var one [1]byte
	for {
		n, err := w.r.Read(one[:])
		if n > 0 {
			return tooLarge(fmt.Sprintf("a body may have %d bytes as sent", w.limits.Compressed))
		}
		if err == io.EOF {
			return err
		}
		if err != nil {
			return w.failed(err)
		}
	}
}

func (w *wire) failed(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &tokenwatch.Refusal{
			Reason: tokenwatch.RefusedTooSlow,
			Detail: fmt.Sprintf("a body must come at %d bytes a second or more", w.limits.MinRate),
			Err:    err,
		}
	}
	return &tokenwatch.Refusal{
		Reason: tokenwatch.RefusedBody,
		Detail: "the body ended early",
		Err:    err,
	}
}

// bounded is what the bytes of wire expand to. It stops at the cap: what a bomb
// makes us hold is one buffer, whatever it would expand to.
type bounded struct {
	r      io.Reader
	wire   *wire
	limits *Limits
	n      int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	if refused := b.limits.allow(b.wire.n, b.n); refused != nil {
		return 0, refused
	}
	return n, err
}

// allow tells whether so many bytes as sent may expand to so many.
func (l *Limits) allow(sent, plain int64) error {
	switch {
	case plain > l.Expanded:
		return tooLarge(fmt.Sprintf("a body may have %d bytes when expanded", l.Expanded))
	case plain > max(l.Floor, sent*l.Ratio):
		return tooLarge(fmt.Sprintf("a body may expand to %d times its size", l.Ratio))
	}
	return nil
}

func tooLarge(detail string) error {
	return &tokenwatch.Refusal{Reason: tokenwatch.RefusedTooLarge, Detail: detail}
}
