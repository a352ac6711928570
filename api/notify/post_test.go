package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// memory is findings and an outbox in memory. It outlives the notifiers, as a
// store does a crash.
type memory struct {
	mu       sync.Mutex
	findings map[string]tokenwatch.Finding
	update   uint64
	changed  chan struct{}
	letters  map[string][]byte
	writes   int
	crash    int // fail every write from this one on, where it is not 0
	full     bool
}

func newMemory() *memory {
	return &memory{findings: map[string]tokenwatch.Finding{}, letters: map[string][]byte{}, changed: make(chan struct{})}
}

var errCrash = errors.New("crashed")

func (m *memory) put(f tokenwatch.Finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.update++
	f.Update = m.update
	m.findings[f.ID] = f
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *memory) Finding(_ context.Context, tenant, id string) (tokenwatch.Finding, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.findings[id]
	if !ok || f.Tenant != tenant {
		return f, storage.ErrNotFound
	}
	return f, nil
}

func (m *memory) Updates(_ context.Context, tenant string, after uint64) iter.Seq2[tokenwatch.Finding, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []tokenwatch.Finding
	for _, f := range m.findings {
		if f.Tenant == tenant && f.Update > after {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b tokenwatch.Finding) int { return int(a.Update) - int(b.Update) })
	return values(out)
}

func (m *memory) Findings(ctx context.Context, tenant string) iter.Seq2[tokenwatch.Finding, error] {
	all := slices.Collect(func(yield func(tokenwatch.Finding) bool) {
		for f := range m.Updates(ctx, tenant, 0) {
			if !yield(f) {
				return
			}
		}
	})
	slices.Reverse(all)
	return values(all)
}

func values[T any](in []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range in {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func (m *memory) Letters(_ context.Context, prefix []byte) iter.Seq2[storage.Record, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []storage.Record
	for _, k := range slices.Sorted(maps.Keys(m.letters)) {
		if strings.HasPrefix(k, string(prefix)) {
			out = append(out, storage.Record{Key: []byte(k), Value: bytes.Clone(m.letters[k])})
		}
	}
	return values(out)
}

func (m *memory) PutLetters(_ context.Context, records ...storage.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full {
		return fmt.Errorf("put: %w", storage.ErrReadOnly)
	}
	if m.writes++; m.crash > 0 && m.writes >= m.crash {
		return errCrash
	}
	for _, r := range records {
		if r.Value == nil {
			delete(m.letters, string(r.Key))
		} else {
			m.letters[string(r.Key)] = r.Value
		}
	}
	return nil
}

// receiver is a target of webhooks that may be out of order.
type receiver struct {
	mu     sync.Mutex
	got    []delivery
	answer func(n int) int // status of the n-th attempt; nil: 202
	n      int
	run    int
}

type delivery struct {
	key, event, id string
	severity       tokenwatch.Severity
	run            int // between which restarts
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.n++
	if r.answer != nil {
		switch code := r.answer(r.n); {
		case code == 0:
			return nil, errors.New("the connection broke")
		case code >= 300:
			return replied(code), nil
		}
	}
	var e cloudEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	r.got = append(r.got, delivery{e.ID, strings.TrimPrefix(e.Type, "io.tokenwatch.finding."), e.Subject, e.Data.Severity, r.run})
	return replied(202), nil
}

// set changes the receiver while nothing arrives.
func (r *receiver) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *receiver) keys() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var keys []string
	for _, d := range r.got {
		keys = append(keys, d.event+" "+d.key)
	}
	return strings.Join(keys, ", ")
}

// started runs notifiers with one webhook until stop.
func started(t *testing.T, m *memory, r http.RoundTripper, change func(*Config)) (p *Post, stop func() error) {
	t.Helper()
	c := Config{
		Store: m, Transport: r, Jitter: func() float64 { return 0.5 },
		Guard:   Guard{Lookup: nowhere},
		Targets: []Target{{Name: "soc", Kind: "webhook", URL: "https://soc.example/", Secret: "0123456789abcdef"}},
	}
	if change != nil {
		change(&c)
	}
	p, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	synctest.Wait() // until it knows where the findings end
	return p, func() error { cancel(); return <-done }
}

