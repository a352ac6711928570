package ingest

import "time"

// Stage is a part of a request's way that is timed by itself.
type Stage string

// The stages. Parse holds everything from cutting records to sealing them.
const (
	StageRead   Stage = "read"   // waiting for and expanding the body
	StageParse  Stage = "parse"  // framing, parsing, normalising and sealing
	StageWait   Stage = "wait"   // in the queue, until a commit begins
	StageCommit Stage = "commit" // of a group: joining it and appending it to the log
)

// Metrics is told what happens, from many goroutines. All durations are wall
// clock time of one goroutine.
type Metrics interface {
	// Accepted: records of a tenant, from bytes of decoded body, are durable.
	Accepted(tenant string, records int, bytes int64)
	// Rejected: n records of a tenant could not be stored; a repeated request
	// counts once.
	Rejected(tenant, reason string, n int)
	// Refused: a whole request was not accepted.
	Refused(tenant, reason string)
	// Took: a stage of one request, or of one group, took that long.
	Took(stage Stage, d time.Duration)
	// Committed: one group of that many requests went into the log.
	Committed(requests int)
}

// noMetrics is told what nobody wants to know.
type noMetrics struct{}

func (noMetrics) Accepted(string, int, int64)  {}
func (noMetrics) Rejected(string, string, int) {}
func (noMetrics) Refused(string, string)       {}
func (noMetrics) Took(Stage, time.Duration)    {}
func (noMetrics) Committed(int)                {}
