package source

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// doorkeeper is a pipeline with room for so many bytes.
type doorkeeper struct {
	fakePipeline
	room, left int64
	asked      int
	mu         sync.Mutex // a claim may lapse on a goroutine of its own
}

func (d *doorkeeper) Admit(tenant string, n int64) (func(int64), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if tenant != "t1" {
		return nil, errors.New("another tenant's")
	}
	if n > d.left {
		return nil, &tokenwatch.Refusal{Reason: tokenwatch.RefusedOverload, Detail: "more than can be taken at present", RetryAfter: time.Second}
	}
	d.left -= n
	mine := n
	return func(n int64) {
		d.mu.Lock()
		defer d.mu.Unlock()
		n = min(n, mine)
		mine -= n
		d.left += n
	}, nil
}

// free is how many bytes there is room for.
func (d *doorkeeper) free() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.left
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// TestAdmission: a body there is no room for is refused before it is read, in the
// words of each protocol, and what was claimed for one is given back.
func TestAdmission(t *testing.T) {
	for _, e := range Endpoints {
		if e.held == 0 {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			method, path, _ := strings.Cut(e.Routes[0], " ")
			d := &doorkeeper{}
			refused := 0
			h := NewHTTP(d, HTTPConfig{Refused: func(_, reason string) {
				if reason == tokenwatch.RefusedOverload {
					refused++
				}
			}})
			send := func(body io.Reader, length int64) *httptest.ResponseRecorder {
				r := httptest.NewRequest(method, path, body)
				r.ContentLength = length
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, authenticated(r))
				return w
			}
			w := send(unread{t}, 1<<20)
			if status := w.Code; status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
				t.Errorf("status %d, Retry-After %q", status, w.Header().Get("Retry-After"))
			}
			if refused != 1 {
				t.Errorf("counted %d times", refused)
			}
			d.asked = 0
			if send(strings.NewReader("x"), 1); d.asked != 0 {
				t.Error("a small body was asked about")
			}
			d.room, d.left = 100<<20, 100<<20
			body := strings.Repeat("a line of text\n", 10_000)
			if send(strings.NewReader(body), int64(len(body))); d.asked != 1 || d.left != d.room {
				t.Errorf("asked %d times, %d of %d bytes left", d.asked, d.left, d.room)
			}
		})
	}
}

// TestClaimLapses: who declares much and sends nothing keeps nobody else out.
func TestClaimLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &doorkeeper{room: 10 << 20, left: 10 << 20}
		h := NewHTTP(d, HTTPConfig{})
		for _, sends := range []int{10, freely} {
			reader, writer := io.Pipe()
			r := authenticated(httptest.NewRequest(http.MethodPost, "/v1/logs", nil))
			r.ContentLength = 1 << 20
			r.Body = reader
			end := h.admit(r, tokenwatch.Principal{Tenant: "t1"}, 6)
			go io.Copy(io.Discard, r.Body)
			writer.Write(make([]byte, sends))
			synctest.Wait()
			if left := d.free(); left != 4<<20 {
				t.Errorf("%d bytes left behind a claim of 6 MiB", left)
			}
			time.Sleep(2 * lapse)
			synctest.Wait()
			if lapsed := d.free() == d.room; lapsed != (sends < freely) {
				t.Errorf("who sent %d bytes: %d bytes left", sends, d.free())
			}
			writer.Close()
			synctest.Wait()
			if end(); d.free() != d.room {
				t.Errorf("%d bytes left at the end", d.free())
			}
		}
	})
}
