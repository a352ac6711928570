package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Judge changes how a finding is handled; see storage.Triage.
func (s *Store) Judge(ctx context.Context, tenant string, v tokenwatch.Verdict, by storage.Action) (tokenwatch.Finding, error) {
	var out tokenwatch.Finding
	if err := v.Check(); err != nil {
		return out, fmt.Errorf("judge a finding: %w", err)
	}
	if len(tenant) > maxTenant || tenant == "" {
		return out, storage.ErrNotFound
	}
	err := s.do(ctx, 0, func(g *group) (err error) {
		out, err = g.judge(tenant, &v, by)
		return err
	})
	return out, err
}

func (g *group) judge(tenant string, v *tokenwatch.Verdict, by storage.Action) (f tokenwatch.Finding, err error) {
	key := findingKey(tenant, v.Finding)
	before, err := g.findingBefore(key)
	if err != nil {
		return f, err
	}
	if before == nil {
		return f, storage.ErrNotFound
	}
	if f, err = decodeFinding(before); err != nil {
		return f, err
	}
	v.About(&f)
	if err := g.steer(tenant, v.Control(), by); err != nil {
		return f, err
	}
	g.delete(updateKey(tenant, f.Update))
	g.commit.Update++
	f.Update = g.commit.Update
	v.Apply(&f, g.now)
	return f, g.putFinding(key, &f)
}

// steer adds the leaf of an action and the control record by which it holds.
func (g *group) steer(tenant string, c *tokenwatch.Control, by storage.Action) error {
	if g.s.full.Load() {
		return fmt.Errorf("append a %s: %w: %w", c.Kind, storage.ErrReadOnly, ErrDiskFull)
	}
	g.action(by)
	_, err := g.append(nil, tokenwatch.Entry{Tenant: tenant, Control: c})
	return err
}

// Link keeps a link between two tokens; see storage.Triage.
func (s *Store) Link(ctx context.Context, tenant string, l tokenwatch.Link, by storage.Action) error {
	if err := l.Check(); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if tenant == "" || len(tenant) > maxTenant {
		return errors.New("link: it needs a tenant")
	}
	return s.do(ctx, 0, func(g *group) error { return g.steer(tenant, l.Control(), by) })
}

// Suppress keeps a suppression; see storage.Triage.
func (s *Store) Suppress(ctx context.Context, sup tokenwatch.Suppression, by storage.Action) error {
	if sup.ID == "" || sup.Tenant == "" || len(sup.Tenant) > maxTenant {
		return errors.New("suppress: a suppression needs an id and a tenant")
	}
	value, err := json.Marshal(&sup)
	if err != nil {
		return fmt.Errorf("encode suppression: %w", err)
	}
	return s.do(ctx, 0, func(g *group) error {
		if err := g.steer(sup.Tenant, sup.Control(), by); err != nil {
			return err
		}
		g.set(append(tenanted(keySuppress, sup.Tenant), sup.ID...), value)
		return nil
	})
}

// Suppressions yields the suppressions of a tenant; see storage.Triage.
func (s *Store) Suppressions(ctx context.Context, tenant string) iter.Seq2[tokenwatch.Suppression, error] {
	return func(yield func(tokenwatch.Suppression, error) bool) {
		if len(tenant) > maxTenant {
			return
		}
		lower := tenanted(keySuppress, tenant)
		for it, err := range s.scan(ctx, lower, prefixEnd(lower)) {
			var sup tokenwatch.Suppression
			if err == nil && json.Unmarshal(it.Value(), &sup) != nil {
				err = damaged("suppression", errors.New("not a suppression"))
			}
			if !yield(sup, err) || err != nil {
				return
			}
		}
	}
}