func found(id string, revision int, severity tokenwatch.Severity) tokenwatch.Finding {
	return tokenwatch.Finding{ID: id, Tenant: "default", Revision: revision, Severity: severity, Status: tokenwatch.StatusNew}
}

func nothing(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func TestOnlyEscalates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := newMemory(), &receiver{}
		m.put(found("old", 1, tokenwatch.SeverityCritical)) // before the target was known
		_, stop := started(t, m, r, func(c *Config) {
			c.Targets[0].Wanted = func(f *tokenwatch.Finding) bool { return f.ID != "unwanted" }
		})
		synctest.Wait()
		step := func(f tokenwatch.Finding, want string) {
			t.Helper()
			r.set(func() { r.got = nil })
			m.put(f)
			synctest.Wait()
			if got := r.keys(); got != want {
				t.Errorf("%s revision %d: %q, want %q", f.ID, f.Revision, got, want)
			}
		}
		step(found("a", 1, tokenwatch.SeverityMedium), "raised a/1")
		step(found("a", 2, tokenwatch.SeverityMedium), "")
		step(found("a", 3, tokenwatch.SeverityLow), "")
		step(found("a", 4, tokenwatch.SeverityMedium), "")
		step(found("a", 5, tokenwatch.SeverityCritical), "escalated a/5")
		step(found("a", 6, tokenwatch.SeverityHigh), "")
		gone := found("a", 7, tokenwatch.SeverityLow)
		gone.Withdrawn = true
		step(gone, "")
		step(found("unwanted", 1, tokenwatch.SeverityCritical), "")
		step(found("b", 1, tokenwatch.SeverityLow), "raised b/1")
		nothing(t, stop())
	})
}

// TestRetries: what fails is tried again, later each time; what was given up can
// be tried again by hand; and meanwhile others are told.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := newMemory(), &receiver{}
		status := 503
		r.answer = func(int) int { return status }
		p, stop := started(t, m, r, nil)
		begin := time.Now()
		m.put(found("a", 1, tokenwatch.SeverityHigh))
		synctest.Wait()
		var waits []time.Duration
		for range 12 {
			l := p.Letters("default")[0]
			waits = append(waits, time.Until(l.Next).Round(time.Millisecond))
			time.Sleep(time.Until(l.Next))
			synctest.Wait()
		}
		if got, want := fmt.Sprint(waits), "[750ms 1.5s 3s 6s 12s 24s 48s 1m36s 3m12s 6m24s 7m30s 7m30s]"; got != want {
			t.Errorf("waits %s, want %s", got, want)
		}
		r.set(func() { status = 202 })
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := r.keys(); got != "raised a/1" {
			t.Errorf("delivered %q", got)
		}
		if s := p.Targets("default")[0]; s.Failure != "" || s.Delivered.IsZero() || s.Letters[Sent] != 1 {
			t.Errorf("status %+v", s)
		}

		// A target that refuses for good is tried a few times, one that is down a day.
		r.set(func() { status = 400 })
		m.put(found("b", 1, tokenwatch.SeverityHigh))
		time.Sleep(time.Minute)
		synctest.Wait()
		l := p.Letters("default")[1]
		if l.State != Dead || l.Attempts != 3 || l.Error != ReasonStatus {
			t.Errorf("refused: %+v", l)
		}
		r.set(func() { status = 0 })
		m.put(found("c", 1, tokenwatch.SeverityHigh))
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if l := p.Letters("default")[2]; l.State != Dead || l.Error != ReasonReply || l.Done.Sub(l.Made) < 24*time.Hour {
			t.Errorf("down: %+v", l)
		}
		r.set(func() { r.got, status = nil, 202 })
		for _, id := range []string{"soc.b", "soc.a"} {
			if _, err := p.Retry(t.Context(), "default", id); err != nil {
				t.Error(err)
			}
		}
		for _, x := range [][2]string{{"default", "soc.x"}, {"default", "other.b"}, {"other", "soc.b"}, {"default", "soc"}} {
			if _, err := p.Retry(t.Context(), x[0], x[1]); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("retry %v: %v", x, err)
			}
		}
		synctest.Wait()
		if got := r.keys(); got != "raised b/1" {
			t.Errorf("tried again: %q", got)
		}
		// Letters go when they are old enough.
		time.Sleep(32*24*time.Hour - time.Since(begin))
		synctest.Wait()
		if list := p.Letters("default"); len(list) != 0 {
			t.Errorf("kept: %+v", list)
		}
		if len(m.letters) != 1 { // the cursor
			t.Errorf("stored: %q", slices.Sorted(maps.Keys(m.letters)))
		}
		nothing(t, stop())
	})
}

