package ingest

import (
	"crypto/sha256"
	"hash"
	"io"
	"time"
)

// body is a request's body on its way to the framer: it computes the digest by
// which repeats are recognised, and charges to the budget what the request makes
// us hold.
type body struct {
	r      io.Reader
	digest hash.Hash
	n      int64 // bytes read
	err    error // the first that is not io.EOF

	budget  *budget
	tenant  string
	charged int64

	now  func() time.Time
	took time.Duration // waiting for r
}

func newBody(r io.Reader, b *budget, tenant string, now func() time.Time) *body {
	return &body{r: r, digest: sha256.New(), budget: b, tenant: tenant, now: now}
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
		b.digest.Write(p[:n])
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

// sum is the digest of all that was read.
func (b *body) sum() [32]byte { return [32]byte(b.digest.Sum(nil)) }
