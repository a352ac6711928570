package finding

import (
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// Log gives back the events that evidence refers to: each as a batch and the row
// in it.
type Log interface {
	Row(tokenwatch.EventRef) (*tokenwatch.Batch, int, error)
}

// Explainer puts a signal of some detector in words.
type Explainer func(s tokenwatch.Signal, values []string) string

// Describe makes an incident's hour of what was combined, with its events read
// from the log. It fails only if the log cannot be read.
func Describe(hour int32, c Combined, log Log, explain Explainer) (*Hour, error) {
	h := &Hour{Hour: hour, Sum: c.Sum, Rate: c.Rate}
	var refs []tokenwatch.EventRef
	for i, s := range c.Signals {
		if 2*s.Surprise >= c.Signals[0].Surprise {
			refs = append(refs, s.Evidence...) // weak signals lend weight; they are no evidence
		}
		h.Learning = h.Learning || s.Learning
		values, err := valuesOf(s, log)
		if err != nil {
			return nil, err
		}
		h.Reasons = append(h.Reasons, tokenwatch.Reason{
			Detector: s.Detector, Axis: s.Axis, Surprise: float64(s.Surprise) / 1000,
			Observed: float64(s.Observed) / 1000, Expected: float64(s.Expected) / 1000,
			Values: values, Text: explain(s, values), Attack: s.Attack,
		})
		if i == 0 {
			if h.Telling, err = event(s.Evidence[0], log); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(refs, tokenwatch.EventRef.Compare)
	refs = slices.CompactFunc(refs, func(a, b tokenwatch.EventRef) bool { return a.Compare(b) == 0 })
	for _, ref := range refs[:min(len(refs), tokenwatch.MaxEvidence)] {
		ev, err := event(ref, log)
		if err != nil {
			return nil, err
		}
		h.Events = append(h.Events, ev)
	}
	return h, nil
}

// maxLooked is how many events valuesOf looks at: each may have to be read from
// another entry of the log, and a scan of thousands of routes must not hold up
// the engine.
const maxLooked = 100

// valuesOf reads what a signal's evidence shows on its axis: of the most telling
// classes of action first, and otherwise in the order of the evidence.
func valuesOf(s tokenwatch.Signal, log Log) ([]string, error) {
	axis, ok := feature.AxisByName(s.Axis)
	if !ok {
		return nil, nil
	}
	type value struct {
		text string
		rank int
	}
	var values []value
	seen := map[string]bool{}
	for _, ref := range append(s.Evidence[:min(len(s.Evidence), maxLooked):min(len(s.Evidence), maxLooked)], s.Beside...) {
		b, row, err := log.Row(ref)
		if err != nil {
			return nil, err
		}
		if text := axis.Of(b, row); !seen[text] {
			text = strings.Clone(text)
			seen[text] = true
			values = append(values, value{text, feature.Telling(b, row)})
		}
	}
	if axis != feature.Network { // what was done there does not make a network more telling
		slices.SortStableFunc(values, func(a, b value) int { return a.rank - b.rank })
	}
	var texts []string
	for _, v := range values[:min(len(values), maxReasonValues)] {
		texts = append(texts, v.text)
	}
	return texts, nil
}

// EventOf reads the event a reference points at.
func EventOf(ref tokenwatch.EventRef, log Log) (tokenwatch.Event, error) { return event(ref, log) }

// event reads the event a reference points at.
func event(ref tokenwatch.EventRef, log Log) (tokenwatch.Event, error) {
	if ref.Offset == 0 { // a moment at which nothing happened
		return tokenwatch.Event{Time: time.UnixMilli(ref.Millis).UTC()}, nil
	}
	b, i, err := log.Row(ref)
	if err != nil {
		return tokenwatch.Event{}, err
	}
	e := tokenwatch.Event{
		Time:      time.Unix(0, b.Int(tokenwatch.ColTime, i)).UTC(),
		Source:    clone(b, tokenwatch.ColSource, i),
		RequestID: clone(b, tokenwatch.ColRequestID, i),
		Token:     tokenwatch.TokenID(clone(b, tokenwatch.ColToken, i)),
		Actor:     clone(b, tokenwatch.ColActor, i),
		Action:    clone(b, tokenwatch.ColAction, i),
		Resource:  clone(b, tokenwatch.ColResource, i),
		Status:    int(b.Int(tokenwatch.ColStatus, i)),
		Outcome:   clone(b, tokenwatch.ColOutcome, i),
		Error:     clone(b, tokenwatch.ColError, i),
	}
	if a := b.Addr(i); a.IsValid() {
		e.SrcIP = a.String()
	}
	return e, nil
}

// clone copies a text out of the batch: a finding outlives it.
func clone(b *tokenwatch.Batch, c tokenwatch.Col, i int) string { return strings.Clone(b.Text(c, i)) }