// TestDueMeanwhile: a letter whose time comes while another one is on its way is next.
func TestDueMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := newMemory(), &receiver{}
		r.answer = func(n int) int {
			switch n {
			case 1, 2:
				return 503
			case 3:
				time.Sleep(5 * time.Second)
			}
			return 202
		}
		jitter := 0.0
		_, stop := started(t, m, r, func(c *Config) { c.Jitter = func() float64 { jitter++; return jitter / 2 } })
		m.put(found("a", 1, tokenwatch.SeverityHigh))
		m.put(found("b", 1, tokenwatch.SeverityHigh))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := r.keys(); strings.Count(got, "raised") != 2 {
			t.Errorf("delivered %q", got)
		}
		nothing(t, stop())
	})
}

// TestSuppressed: what a suppression covers is held until it expires or is ended.
func TestSuppressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := newMemory(), &receiver{}
		until := time.Now().Add(2 * time.Hour)
		p, stop := started(t, m, r, func(c *Config) {
			c.Covers = func(_ context.Context, f *tokenwatch.Finding) (*tokenwatch.Suppression, error) {
				if f.ID == "a" && time.Now().Before(until) {
					return &tokenwatch.Suppression{ID: "sup", Expires: until}, nil
				}
				return nil, nil
			}
		})
		m.put(found("a", 1, tokenwatch.SeverityHigh))
		m.put(found("b", 1, tokenwatch.SeverityHigh))
		time.Sleep(119 * time.Minute)
		synctest.Wait()
		if got := r.keys(); got != "raised b/1" || p.Letters("default")[0].State != Held {
			t.Errorf("told %q, %+v", got, p.Letters("default")[0])
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := r.keys(); got != "raised b/1, raised a/1" {
			t.Errorf("after its end: %q", got)
		}
		nothing(t, stop())
	})
}

// TestFullStore: while the store takes no writes nothing is sent, and nothing
// is lost.
func TestFullStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := newMemory(), &receiver{}
		_, stop := started(t, m, r, nil)
		synctest.Wait()
		m.mu.Lock()
		m.full = true
		m.mu.Unlock()
		m.put(found("a", 1, tokenwatch.SeverityHigh))
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := r.keys(); got != "" {
			t.Errorf("sent %q without a record of it", got)
		}
		m.mu.Lock()
		m.full = false
		m.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := r.keys(); got != "raised a/1" {
			t.Errorf("sent %q", got)
		}
		nothing(t, stop())
	})
}

