package sources

// Quality is how much of what a source sends usually can be read, from hours that
// have settled; older ones count less.
type Quality struct {
	_       struct{} `cbor:",toarray"`
	Events  int64
	Rejects int64
	Hours   int32 // since the sums were last halved
}

const (
	qualityRecords = 100    // of which something must be known before an hour is odd
	qualityRejects = 10     // an odd hour has at least
	qualityTimes   = 4      // and so many times the usual share
	qualityMore    = 500    // of ten thousand, and so much beyond it
	qualityHalf    = 7 * 24 // hours after which older ones count half
)

// judge tells of an hour in which much more was refused than usually.
func (q *Quality) judge(h *Hour) (Alarm, bool) {
	n := h.Events + h.Rejects
	known := q.Events + q.Rejects
	if h.Rejects < qualityRejects || known < qualityRecords {
		return Alarm{}, false
	}
	share, usual := 10_000*h.Rejects/n, 10_000*q.Rejects/known
	if share < qualityTimes*usual || share < usual+qualityMore {
		return Alarm{}, false
	}
	return Alarm{At: h.Hour * 60, Events: h.Events, Rejects: h.Rejects, Usual: int32(usual)}, true
}

// learn takes in an hour. One that is odd counts as what was usual before, but for
// a part of its rejects: a change that stays is got used to within days.
func (q *Quality) learn(h *Hour) {
	rejects := h.Rejects
	if _, odd := q.judge(h); odd {
		rejects /= 8
	}
	q.Events += h.Events
	q.Rejects += rejects
	if q.Hours++; q.Hours >= qualityHalf {
		q.Events /= 2
		q.Rejects /= 2
		q.Hours = 0
	}
}

// Recent is how many events the last sixty minutes of event time had.
type Recent struct {
	_       struct{}  `cbor:",toarray"`
	Minutes [60]int32 // which minute a place stands for
	Events  [60]int64
}

func (r *Recent) add(m Minute) {
	at := m.Minute % 60
	switch {
	case r.Minutes[at] == m.Minute:
		r.Events[at] += m.Events
	case r.Minutes[at] < m.Minute:
		r.Minutes[at], r.Events[at] = m.Minute, m.Events
	}
}

// Rate is how many events a second there were in the hour before a minute, or
// since the first one where that is less.
func (s *Source) Rate(now int32) float64 {
	sum := int64(0)
	for i, m := range s.Recent.Minutes {
		if m > now-60 && m <= now {
			sum += s.Recent.Events[i]
		}
	}
	span := min(60, max(1, int64(now)-s.First/minuteNanos+1))
	return float64(sum) / float64(span*60)
}

// Share is the share of records that usually are refused, 0 where nothing is known.
func (q *Quality) Share() float64 { return share(q.Rejects, q.Events) }

func share(rejects, events int64) float64 {
	if rejects == 0 {
		return 0
	}
	return float64(rejects) / float64(rejects+events)
}

// RejectShare is the share of records refused in the hours that have not settled.
func (s *Source) RejectShare() float64 {
	var events, rejects int64
	for _, h := range s.Open {
		events += h.Events
		rejects += h.Rejects
	}
	return share(rejects, events)
}

// Learning tells whether the source has not been seen for long enough to say
// anything of its rhythm.
func (s *Source) Learning() bool {
	return s.Rhythm.Hours+int32(len(s.Open)) < learnHours || s.Last-s.First < learnAfter*minuteNanos
}
