package api

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/notify"
	"github.com/tokenwatch/tokenwatch/storage"
)

// fake is a store in memory.
type fake struct {
	mu           sync.Mutex
	findings     map[string]tokenwatch.Finding // by id
	update       uint64
	changed      chan struct{}
	entries      []tokenwatch.Entry
	actions      []storage.Action
	tokens       []tokenwatch.TokenRecord // by id
	keys         map[string]storage.APIKey
	suppressions map[string]tokenwatch.Suppression
	broken       error // what writing ends with
}

func newFake() *fake {
	return &fake{
		findings:     make(map[string]tokenwatch.Finding),
		keys:         make(map[string]storage.APIKey),
		suppressions: make(map[string]tokenwatch.Suppression),
		changed:      make(chan struct{}),
	}
}

// put stores the next revision of a finding.
func (f *fake) put(tenant, id string) tokenwatch.Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.update++
	n := tokenwatch.Finding{
		ID: id, Tenant: tenant, Revision: f.findings[tenant+"/"+id].Revision + 1, Update: f.update,
		EntityKind: tokenwatch.EntityToken, Entity: "tkw_" + id, Token: tokenwatch.TokenID("tkw_" + id),
		Aliases: []tokenwatch.Alias{{Kind: tokenwatch.NameAccessKeyID, Value: "ASIA" + id}},
		Time:    time.Unix(1700000000, 0).UTC(), Kind: "novelty", Class: tokenwatch.ClassAnomaly,
		Window:    tokenwatch.Window{Start: time.Unix(1699999200, 0).UTC(), End: time.Unix(1700002800, 0).UTC()},
		Detectors: []string{"novelty"}, Score: 91, Severity: tokenwatch.SeverityCritical,
		Summary: "a new network", Status: "new", Attack: []string{"T1078.004"},
		Raised: time.Unix(1700000001, 0).UTC(), HistoryIndex: f.update,
		Evidence:   []tokenwatch.Event{{Time: time.Unix(1700000000, 0).UTC(), RequestID: "r1", SrcIP: "192.0.2.1"}},
		RequestIDs: []string{"r1"},
		Reasons:    []tokenwatch.Reason{{Detector: "novelty", Axis: "network", Surprise: 3.5, Observed: 1, Text: "new network"}},
	}
	f.findings[tenant+"/"+id] = n
	close(f.changed)
	f.changed = make(chan struct{})
	return n
}

func (f *fake) sorted(tenant string) []tokenwatch.Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []tokenwatch.Finding
	for _, n := range f.findings {
		if n.Tenant == tenant {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b tokenwatch.Finding) int { return int(a.Update) - int(b.Update) })
	return out
}

func (f *fake) Finding(_ context.Context, tenant, id string) (tokenwatch.Finding, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok := f.findings[tenant+"/"+id]
	if !ok {
		return n, storage.ErrNotFound
	}
	return n, nil
}

func (f *fake) Findings(_ context.Context, tenant string) iter.Seq2[tokenwatch.Finding, error] {
	all := f.sorted(tenant)
	slices.Reverse(all)
	return values(all)
}

func (f *fake) Updates(_ context.Context, tenant string, after uint64) iter.Seq2[tokenwatch.Finding, error] {
	return values(slices.DeleteFunc(f.sorted(tenant), func(n tokenwatch.Finding) bool { return n.Update <= after }))
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

func (f *fake) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fake) Record(_ context.Context, a storage.Action) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.actions = append(f.actions, a)
	return uint64(len(f.actions)), nil
}

func (f *fake) recorded() []storage.Action {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.actions)
}

func (f *fake) Leaves(_ context.Context, tenant string, first uint64) iter.Seq2[storage.Leaf, error] {
	var out []storage.Leaf
	for i, a := range f.recorded() {
		if a.Tenant == tenant && uint64(i) >= first {
			out = append(out, storage.Leaf{Index: uint64(i), Bytes: fmt.Append(nil, a.Verb)})
		}
	}
	return values(out)
}

func (f *fake) Checkpoint(context.Context) ([]byte, error) {
	return []byte("tokenwatch\n1\nroot\n"), nil
}

