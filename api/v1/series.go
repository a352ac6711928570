package v1

import (
	"context"
	"errors"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// seriesContext is how much of the time before its window a finding is shown with.
const seriesContext = 24 * time.Hour

// series puts what an entity did beside what was expected of it.
type series struct {
	segments  storage.Segments  // nil: what was done is not known
	baselines storage.Baselines // nil: nothing is expected
	tokens    storage.Tokens    // nil: a token has one id
}

func newSeries(c Config) *series {
	return &series{segments: c.Segments, baselines: c.Baselines, tokens: c.Tokens}
}

// fill completes the series of a finding: where it has none, with what the engine
// expects at present, and with what was seen.
func (s *series) fill(ctx context.Context, f *tokenwatch.Finding) error {
	if s.segments == nil || f.Withdrawn || !f.Window.Start.Before(f.Window.End) {
		return nil
	}
	of := tokenwatch.Entity{Kind: f.EntityKind, ID: f.Entity}
	ids, err := s.idsOf(ctx, f.Tenant, of)
	if err != nil {
		return err
	}
	if f.Series == nil {
		from := f.Window.Start.Add(-seriesContext)
		n := int(min(f.Window.End.Sub(from), timelineHours) / time.Hour)
		band, err := s.expected(ctx, f.Tenant, of.Kind, ids, from, 1, n)
		if err != nil {
			return err
		}
		if band == nil {
			band = &tokenwatch.Series{Start: from, Step: 1}
		}
		f.Series = band
	}
	n := int(f.Window.End.Sub(f.Series.Start) / f.Series.Hours())
	f.Series.Observed, f.Series.Failed, err = s.observed(ctx, f.Tenant, of.Kind, ids, f.Series.Start, f.Series.Hours(), min(n, int(timelineHours/time.Hour)))
	return err
}

// idsOf are the ids under which an entity may stand in events, its own first.
func (s *series) idsOf(ctx context.Context, tenant string, of tokenwatch.Entity) ([]string, error) {
	ids := []string{of.ID}
	if of.Kind != tokenwatch.EntityToken || s.tokens == nil {
		return ids, nil
	}
	t, err := s.tokens.Token(ctx, tenant, of.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return ids, nil
	}
	for id := range idsOf(&t) {
		if id != of.ID {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// expected asks for what is expected of an entity by the first of its ids that has
// a baseline; nil if none has.
func (s *series) expected(ctx context.Context, tenant string, kind tokenwatch.EntityKind, ids []string, from time.Time, step, n int) (*tokenwatch.Series, error) {
	if s.baselines == nil {
		return nil, nil
	}
	for _, id := range ids {
		band, err := s.baselines.Expected(ctx, tenant, tokenwatch.Entity{Kind: kind, ID: id}, from, step, n)
		if err == nil {
			return &band, nil
		}
		if !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
	}
	return nil, nil
}

// seriesCols are the columns that tell how much an entity did.
var seriesCols = tokenwatch.Cols(
	tokenwatch.ColTime, tokenwatch.ColToken, tokenwatch.ColTokenKind, tokenwatch.ColActor, tokenwatch.ColSrcIP,
	tokenwatch.ColDuplicate, tokenwatch.ColStatus, tokenwatch.ColOutcome,
)

// observed counts the events of a token, or those whose habits are the entity's, in
// n steps.
func (s *series) observed(ctx context.Context, tenant string, kind tokenwatch.EntityKind, ids []string, from time.Time, step time.Duration, n int) (all, failed []uint32, err error) {
	if n <= 0 {
		return nil, nil, nil
	}
	all, failed = make([]uint32, n), make([]uint32, n)
	col := [...]tokenwatch.Col{tokenwatch.ColToken, tokenwatch.ColActor, tokenwatch.ColSrcIP}[kind]
	for seg, err := range s.segments.Segments(ctx, storage.Range{Tenant: tenant, From: from, To: from.Add(time.Duration(n) * step)}) {
		if err != nil {
			return nil, nil, err
		}
		for _, id := range ids {
			b, err := rowsOf(ctx, seg, seriesCols, col, id)
			if err != nil {
				return nil, nil, err
			}
			if b == nil {
				continue
			}
			for i := range b.Rows() {
				if kind != tokenwatch.EntityToken && b.Lead(i) != kind || named(b, col, i) != id || b.Bool(tokenwatch.ColDuplicate, i) || !b.Has(tokenwatch.ColTime, i) {
					continue
				}
				since := time.Unix(0, b.Int(tokenwatch.ColTime, i)).Sub(from)
				if at := since / step; since >= 0 && at < time.Duration(n) {
					all[at]++
					if failedRow(b, i) {
						failed[at]++
					}
				}
			}
		}
	}
	return all, failed, nil
}

// rowsOf reads what a segment holds of an entity, perhaps with rows of others; nil
// if it holds nothing.
func rowsOf(ctx context.Context, seg storage.Segment, cols tokenwatch.ColSet, col tokenwatch.Col, id string) (*tokenwatch.Batch, error) {
	if !seg.MayHold(col, id) {
		return nil, nil
	}
	if col == tokenwatch.ColToken {
		if lo, hi, sorted := seg.TokenRows(tokenwatch.TokenID(id)); sorted {
			if lo == hi {
				return nil, nil
			}
			return seg.SelectRows(ctx, cols, lo, hi)
		}
	}
	return seg.Select(ctx, cols)
}

// named is what a row says of an entity's column.
func named(b *tokenwatch.Batch, col tokenwatch.Col, i int) string {
	if col != tokenwatch.ColSrcIP {
		return b.Text(col, i)
	}
	if !b.Has(col, i) {
		return ""
	}
	return b.Addr(i).String()
}

// failedRow tells whether an event was refused or failed.
func failedRow(b *tokenwatch.Batch, i int) bool {
	if b.Has(tokenwatch.ColStatus, i) && b.Int(tokenwatch.ColStatus, i) >= 400 {
		return true
	}
	switch b.Text(tokenwatch.ColOutcome, i) {
	case "denied", "failure", "error":
		return true
	}
	return false
}
