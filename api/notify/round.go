package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// round is the work for one target: to follow the findings, and to deliver what
// is due, one letter after the other.
type round struct {
	Target
	post     *Post
	stateful bool
	notifier Notifier
	wake     chan struct{}

	// The round's goroutine changes these, and retry what is dead: under the lock,
	// and after the store has it.
	mu      sync.Mutex
	letters map[string]*Letter // by finding
	cursor  uint64             // every update up to it was looked at
	stored  uint64             // of cursor, what the store has
	health  health
	fresh   bool // the store has no cursor of it yet
}

// health is how the last attempts went.
type health struct {
	failure           string
	failed, delivered time.Time
}

const (
	stride    = 256         // updates looked at before a write
	pauseFull = time.Second // until a store that takes no writes is tried again
	pruneTime = time.Hour   // how often letters that are done are looked through
)

// run follows and delivers until ctx ends.
func (r *round) run(ctx context.Context) error {
	var err error
	if r.fresh {
		err = r.put(ctx, cursorRecord(r.Name, r.cursor))
		r.fresh = err != nil
	}
	pruned := r.post.config.Now()
	for err == nil && ctx.Err() == nil {
		changed := r.post.config.Store.Changed()
		if err = r.follow(ctx); err != nil {
			break
		}
		var wait time.Duration
		if wait, err = r.deliver(ctx); err != nil {
			break
		}
		if now := r.post.config.Now(); now.Sub(pruned) >= pruneTime {
			pruned = now
			if err = r.prune(ctx, now); err != nil {
				break
			}
		}
		r.await(ctx, changed, wait)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("notify target %s: %w", r.Name, err)
	}
	return nil
}

// await returns when findings change, a letter is due, somebody asks, or ctx ends.
func (r *round) await(ctx context.Context, changed <-chan struct{}, wait time.Duration) {
	timer := time.NewTimer(min(wait, pruneTime))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-r.wake:
	case <-ctx.Done():
	}
}

// load reads the letters and the cursor. A target that was not there before
// begins with what is found from now on; its cursor is stored when it runs, since a store
// may take no writes now.
func (r *round) load(ctx context.Context) error {
	store := r.post.config.Store
	for rec, err := range store.Letters(ctx, []byte(keyLetter+r.Name+".")) {
		var l Letter
		if err == nil {
			l, err = decodeLetter(rec)
		}
		if err != nil {
			return err
		}
		r.letters[l.Finding] = &l
	}
	for rec, err := range store.Letters(ctx, []byte(keyCursor+r.Name)) {
		if err != nil {
			return err
		}
		if string(rec.Key) != keyCursor+r.Name {
			continue
		}
		if r.cursor, err = decodeCursor(rec); err != nil {
			return err
		}
		r.stored = r.cursor
		return nil
	}
	for f, err := range store.Findings(ctx, r.Tenant) {
		if err != nil {
			return err
		}
		r.cursor = f.Update
		break
	}
	r.fresh = true
	return nil
}

// put stores records, and waits while the store takes no writes.
func (r *round) put(ctx context.Context, records ...storage.Record) error {
	for {
		err := r.post.config.Store.PutLetters(ctx, records...)
		if !errors.Is(err, storage.ErrReadOnly) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pauseFull):
		}
	}
}

// follow looks at the updates behind the cursor. Letters and the cursor behind
// which they come are one write.
func (r *round) follow(ctx context.Context) error {
	for {
		seen, changed := 0, map[string]Letter{}
		cursor := r.cursor
		for f, err := range r.post.config.Store.Updates(ctx, r.Tenant, cursor) {
			if err != nil {
				return err
			}
			cursor = f.Update
			before := r.letters[f.ID]
			if l, ok := changed[f.ID]; ok {
				before = &l
			}
			if l, ok := next(before, &f, r.Wanted(&f), r.stateful, r.post.config.Now().UTC()); ok {
				l.Target = r.Name
				changed[f.ID] = l
			}
			if seen++; seen == stride {
				break
			}
		}
		if seen == 0 {
			return nil
		}
		if err := r.keep(ctx, cursor, changed); err != nil {
			return err
		}
	}
}

