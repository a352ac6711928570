package source

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Admitter is a Pipeline that says before a request is read whether there is room
// for it. Without one, who sends too much is refused while it is read, when part
// of the work is done already.
type Admitter interface {
	// Admit claims n bytes for a request of a tenant, or refuses it. Give returns
	// some of them, at most what is left; what is left at the end has to be returned.
	Admit(tenant string, n int64) (give func(n int64), err error)
}

const (
	freely  = 64 << 10        // a body declared no longer is not asked about: it costs no more to take than to refuse
	lapse   = 2 * time.Second // after which a sender who sent next to nothing has no claim any more
	expands = 4               // times that a compressed body is taken to grow
)

// admit claims room for the body of a request, by the length it declares and how
// many times that is held while it is read. The function it returns ends the claim.
// A request that is refused has a body that says so to open, so that each endpoint
// answers in its protocol's words.
func (h *HTTP) admit(r *http.Request, who tokenwatch.Principal, held int64) func() {
	to, ok := h.to.(Admitter)
	if !ok || held == 0 || r.ContentLength <= freely {
		return func() {}
	}
	n := held * r.ContentLength
	if r.Header.Get("Content-Encoding") != "" {
		n *= expands
	}
	sent := r.Body
	give, err := to.Admit(who.Tenant, n)
	if err != nil {
		r.Body = refusedBody{sent, err}
		return func() { r.Body = sent }
	}
	var once sync.Once
	all := func() { once.Do(func() { give(n) }) }
	body := &claimed{ReadCloser: sent, give: give, passes: held == 1}
	r.Body = body
	timer := time.AfterFunc(lapse, func() {
		if body.read.Load() < freely {
			all()
		}
	})
	return func() {
		timer.Stop()
		all()
		r.Body = sent
	}
}

// refusedBody is that of a request there is no room for.
type refusedBody struct {
	io.ReadCloser
	err error
}

// claimed is a body that there is room for. What passes through it to the pipeline
// is charged there.
type claimed struct {
	io.ReadCloser
	give   func(int64)
	passes bool
	read   atomic.Int64
}

func (c *claimed) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.read.Add(int64(n))
	if c.passes {
		c.give(int64(n))
	}
	return n, err
}
