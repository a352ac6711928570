package source

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// handlerTransport answers a client from a handler, without a network.
type handlerTransport struct{ h http.Handler }

func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	t.h.ServeHTTP(w, authenticated(r))
	return w.Result(), r.Context().Err()
}

// flaky refuses the first deliveries, and then is a keyedPipeline.
type flaky struct {
	keyedPipeline
	refusals []error
	times    []time.Duration
	start    time.Time
}

func (f *flaky) Ingest(ctx context.Context, d Delivery) (Answer, error) {
	f.times = append(f.times, time.Since(f.start))
	if len(f.refusals) > 0 {
		err := f.refusals[0]
		f.refusals = f.refusals[1:]
		if err != nil {
			return Answer{}, err
		}
	}
	d.Mark = &tokenwatch.Mark{}
	return f.keyedPipeline.Ingest(ctx, d)
}

func newSender(t *testing.T, to Pipeline, attempts int) *Sender {
	t.Helper()
	s, err := NewSender(SenderConfig{
		URL: "http://server/", Key: "k", Attempts: attempts,
		Client: &http.Client{Transport: handlerTransport{NewHTTP(to, HTTPConfig{})}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSender: files reach another process once, through refusals, and a second
// run adds nothing.
func TestSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		overload := &tokenwatch.Refusal{Reason: tokenwatch.RefusedOverload, RetryAfter: 3 * time.Second}
		f := &flaky{keyedPipeline: keyedPipeline{bodies: map[string]string{}}, start: time.Now(), refusals: []error{overload, overload, nil, overload}}
		s := newSender(t, f, 0)
		lines := string(someLines(5, 100))
		for run := range 2 {
			files := Files{To: s, Source: "web server", Format: FormatAuto, Chunk: 4096, Stdin: strings.NewReader(lines)}
			summary, err := files.Run(t.Context(), []string{Stdin})
			if err != nil {
				t.Fatal(err)
			}
			if want := []int{100, 0}[run]; summary.Accepted != want || summary.Accepted+summary.Duplicate != 100 {
				t.Errorf("run %d: accepted %d, duplicate %d", run, summary.Accepted, summary.Duplicate)
			}
		}
		if f.all() != lines {
			t.Error("the server does not hold what was sent")
		}
		if f.times[1] != 3*time.Second || f.times[2] != 6*time.Second {
			t.Errorf("tried at %v", f.times[:3])
		}
	})
}

// TestSenderGivesUp: final refusals are not repeated, temporary ones a number of
// times.
func TestSenderGivesUp(t *testing.T) {
	for _, test := range []struct {
		reason string
		after  time.Duration
		tries  int
	}{
		{tokenwatch.RefusedConflict, 0, 1},
		{tokenwatch.RefusedTooLarge, 0, 1},
		{tokenwatch.RefusedInternal, 0, 1},
		{tokenwatch.RefusedUnavailable, time.Minute, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			refusal := &tokenwatch.Refusal{Reason: test.reason, RetryAfter: test.after}
			f := &flaky{refusals: []error{refusal, refusal, refusal, refusal, refusal}}
			_, err := newSender(t, f, 4).Ingest(t.Context(), Delivery{Source: "s", Format: "auto", Key: "k", Body: strings.NewReader("x")})
			if got := refusalOf(err); got.Reason != test.reason || got.RetryAfter != test.after {
				t.Errorf("%s came back as %v", test.reason, err)
			}
			if len(f.times) != test.tries {
				t.Errorf("%s: tried %d times, want %d", test.reason, len(f.times), test.tries)
			}
		})
	}
}

// TestSenderRejects: the rejects of a request of which nothing was stored come
// through.
func TestSenderRejects(t *testing.T) {
	a, err := newSender(t, &fakePipeline{}, 0).Ingest(t.Context(), Delivery{Source: "s", Format: "auto", Body: strings.NewReader("bad\nbad\n")})
	if refusalOf(err).Reason != tokenwatch.RefusedAllRejected || a.RejectedTotal != 2 || len(a.Rejected) != 2 {
		t.Errorf("%v, %+v", err, a)
	}
}

// TestSenderURL: what cannot be a server.
func TestSenderURL(t *testing.T) {
	for _, u := range []string{"", "server:9178", "ftp://server", "http://", "http://a b"} {
		if _, err := NewSender(SenderConfig{URL: u}); err == nil {
			t.Errorf("%q passed for a server", u)
		}
	}
}
