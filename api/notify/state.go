package notify

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch/storage"
)

// Status is how a target fares, without its address.
type Status struct {
	Name, Kind        string
	Letters           map[State]int
	Failure           string // reason code of the last attempt, if it failed
	Failed, Delivered time.Time
	Update            uint64 // up to which findings were looked at
}

// Targets returns how the targets of a tenant fare, in the order of their names.
func (p *Post) Targets(tenant string) []Status {
	var out []Status
	for _, r := range p.of(tenant) {
		out = append(out, r.status())
	}
	return out
}

func (r *round) status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{
		Name: r.Name, Kind: r.Kind, Letters: make(map[State]int), Update: r.cursor,
		Failure: r.health.failure, Failed: r.health.failed, Delivered: r.health.delivered,
	}
	for _, l := range r.letters {
		s.Letters[l.State]++
	}
	return s
}

// Letters returns the letters to the targets of a tenant in the order of their
// ids.
func (p *Post) Letters(tenant string) []Letter {
	var out []Letter
	for _, r := range p.of(tenant) {
		r.mu.Lock()
		for _, finding := range slices.Sorted(maps.Keys(r.letters)) {
			out = append(out, *r.letters[finding])
		}
		r.mu.Unlock()
	}
	return out
}

// of returns the rounds of a tenant in the order of their names.
func (p *Post) of(tenant string) []*round {
	var out []*round
	for _, r := range p.rounds {
		if r.Tenant == tenant {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *round) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Retry has a dead letter of a tenant tried again at once, and returns it as it
// then is; one that is not dead is returned as it is. It returns
// storage.ErrNotFound if there is no such letter.
func (p *Post) Retry(ctx context.Context, tenant, id string) (Letter, error) {
	name, finding, _ := strings.Cut(id, ".")
	for _, r := range p.of(tenant) {
		if r.Name == name {
			return r.retry(ctx, finding)
		}
	}
	return Letter{}, storage.ErrNotFound
}

// retry changes a letter that its round does not touch, since it is dead: only a
// new escalation could come between, and it makes the letter pending as well.
func (r *round) retry(ctx context.Context, finding string) (Letter, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, ok := r.letters[finding]
	if !ok {
		return Letter{}, storage.ErrNotFound
	}
	l := *before
	if l.State != Dead {
		return l, nil
	}
	l.State, l.Attempts, l.Next, l.Done = Pending, 0, r.post.config.Now().UTC(), time.Time{}
	if err := r.post.config.Store.PutLetters(ctx, l.record()); err != nil {
		return l, err
	}
	r.letters[finding] = &l
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return l, nil
}
