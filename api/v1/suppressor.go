package v1

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/filter"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Suppressor tells which findings are covered by a suppression. It is the only
// one to change suppressions while the server runs, and keeps those of the
// tenants it was asked about in memory. It may be used from many goroutines.
type Suppressor struct {
	store storage.Triage
	names Names
	now   func() time.Time

	change sync.Mutex // held while the store is changed
	mu     sync.Mutex
	known  map[string][]covering // by tenant; those that have ended are left out
}

// Names turns what somebody calls a token, a secret too, into what findings of a
// tenant may call it.
type Names func(tenant, name string) []string

// covering is a suppression and what it covers.
type covering struct {
	tokenwatch.Suppression
	scope filter.Filter[tokenwatch.Finding]
}

// NewSuppressor returns a suppressor over the suppressions of a store. names may
// be nil.
func NewSuppressor(store storage.Triage, names Names, now func() time.Time) *Suppressor {
	return &Suppressor{store: store, names: names, now: now, known: make(map[string][]covering)}
}

// Covers returns the suppression that covers a finding at present, of several
// the one that holds longest; nil if there is none.
func (s *Suppressor) Covers(ctx context.Context, f *tokenwatch.Finding) (*tokenwatch.Suppression, error) {
	list, err := s.of(ctx, f.Tenant)
	if err != nil {
		return nil, err
	}
	var longest *tokenwatch.Suppression
	now := s.now()
	for i := range list {
		c := &list[i]
		if c.Active(now) && c.scope.Match(f) && (longest == nil || c.Expires.After(longest.Expires)) {
			longest = &c.Suppression
		}
	}
	return longest, nil
}

// Mark says of a finding by what it is suppressed.
func (s *Suppressor) Mark(ctx context.Context, f *tokenwatch.Finding) error {
	by, err := s.Covers(ctx, f)
	if err != nil {
		return err
	}
	f.SuppressedBy = ""
	if by != nil {
		f.SuppressedBy = by.ID
	}
	return nil
}

// of returns what is known of a tenant's suppressions. It reads the store under
// the lock, so that what it keeps is not older than a change it was told of.
func (s *Suppressor) of(ctx context.Context, tenant string) ([]covering, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list, ok := s.known[tenant]; ok {
		return list, nil
	}
	var list []covering
	for sup, err := range s.store.Suppressions(ctx, tenant) {
		if err != nil {
			return nil, fmt.Errorf("read the suppressions: %w", err)
		}
		if !sup.Active(s.now()) {
			continue
		}
		scope, err := s.scope(tenant, sup.Scope)
		if err != nil {
			continue // of another version: it covers nothing rather than everything
		}
		list = append(list, covering{sup, scope})
	}
	s.known[tenant] = list
	return list, nil
}

// scope reads what a suppression covers.
func (s *Suppressor) scope(tenant, text string) (filter.Filter[tokenwatch.Finding], error) {
	f, err := filter.Parse(text, filter.Config[tokenwatch.Finding]{
		Fields: scopeFields, Search: searched, Name: s.names.of(tenant),
	})
	if err == nil && f == nil {
		err = &filter.Error{Message: "a suppression needs a scope"}
	}
	return f, badFilter(err)
}

// put changes the store and then forgets what was known of the tenant.
func (s *Suppressor) put(ctx context.Context, sup tokenwatch.Suppression, by storage.Action) error {
	if err := s.store.Suppress(ctx, sup, by); err != nil {
		return fmt.Errorf("store suppression %s: %w", sup.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, sup.Tenant)
	return nil
}

// of binds names to a tenant.
func (n Names) of(tenant string) func(string) []string {
	if n == nil {
		return nil
	}
	return func(name string) []string { return n(tenant, name) }
}
