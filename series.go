package tokenwatch

import "time"

// Series is how much an entity did, hour by hour, beside how much its baseline
// expects: between Low and High lie nine of ten hours like it, half of them below
// Median. All slices have one element for each step from Start on.
type Series struct {
	Start  time.Time `json:"start"`
	Step   int       `json:"step"`           // hours that one element stands for
	AsOf   time.Time `json:"as_of,omitzero"` // up to where the baseline had learned; zero if it rests on peers alone
	Low    []uint32  `json:"low,omitempty"`  // requests
	Median []uint32  `json:"median,omitempty"`
	High   []uint32  `json:"high,omitempty"`

	Peers    uint32 `json:"peers,omitempty"`     // entities of its kind that it can be compared with
	PeerMean uint32 `json:"peer_mean,omitempty"` // requests in an active hour of those that work like it, in the mean

	// What was seen is in the log, and read from there when it is asked for: it is
	// no part of a finding as it is stored.
	Observed []uint32 `json:"observed,omitempty"` // requests, repeats left out
	Failed   []uint32 `json:"failed,omitempty"`   // of these, those that were refused or failed
}

// Hours is how much time one element stands for.
func (s *Series) Hours() time.Duration { return time.Duration(s.Step) * time.Hour }

// End is the time behind the last element.
func (s *Series) End() time.Time {
	n := max(len(s.High), len(s.Observed))
	return s.Start.Add(time.Duration(n) * s.Hours())
}

// Cut returns the part of a series from one time up to another.
func (s *Series) Cut(from, to time.Time) Series {
	c := *s
	lo := max(0, int(from.Sub(s.Start)/s.Hours()))
	hi := max(lo, int(to.Sub(s.Start)/s.Hours()))
	c.Start = s.Start.Add(time.Duration(lo) * s.Hours())
	for _, part := range []*[]uint32{&c.Low, &c.Median, &c.High, &c.Observed, &c.Failed} {
		*part = (*part)[min(lo, len(*part)):min(hi, len(*part))]
	}
	return c
}
