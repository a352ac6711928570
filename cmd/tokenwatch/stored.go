package main

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// storedTokens is what an engine knows of a stopped store, made when it is first asked
// for: an engine reads on from its last snapshot to where it had got, and keeps
// what it finds to itself.
type storedTokens struct {
	store *local.Store
	mu    sync.Mutex
	ready *engine.Engine
}

func (s *storedTokens) engine(ctx context.Context) (*engine.Engine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready != nil {
		return s.ready, nil
	}
	cursor, err := s.store.Cursor(ctx)
	if err != nil {
		return nil, err
	}
	e := engine.New(engine.Config{}, s.store, s.store)
	if err := e.RunTo(ctx, cursor); err != nil {
		return nil, fmt.Errorf("read the inventory: %w", err)
	}
	s.ready = e
	return e, nil
}

// Token returns one token; see storage.Tokens.
func (s *storedTokens) Token(ctx context.Context, tenant, name string) (tokenwatch.TokenRecord, error) {
	e, err := s.engine(ctx)
	if err != nil {
		return tokenwatch.TokenRecord{}, err
	}
	return e.Token(ctx, tenant, name)
}

// Tokens yields the tokens of a tenant; see storage.Tokens.
func (s *storedTokens) Tokens(ctx context.Context, tenant string, after tokenwatch.TokenID) iter.Seq2[tokenwatch.TokenRecord, error] {
	e, err := s.engine(ctx)
	if err != nil {
		return func(yield func(tokenwatch.TokenRecord, error) bool) { yield(tokenwatch.TokenRecord{}, err) }
	}
	return e.Tokens(ctx, tenant, after)
}

// Sources returns the health of a tenant's sources; see storage.Sources.
func (s *storedTokens) Sources(ctx context.Context, tenant string) ([]tokenwatch.SourceRecord, error) {
	e, err := s.engine(ctx)
	if err != nil {
		return nil, err
	}
	return e.Sources(ctx, tenant)
}

// Expected returns what an entity is expected to do; see storage.Baselines.
func (s *storedTokens) Expected(ctx context.Context, tenant string, of tokenwatch.Entity, from time.Time, step, n int) (tokenwatch.Series, error) {
	e, err := s.engine(ctx)
	if err != nil {
		return tokenwatch.Series{}, err
	}
	return e.Expected(ctx, tenant, of, from, step, n)
}

// Detectors returns how verdicts move the detectors, see storage.Detectors: with those
// that were given since the engine has read the log.
func (s *storedTokens) Detectors(ctx context.Context, tenant string) ([]tokenwatch.DetectorRecord, error) {
	e, err := s.engine(ctx)
	if err != nil {
		return nil, err
	}
	cursor, err := s.store.Cursor(ctx)
	if err != nil {
		return nil, err
	}
	var later []tokenwatch.Verdict
	for entry, err := range s.store.Scan(ctx, storage.Range{Tenant: tenant, First: cursor + 1}) {
		if err != nil {
			return nil, err
		}
		if entry.Tenant != tenant || entry.Control == nil || entry.Control.Kind != tokenwatch.ControlVerdict {
			continue
		}
		v, err := tokenwatch.DecodeVerdict(entry.Control.Body)
		if err != nil {
			return nil, fmt.Errorf("read the control record at log offset %d: %w", entry.Offset, err)
		}
		later = append(later, v)
	}
	return e.DetectorsAfter(tenant, later...), nil
}

var (
	_ storage.Tokens    = (*storedTokens)(nil)
	_ storage.Baselines = (*storedTokens)(nil)
	_ storage.Sources   = (*storedTokens)(nil)
	_ storage.Detectors = (*storedTokens)(nil)
)
