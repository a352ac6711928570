package engine

import (
	"context"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/detect"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/storage"
)

var _ storage.Detectors = (*Engine)(nil)

// Detectors returns how verdicts move the detectors for a tenant, see
// [storage.Detectors]. It waits while an entry is taken in.
func (e *Engine) Detectors(_ context.Context, tenant string) ([]tokenwatch.DetectorRecord, error) {
	return e.DetectorsAfter(tenant), nil
}

// DetectorsAfter is the same with verdicts that the engine has not read yet, in the
// order of the log.
func (e *Engine) DetectorsAfter(tenant string, later ...tokenwatch.Verdict) []tokenwatch.DetectorRecord {
	v := new(finding.Verdicts)
	e.taking.Lock()
	if t := e.tenants[tenant]; t != nil {
		v = t.verdicts.Clone()
	}
	e.taking.Unlock()
	for i := range later {
		v.Take(&later[i])
	}
	var out []tokenwatch.DetectorRecord
	for _, d := range detect.All {
		t := v.Of(d.Name)
		out = append(out, tokenwatch.DetectorRecord{
			Name: d.Name, Doc: d.Doc, FalsePositive: t.FalsePositive, Benign: t.Benign, TruePositive: t.TruePositive, Shift: t.Shift(),
		})
	}
	return out
}

// combine makes one number of the signals at hand, as it is to be told. A verdict holds
// from its place in the log on, in all windows that have not settled there; which these
// are depends on what comes before it, in whatever order. What is learned of the hour is
// not moved by verdicts: they can be taken back, and a lesson cannot.
func (s *shard) combine(j *judged, usual *baseline.Usual) {
	j.Combined = finding.Combine(s.signals)
	j.Rate = s.rate(usual, j.e.Kind, j.hour, j.Sum)
	j.lesson = lesson{j.Sum, j.Rate}
	if s.verdicts.Moves(s.signals) {
		j.Combined = finding.Combine(s.verdicts.Shift(s.signals, s.id(j.e, j.hour/24)))
		j.Rate = s.rate(usual, j.e.Kind, j.hour, j.Sum)
	}
}

// lesson is what is learned of an hour as a whole.
type lesson struct{ sum, rate tokenwatch.Bans }

// verdictsRecord is what is stored of the verdicts on a tenant's findings.
type verdictsRecord struct {
	_    struct{} `cbor:",toarray"`
	Last map[string]finding.Verdict
}

func (t *tenant) verdictRecords(out *[]storage.Record) {
	if !t.moved {
		return
	}
	*out = append(*out, storage.Record{Key: appendPart([]byte{recVerdicts}, t.name), Value: encode(verdictsRecord{Last: t.verdicts.Last()})})
	t.moved = false
}

func (t *tenant) loadVerdicts(r storage.Record) error {
	var stored verdictsRecord
	if err := decode(r, &stored); err != nil {
		return err
	}
	t.verdicts.Restore(stored.Last)
	return nil
}
