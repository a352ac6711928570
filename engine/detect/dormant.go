package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// dormant notices a token that comes to life after long silence.
//
// Of an event that has not come for d days nothing is known but that: the best
// estimate of its rate is half an event in that time (Jeffreys), so that
//
//	p = 1/200 · 1/(48·d)
//
// for an hour with it; one honest awakening is taken to happen among two hundred
// tokens. The silence counts from the last use that was seen, or that
// an inventory tells of, or from when the token was made; a token nobody knew
// before is not judged. A token in the hands of somebody who checked it out is not
// dormant.
type dormant struct{}

func newDormant(vec.Hash) Detector { return dormant{} }

// silentDays is from how many days of silence on a token is dormant.
const silentDays = 20

func (dormant) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.token() == "" {
		return out
	}
	u := s.Usual.Usual
	last := int64(u.Last) * 3600_000
	if known, ok := s.Life.Known(); ok {
		last = max(last, known)
	}
	for _, w := range s.Usual.Open {
		last = max(last, int64(w.Hour)*3600_000)
	}
	earlier := u.Today.Day == s.Now.Hour/24 && u.Silent > 0 // it woke up earlier today
	if !earlier && s.end()-last < silentDays*dayMillis {
		return out // as nearly always
	}
	ref, ok := s.first()
	if !ok || s.Life.Lent(s.token(), ref.Millis) {
		return out
	}
	if m, ok := s.Life.Latest(tokenwatch.FactRotated, "", ref.Millis); ok {
		last = max(last, m.Millis) // somebody cares for it
	}
	days := float64(ref.Millis-last) / dayMillis
	if earlier {
		days = float64(u.Silent)
	}
	if last == 0 || days < silentDays {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "dormant", Surprise: bans(1 / float64(200*48*days)),
		Observed: vec.Milli(days), Expected: 0, Evidence: []tokenwatch.EventRef{ref}, Attack: []string{"T1078"},
	})
}

func (dormant) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("came to life after %s days of silence", decimal(s.Observed))
}
