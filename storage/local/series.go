package local

import (
	"context"
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// SeriesReport is what became of a look at all series that segments carry.
type SeriesReport struct {
	Segments  int `json:"merged_segments"`
	Carrying  int `json:"carrying"`  // of them, with series
	Tables    int `json:"compared"`  // series with their rows, with all measures they have
	Differing int `json:"differing"` // of them, that count something else than the rows
	Rewritten int `json:"rewritten"` // segments, anew from their rows
	Cells     int `json:"cells"`
	Rows      int `json:"rows"`  // of the merged segments
	Bytes     int `json:"bytes"` // that the series take
}

// CheckSeries counts the rows of every merged segment anew and compares that with
// the series it carries. With rewrite, a segment that carries something else, or
// that an older version wrote without any, is written anew from its rows. The
// error names the first that differs if it was not written anew.
func (s *Store) CheckSeries(ctx context.Context, rewrite bool) (r SeriesReport, err error) {
	s.merges.mu.Lock()
	defer s.merges.mu.Unlock()
	tenants, err := s.tenants()
	if err != nil {
		return r, err
	}
	var differing error
	for _, tenant := range tenants {
		pieces, err := s.mergedPieces(ctx, tenant)
		if err != nil {
			return r, err
		}
		for i := range pieces {
			old, err := s.checkSeries(ctx, &pieces[i], &r)
			if err != nil {
				return r, err
			}
			switch {
			case old == nil:
			case rewrite:
				if err := s.mergePieces(ctx, tenant, pieces[i:i+1]); err != nil {
					return r, err
				}
				r.Rewritten++
			case *old != 0 && differing == nil:
				differing = &storage.Corruption{
					What: "series", First: tokenwatch.Offset(pieces[i].entry.First), Last: tokenwatch.Offset(pieces[i].entry.Last),
					Err: fmt.Errorf("the series %s counts something else than its rows", *old),
				}
			}
		}
	}
	return r, differing
}

func (s *Store) mergedPieces(ctx context.Context, tenant string) (pieces []piece, err error) {
	v, done, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer done()
	for e, err := range mergedOf(v.snapshot, tenant) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, piece{entry: e, merged: true})
	}
	return pieces, nil
}

// checkSeries compares the series of one segment. It returns the first that
// differs, 0 if the segment is of a layout without any, nil if all is well.
func (s *Store) checkSeries(ctx context.Context, p *piece, r *SeriesReport) (*series.Kind, error) {
	v, done, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer done()
	seg, err := s.openMerged(v, &p.entry)
	if err != nil {
		return nil, err
	}
	r.Segments++
	bytes, ok := seg.m.SeriesBytes()
	if !ok {
		return new(series.Kind), nil
	}
	r.Rows += seg.Rows()
	r.Bytes += bytes
	carrying := false
	var wrong *series.Kind
	for _, k := range series.Kinds {
		ms, ok := seg.m.Measures(k)
		if !ok {
			continue
		}
		carrying = true
		got, err := seg.Series(ctx, k, ms)
		if err != nil {
			return nil, err
		}
		b, err := seg.Select(ctx, series.Columns(k, ms))
		if err != nil {
			return nil, err
		}
		r.Tables++
		r.Cells += got.Len()
		if !series.Same(got, series.Of(b, k, ms)) {
			r.Differing++
			if wrong == nil {
				wrong = &k
			}
		}
	}
	if carrying {
		r.Carrying++
	}
	return wrong, nil
}
