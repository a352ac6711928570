package ingest

import (
	"crypto/sha256"
	"hash"
	"io"
	"time"

	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// body is a request's body on its way to the framer: it computes the digest by
// which repeats of a request with a key are recognised, and charges to the budget
// what the request makes us hold.
type body struct {
	r      io.Reader
	digest hash.Hash // nil: nobody will ask for it
	n      int64     // bytes read
	err    error     // the first that is not io.EOF

	budget  *budget
	tenant  string
	charged int64

	now  func() time.Time
	took time.Duration // waiting for r
}

func newBody(d *source.Delivery, b *budget, now func() time.Time) *body {
	in := &body{r: d.Body, budget: b, tenant: d.Tenant, now: now}
	if d.Key != "" {
		in.digest = sha256.New()
	}
	return in
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	start := b.now()
	n, err := b.r.Read(p)
	b.took += b.now().Sub(start)
	if n > 0 {
		if refused := b.charge(int64(n)); refused != nil {
			return 0, refused
		}
		b.n += int64(n)
		if b.digest != nil {
			b.digest.Write(p[:n])
		}
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// charge claims n more bytes for the request; a refusal ends the body.
func (b *body) charge(n int64) error {
	if err := b.budget.take(b.tenant, n); err != nil {
		b.err = err
		return err
	}
	b.charged += n
	return nil
}

// close returns to the budget what was charged.
func (b *body) close() { b.budget.give(b.tenant, b.charged) }

// sum is the digest of all that was read, zero without a key.
func (b *body) sum() (sum [32]byte) {
	if b.digest != nil {
		b.digest.Sum(sum[:0])
	}
	return sum
}
