package finding

import (
	"maps"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// MaxShift is how far verdicts move a detector at the most: a signal as sure as
// [tokenwatch.MaxBans] is told whatever was judged before.
const MaxShift tokenwatch.Bans = 1000

// Verdicts are the last verdicts on a tenant's findings, and how far they move each
// detector: by
//
//	shift = log10((false + 1) / (true + 1)), cut to 0…1 ban
//
// where false counts the findings it had a part in that were judged false_positive or
// benign, and true those judged true_positive. The shift is taken off the detector's
// surprises, decimal logarithms, before they are combined: it takes what it notices to be
// 10^shift times more common than its model does, as much as brings false findings by it
// down to about as many as true ones. The ones added are Laplace's rule of succession:
// they keep the first verdicts from moving much. It is never below 0: more true findings
// do not allow more false ones than were promised.
//
// It depends on the last verdict on each finding alone: taken back, it is as if it had
// not been given.
type Verdicts struct {
	last  map[string]Verdict // by finding
	tally map[string]Tally   // by detector
}

// Verdict is what somebody thinks of a finding. It is a record of the engine's state.
type Verdict struct {
	_         struct{} `cbor:",toarray"`
	Verdict   string
	Detectors []string
}

// Tally counts the findings that a detector had a part in, by what was thought of them.
type Tally struct{ FalsePositive, Benign, TruePositive int }

// Shift is how far a detector is moved.
func (t Tally) Shift() tokenwatch.Bans {
	odds := float64(t.FalsePositive+t.Benign+1) / float64(t.TruePositive+1)
	return max(0, min(MaxShift, tokenwatch.Bans(vec.Milli(vec.Log10(odds)))))
}

func (t Tally) add(verdict string, n int) Tally {
	switch verdict {
	case tokenwatch.VerdictFalsePositive:
		t.FalsePositive += n
	case tokenwatch.VerdictBenign:
		t.Benign += n
	case tokenwatch.VerdictTruePositive:
		t.TruePositive += n
	}
	return t
}

// Take takes in a verdict, in place of the one before on the same finding. One that
// leaves open what is thought of it changes nothing.
func (v *Verdicts) Take(record *tokenwatch.Verdict) {
	if record.Verdict == nil {
		return
	}
	if v.last == nil {
		v.last, v.tally = map[string]Verdict{}, map[string]Tally{}
	}
	v.count(v.last[record.Finding], -1)
	delete(v.last, record.Finding)
	if last := (Verdict{Verdict: *record.Verdict, Detectors: record.Detectors}); last.Verdict != "" && len(last.Detectors) > 0 {
		v.last[record.Finding] = last
		v.count(last, 1)
	}
}

func (v *Verdicts) count(of Verdict, n int) {
	for _, d := range of.Detectors {
		if v.tally[d] = v.tally[d].add(of.Verdict, n); v.tally[d] == (Tally{}) {
			delete(v.tally, d)
		}
	}
}

// Of counts the verdicts that move a detector.
func (v *Verdicts) Of(detector string) Tally { return v.tally[detector] }

// Moves tells whether a detector of any of the signals was judged.
func (v *Verdicts) Moves(signals []tokenwatch.Signal) bool {
	if len(v.tally) == 0 {
		return false
	}
	for i := range signals {
		if _, ok := v.tally[signals[i].Detector]; ok {
			return true
		}
	}
	return false
}

// Shift returns signals of an entity with their surprises shifted. The verdict on the
// entity's own finding of the day is left out: what was judged does not change for it.
func (v *Verdicts) Shift(signals []tokenwatch.Signal, own string) []tokenwatch.Signal {
	judged := v.last[own]
	out := make([]tokenwatch.Signal, len(signals))
	for i, s := range signals {
		t := v.tally[s.Detector]
		for _, d := range judged.Detectors {
			if d == s.Detector {
				t = t.add(judged.Verdict, -1)
			}
		}
		s.Surprise -= t.Shift()
		out[i] = s
	}
	return out
}

// Last returns the last verdict on each finding, to be stored; Restore takes it back.
func (v *Verdicts) Last() map[string]Verdict { return v.last }

// Restore makes v of what [Verdicts.Last] returned.
func (v *Verdicts) Restore(last map[string]Verdict) {
	v.last, v.tally = last, map[string]Tally{}
	for _, of := range last {
		v.count(of, 1)
	}
}

// Clone returns a copy.
func (v *Verdicts) Clone() *Verdicts {
	return &Verdicts{maps.Clone(v.last), maps.Clone(v.tally)}
}
