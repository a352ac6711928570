// Package notify tells others of findings: alerting systems, chats, and whoever
// takes webhooks.
//
// In come the updates of the findings, which each target follows from a cursor
// of its own; out go requests to the targets. It promises that
//
//   - what a target is to be told is in the store before the cursor passes it, and
//     stays there until it was delivered or given up: at least once, over crashes
//     too, with finding and revision as the idempotency key;
//   - a target hears of a finding once, and again only when its severity grows;
//   - nobody is told of what a suppression covers, for as long as it does;
//   - only addresses are dialled that [Guard] lets through, redirects are not
//     followed, and neither address nor reply is logged or shown;
//   - a target that fails or stalls holds up no other.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Target is whom findings are told to.
type Target struct {
	Name   string // a-z, 0-9, - and _
	Kind   string // one of All
	Tenant string // whose findings; default tokenwatch.DefaultTenant
	URL    string // it may be a secret itself, and is never shown
	Secret string // what the kind needs besides: signing key, integration key, bearer token
	// Wanted tells which findings are the target's business; nil: all.
	Wanted func(*tokenwatch.Finding) bool
}

// Message is what a target is told at one attempt.
type Message struct {
	Finding *tokenwatch.Finding
	Event   Event
	Key     string              // the same at every attempt
	Told    tokenwatch.Severity // the highest the target has heard of; "" if none
	Time    time.Time           // of the attempt
	Link    string              // where a person can look; may be empty
}

// Notifier delivers messages to one target. Send makes one attempt; its errors
// are of type *Failure. It is called from one goroutine at a time.
type Notifier interface {
	Send(ctx context.Context, m *Message) error
}

// Store is where findings are followed and letters are kept.
type Store interface {
	storage.Findings
	storage.Outbox
}

// Config is what the notifiers are made of. Store must be given.
type Config struct {
	Targets []Target
	Store   Store
	Guard   Guard
	// Covers returns the suppression that covers a finding; nil: none ever does.
	Covers func(context.Context, *tokenwatch.Finding) (*tokenwatch.Suppression, error)
	// Link is the URL of this server, as people reach it; "" for no links.
	Link string

	Timeout time.Duration // of one attempt, from dialling to the end of the reply; default 10 s
	GiveUp  time.Duration // how long a letter is tried; default 24 h
	Refused int           // attempts at what a target refuses for good; default 3
	Keep    time.Duration // how long a letter is kept once done; default 30 days
	Recheck time.Duration // how often held letters are looked at; default 5 min

	Transport http.RoundTripper     // default: one through Guard
	Jitter    func() float64        // from 0 up to 1, by many goroutines; default math/rand
	Now       func() time.Time      // default time.Now
	Metrics   prometheus.Registerer // may be nil
	Logger    *slog.Logger          // default: nothing is logged
}

func (c Config) withDefaults() (Config, error) {
	if c.Store == nil {
		return c, errors.New("configure notifications: no store")
	}
	def(&c.Timeout, 10*time.Second)
	def(&c.GiveUp, 24*time.Hour)
	def(&c.Refused, 3)
	def(&c.Keep, 30*24*time.Hour)
	def(&c.Recheck, 5*time.Minute)
	if c.Covers == nil {
		c.Covers = func(context.Context, *tokenwatch.Finding) (*tokenwatch.Suppression, error) { return nil, nil }
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Link = strings.TrimSuffix(c.Link, "/")
	return c, nil
}

func def[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Post is all notifiers with their outbox. New starts nothing; Run does.
type Post struct {
	config  Config
	rounds  []*round
	metrics *metrics
}

// New returns the notifiers with the letters that the store has of them, or what is
// wrong with their configuration.
func New(ctx context.Context, config Config) (*Post, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Post{config: config}
	if p.metrics, err = newMetrics(config.Metrics); err != nil {
		return nil, err
	}
	client := newClient(&p.config.Guard, config.Timeout, config.Transport)
	for _, t := range config.Targets {
		r, err := p.target(ctx, t, client)
		if err != nil {
			return nil, fmt.Errorf("configure notification target %q: %w", t.Name, err)
		}
		p.rounds = append(p.rounds, r)
	}
	if config.Metrics != nil {
		if err := config.Metrics.Register(p); err != nil {
			return nil, fmt.Errorf("register the metrics of notifications: %w", err)
		}
	}
	return p, nil
}

// target checks a target and makes its round.
func (p *Post) target(ctx context.Context, t Target, client *Client) (*round, error) {
	if t.Name == "" || len(t.Name) > 64 || strings.Trim(t.Name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return nil, errors.New("a name is 1 to 64 of a-z, 0-9, - and _")
	}
	if slices.ContainsFunc(p.rounds, func(r *round) bool { return r.Name == t.Name }) {
		return nil, errors.New("there are two of that name")
	}
	entry, ok := entryOf(t.Kind)
	if !ok {
		var names []string
		for _, e := range All {
			names = append(names, e.Name)
		}
		return nil, errors.New("its kind is none of " + strings.Join(names, ", "))
	}
	if t.URL != "" || entry.Name != "pagerduty" {
		if err := p.config.Guard.Check(ctx, t.URL); err != nil {
			return nil, err
		}
	}
	def(&t.Tenant, tokenwatch.DefaultTenant)
	if t.Wanted == nil {
		t.Wanted = func(*tokenwatch.Finding) bool { return true }
	}
	notifier, err := entry.New(t, client)
	if err != nil {
		return nil, err
	}
	r := &round{
		Target: t, post: p, stateful: entry.Stateful, notifier: notifier,
		letters: make(map[string]*Letter), wake: make(chan struct{}, 1),
	}
	return r, r.load(ctx)
}

// Run delivers until ctx ends; what is under way then is tried again when it
// runs next.
func (p *Post) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if len(p.rounds) == 0 {
		<-ctx.Done()
	}
	var running sync.WaitGroup
	failed := make([]error, len(p.rounds))
	for i, r := range p.rounds {
		running.Go(func() {
			if failed[i] = r.run(ctx); failed[i] != nil {
				cancel()
			}
		})
	}
	running.Wait()
	return errors.Join(failed...)
}
