package engine

import (
	"context"
	"iter"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

var _ storage.Tokens = (*Engine)(nil)

// Token returns one token, see [storage.Tokens].
func (e *Engine) Token(_ context.Context, tenant, name string) (tokenwatch.TokenRecord, error) {
	if g := e.guardOf(tenant); g != nil {
		if t, ok := g.inv.Token(name, g.now.Load()); ok {
			return t, nil
		}
	}
	return tokenwatch.TokenRecord{}, storage.ErrNotFound
}

// Tokens yields the tokens of a tenant, see [storage.Tokens].
func (e *Engine) Tokens(ctx context.Context, tenant string, after tokenwatch.TokenID) iter.Seq2[tokenwatch.TokenRecord, error] {
	return func(yield func(tokenwatch.TokenRecord, error) bool) {
		g := e.guardOf(tenant)
		if g == nil {
			return
		}
		for t := range g.inv.Tokens(after, g.now.Load()) {
			if err := ctx.Err(); err != nil {
				yield(tokenwatch.TokenRecord{}, err)
				return
			}
			if !yield(t, nil) {
				return
			}
		}
	}
}

func (e *Engine) guardOf(tenant string) *guard {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t, ok := e.tenants[tenant]; ok {
		return t.guard
	}
	return nil
}