// TestCrashes plays random findings to a receiver that fails at random, with a
// crash at every write and random restarts, for many seeds. In the end everything
// that a finding is has been told; a delivery that is not a repeat of the one
// before says more than it.
func TestCrashes(t *testing.T) {
	seeds := 2000
	if testing.Short() {
		seeds = 300
	}
	crashes, repeats, deliveries := 0, 0, 0
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			m := newMemory()
			luck := rand.New(rand.NewPCG(seed, 2)) // the receiver's own
			r := &receiver{answer: func(int) int { return []int{202, 202, 503, 0, 429, 400}[luck.IntN(6)] }}
			jitter := func(c *Config) {
				c.Refused = 1000
				c.Jitter = func() float64 { return 0.25 }
			}
			_, stop := started(t, m, r, jitter)
			synctest.Wait()
			revisions := map[string]int{}
			for range 40 {
				id := string(rune('a' + rng.IntN(5)))
				revisions[id]++
				f := found(id, revisions[id], severities[rng.IntN(4)])
				f.Withdrawn = rng.IntN(8) == 0
				if rng.IntN(8) == 0 {
					f.Status = tokenwatch.StatusResolved
				}
				m.mu.Lock()
				if rng.IntN(3) == 0 {
					m.crash = m.writes + 1 + rng.IntN(3)
				}
				m.mu.Unlock()
				m.put(f)
				time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
				synctest.Wait()
				m.mu.Lock()
				crashed := m.crash > 0 && m.writes >= m.crash
				if crashed {
					m.crash = 0
				}
				m.mu.Unlock()
				if crashed || rng.IntN(10) == 0 {
					if err := stop(); err != nil && !errors.Is(err, errCrash) {
						t.Fatalf("seed %d: %v", seed, err)
					}
					crashes++
					r.set(func() { r.run++ })
					_, stop = started(t, m, r, jitter)
				}
			}
			m.mu.Lock()
			m.crash = 0
			m.mu.Unlock()
			if err := stop(); err != nil && !errors.Is(err, errCrash) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			r.set(func() { r.answer = nil }) // it is mended in the end
			_, stop = started(t, m, r, jitter)
			time.Sleep(time.Hour)
			synctest.Wait()
			nothing(t, stop())
			told := map[string]tokenwatch.Severity{}
			last := map[string]delivery{}
			for _, d := range r.got {
				deliveries++
				before, again := last[d.id]
				if before.key == d.key {
					repeats++
					continue
				}
				// It says less only where a crash came between a delivery and its record.
				if again && before.run == d.run && rank(d.severity) <= rank(before.severity) {
					t.Errorf("seed %d: %s, %s, was told after %s", seed, d.key, d.severity, before.severity)
				}
				if rank(d.severity) > rank(told[d.id]) {
					told[d.id] = d.severity
				}
				last[d.id] = d
			}
			for id, f := range m.findings {
				if !isClosed(&f) && rank(told[id]) < rank(f.Severity) {
					t.Errorf("seed %d: of %s, %s, was told %q", seed, id, f.Severity, told[id])
				}
			}
		})
	}
	t.Logf("%d seeds, %d restarts, %d deliveries, %d of them repeated", seeds, crashes, deliveries, repeats)
	if crashes == 0 || repeats == 0 {
		t.Error("the test does not reach what it is about")
	}
}

func TestConfiguration(t *testing.T) {
	good := Target{Name: "soc", Kind: "webhook", URL: "https://soc.example/", Secret: "0123456789abcdef"}
	for name, change := range map[string]func(*Target){
		"no name":        func(t *Target) { t.Name = "" },
		"a dot":          func(t *Target) { t.Name = "a.b" },
		"unknown kind":   func(t *Target) { t.Kind = "fax" },
		"no secret":      func(t *Target) { t.Secret = "" },
		"no URL":         func(t *Target) { t.URL = "" },
		"inwards":        func(t *Target) { t.URL = "http://169.254.169.254/" },
		"pagerduty, key": func(t *Target) { t.Kind, t.Secret = "pagerduty", "" },
	} {
		bad := good
		change(&bad)
		_, err := New(t.Context(), Config{Store: newMemory(), Targets: []Target{bad}, Guard: Guard{Lookup: nowhere}})
		if err == nil || strings.Contains(err.Error(), "169.254") || strings.Contains(err.Error(), good.Secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(t.Context(), Config{Store: newMemory(), Targets: []Target{good, good}, Guard: Guard{Lookup: nowhere}}); err == nil {
		t.Error("two targets have one name")
	}
}