// keep stores changed letters and the cursor; a letter without a finding is one
// to be removed. What has no letter to it need not be written at once: it would
// be passed over again.
func (r *round) keep(ctx context.Context, cursor uint64, changed map[string]Letter) error {
	var records []storage.Record
	for _, finding := range slices.Sorted(maps.Keys(changed)) {
		l := changed[finding]
		if l.Finding == "" {
			l = Letter{Target: r.Name, Finding: finding}
			records = append(records, l.removed())
			continue
		}
		records = append(records, l.record())
	}
	if len(records) > 0 || cursor-r.stored >= stride {
		if err := r.put(ctx, append(records, cursorRecord(r.Name, cursor))...); err != nil {
			return err
		}
		r.stored = cursor
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cursor = cursor
	for finding, l := range changed {
		if l.Finding == "" {
			delete(r.letters, finding)
		} else {
			r.letters[finding] = &l
		}
	}
	return nil
}

// change stores one letter.
func (r *round) change(ctx context.Context, l Letter) error {
	if err := r.put(ctx, l.record()); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letters[l.Finding] = &l
	return nil
}

// due returns the letters whose time has come, the earliest first, or how long until
// that of the next one comes.
func (r *round) due(now time.Time) (list []*Letter, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = pruneTime
	for _, l := range r.letters {
		switch {
		case l.State != Pending && l.State != Held:
		case l.Next.After(now):
			wait = min(wait, l.Next.Sub(now))
		default:
			list = append(list, l)
		}
	}
	if len(list) > 0 {
		wait = 0
	}
	slices.SortFunc(list, func(a, b *Letter) int {
		if c := a.Next.Compare(b.Next); c != 0 {
			return c
		}
		return a.Made.Compare(b.Made)
	})
	return list, wait
}

// deliver tries what is due, and returns how long until something will be. It
// looks at no more than a few letters, so that escalations are not kept waiting
// behind a slow target.
func (r *round) deliver(ctx context.Context) (time.Duration, error) {
	const most = 16
	list, wait := r.due(r.post.config.Now())
	for i, l := range list {
		if i == most {
			return 0, nil
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err := r.attempt(ctx, *l); err != nil {
			return 0, err
		}
	}
	if len(list) > 0 {
		_, wait = r.due(r.post.config.Now())
	}
	return wait, nil
}

// attempt tries to deliver one letter, and stores what became of it.
func (r *round) attempt(ctx context.Context, l Letter) error {
	c := &r.post.config
	f, err := c.Store.Finding(ctx, r.Tenant, l.Finding)
	if err != nil {
		return fmt.Errorf("read finding %s: %w", l.Finding, err)
	}
	if f.Update > r.cursor {
		return nil // it has just changed: what there is to tell may have, too
	}
	now := c.Now().UTC()
	if l.Event == Escalated && rank(f.Severity) <= rank(l.Told) {
		l.State, l.Severity, l.Next, l.Done = Sent, l.Told, time.Time{}, now
		return r.change(ctx, l) // it has been revised since: there is nothing to tell
	}
	if l.Event != Closed {
		covered, err := c.Covers(ctx, &f)
		if err != nil {
			return err
		}
		if covered != nil {
			return r.hold(ctx, l, covered, now)
		}
	}
	m := &Message{Finding: &f, Event: l.Event, Key: key(&f, l.Event), Told: l.Told, Time: now}
	if c.Link != "" {
		m.Link = c.Link + "/v1/findings/" + f.ID
	}
	if l.Revision, l.State = f.Revision, Pending; l.Attempts == 0 {
		l.Since = now
	}
	l.Attempts++
	err = r.notifier.Send(ctx, m)
	if ctx.Err() != nil {
		return ctx.Err() // cut short by the end of the server: it was no attempt
	}
	return r.settle(ctx, l, &f, err)
}

// hold puts a letter off for as long as a suppression covers it. Suppressions can
// be ended: so it is looked at now and then, which is not written down.
func (r *round) hold(ctx context.Context, l Letter, by *tokenwatch.Suppression, now time.Time) error {
	held := l.State == Held
	l.State, l.Next = Held, now.Add(r.post.config.Recheck)
	if by.Expires.Before(l.Next) {
		l.Next = by.Expires
	}
	if !held {
		return r.change(ctx, l)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letters[l.Finding] = &l
	return nil
}

// settle stores what became of an attempt.
func (r *round) settle(ctx context.Context, l Letter, f *tokenwatch.Finding, outcome error) error {
	c := &r.post.config
	now := c.Now().UTC()
	var failure *Failure
	if outcome != nil && !errors.As(outcome, &failure) {
		failure = &Failure{Reason: ReasonInternal}
	}
	log := c.Logger.With("target", r.Name, "finding", l.Finding, "revision", l.Revision, "attempt", l.Attempts)
	switch {
	case failure == nil:
		l.State, l.Error, l.Next, l.Done = Sent, "", time.Time{}, now
		switch {
		case l.Event == Closed:
			l.Told, l.Severity = "", ""
		case rank(f.Severity) > rank(l.Told):
			l.Told = f.Severity
		}
		l.Severity = l.Told // what else it had meanwhile was never told
		r.post.metrics.attempts.WithLabelValues(r.Name, "sent").Inc()
		log.Info("notified", "event", string(l.Event))
	case failure.Permanent && l.Attempts >= c.Refused, now.Sub(l.Since) >= c.GiveUp:
		l.State, l.Error, l.Next, l.Done = Dead, failure.Reason, time.Time{}, now
		r.post.metrics.attempts.WithLabelValues(r.Name, "dead").Inc()
		log.Error("notification given up", "reason", failure.Reason)
	default:
		l.Error, l.Next = failure.Reason, now.Add(max(backoff(l.Attempts, c.Jitter), failure.After))
		r.post.metrics.attempts.WithLabelValues(r.Name, "failed").Inc()
		log.Warn("notification failed", "reason", failure.Reason, "next", l.Next)
	}
	r.note(failure, now)
	return r.change(ctx, l)
}

func (r *round) note(failure *Failure, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if failure == nil {
		r.health.delivered, r.health.failure = now, ""
	} else {
		r.health.failed, r.health.failure = now, failure.Reason
	}
}

// prune removes letters that were done long ago: their findings are not revised
// any more.
func (r *round) prune(ctx context.Context, now time.Time) error {
	old := map[string]Letter{}
	for finding, l := range r.letters {
		if (l.State == Sent || l.State == Dead) && now.Sub(l.Done) >= r.post.config.Keep {
			old[finding] = Letter{}
		}
	}
	if len(old) == 0 {
		return nil
	}
	return r.keep(ctx, r.cursor, old)
}
