package tokenwatch

import "time"

// SourceState says how a source of logs does.
type SourceState string

// The states of a source.
const (
	SourceLearning  SourceState = "learning"  // seen for less than a day, or in few of its hours: nothing can be said yet
	SourceReporting SourceState = "reporting" // as it usually does
	SourceRejecting SourceState = "rejecting" // much more of what it sends is refused than usually
	SourceSilent    SourceState = "silent"    // for longer than it usually is at such times
)

// SourceRecord is the health of one source of logs. Its times are event times but
// for FirstRequest and LastRequest, which are of the wall clock.
type SourceRecord struct {
	Tenant      string        `json:"tenant"`
	Name        string        `json:"name"`
	State       SourceState   `json:"state"`
	First       time.Time     `json:"first_event,omitzero"`
	Last        time.Time     `json:"last_event,omitzero"`
	SilentSince time.Time     `json:"silent_since,omitzero"` // last minute with an event, where it is silent
	Usual       time.Duration `json:"-"`                     // the longest silence of four weeks, at times when it usually reports
	Rate        float64       `json:"events_per_second"`     // in the last hour of event time

	FirstRequest time.Time     `json:"first_request,omitzero"`
	LastRequest  time.Time     `json:"last_request,omitzero"`
	Lag          time.Duration `json:"-"` // between the newest event of the last request and its coming

	Records     int64   `json:"records"` // stored
	Rejects     int64   `json:"rejects"`
	RejectShare float64 `json:"reject_share"`       // of the records of the hours that have not settled
	UsualShare  float64 `json:"usual_reject_share"` // of those before
	Holes       int     `json:"holes"`              // spans of the last weeks in which it was silent or could not be read
}