func (f *fake) Judge(ctx context.Context, tenant string, v tokenwatch.Verdict, by storage.Action) (tokenwatch.Finding, error) {
	if f.broken != nil {
		return tokenwatch.Finding{}, f.broken
	}
	n, err := f.Finding(ctx, tenant, v.Finding)
	if err != nil {
		return n, err
	}
	f.Record(ctx, by)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.update++
	n.Update = f.update
	v.Apply(&n, time.Unix(1700000002, 0).UTC())
	f.findings[tenant+"/"+n.ID] = n
	close(f.changed)
	f.changed = make(chan struct{})
	return n, nil
}

func (f *fake) Link(ctx context.Context, tenant string, l tokenwatch.Link, by storage.Action) error {
	_, err := f.Record(ctx, by)
	return err
}

func (f *fake) Suppress(ctx context.Context, s tokenwatch.Suppression, by storage.Action) error {
	if f.broken != nil {
		return f.broken
	}
	f.Record(ctx, by)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.suppressions[s.ID] = s
	return nil
}

func (f *fake) Suppressions(_ context.Context, tenant string) iter.Seq2[tokenwatch.Suppression, error] {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []tokenwatch.Suppression
	for _, id := range slices.Sorted(maps.Keys(f.suppressions)) {
		if s := f.suppressions[id]; s.Tenant == tenant {
			out = append(out, s)
		}
	}
	return values(out)
}

func (f *fake) Token(_ context.Context, tenant, name string) (tokenwatch.TokenRecord, error) {
	for _, r := range f.tokens {
		named := func(a tokenwatch.Alias) bool { return a.Value == name }
		if r.Tenant == tenant && (string(r.ID) == name || slices.ContainsFunc(r.Names, named)) {
			return r, nil
		}
	}
	return tokenwatch.TokenRecord{}, storage.ErrNotFound
}

func (f *fake) Tokens(_ context.Context, tenant string, after tokenwatch.TokenID) iter.Seq2[tokenwatch.TokenRecord, error] {
	return values(slices.DeleteFunc(slices.Clone(f.tokens), func(r tokenwatch.TokenRecord) bool {
		return r.Tenant != tenant || r.ID <= after
	}))
}

// Letters of two tenants, of which one is dead.
func (f *fake) Letters(tenant string) []notify.Letter {
	return []notify.Letter{{
		Target: "soc-" + tenant, Tenant: tenant, Finding: "fnd_a", Revision: 1, Event: notify.Raised, State: notify.Dead,
		Attempts: 3, Error: notify.ReasonStatus, Made: time.Unix(1700000000, 0).UTC(), Done: time.Unix(1700000010, 0).UTC(),
	}}
}

func (f *fake) Targets(tenant string) []notify.Status {
	return []notify.Status{{
		Name: "soc-" + tenant, Kind: "webhook", Letters: map[notify.State]int{notify.Dead: 1}, Failure: notify.ReasonStatus,
		Failed: time.Unix(1700000010, 0).UTC(), Update: 3,
	}}
}

func (f *fake) Retry(_ context.Context, tenant, id string) (notify.Letter, error) {
	for _, l := range f.Letters(tenant) {
		if l.ID() == id {
			l.State, l.Attempts = notify.Pending, 0
			return l, nil
		}
	}
	return notify.Letter{}, storage.ErrNotFound
}

func (f *fake) PutKey(ctx context.Context, key storage.APIKey, by storage.Action) error {
	if f.broken != nil {
		return f.broken
	}
	f.Record(ctx, by)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys[key.ID] = key
	return nil
}

func (f *fake) Keys(context.Context) iter.Seq2[storage.APIKey, error] {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []storage.APIKey
	for _, k := range f.keys {
		out = append(out, k)
	}
	return values(out)
}

func (f *fake) Last() tokenwatch.Offset { return tokenwatch.Offset(len(f.entries)) }

func (f *fake) Follow(ctx context.Context, from tokenwatch.Offset) iter.Seq2[tokenwatch.Entry, error] {
	return func(yield func(tokenwatch.Entry, error) bool) {
		for _, e := range f.entries {
			if e.Offset >= from && !yield(e, nil) {
				return
			}
		}
		<-ctx.Done()
	}
}

func (f *fake) Scan(_ context.Context, r storage.Range) iter.Seq2[tokenwatch.Entry, error] {
	var out []tokenwatch.Entry
	for _, e := range f.entries {
		if e.Tenant == r.Tenant && e.Offset >= r.First && e.Offset <= r.Last {
			out = append(out, e)
		}
	}
	return values(out)
}
