package history

import (
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Verdict is what a verification comes to. A greater one outweighs a lesser.
type Verdict uint8

const (
	// OK: nothing was found wrong.
	OK Verdict = iota
	// Unverifiable: there is nothing signed by the pinned key to hold it against,
	// or it was made by a newer program.
	Unverifiable
	// Incomplete: something that must be there is not: a file, log offsets,
	// revisions, ticks, payloads.
	Incomplete
	// Truncated: the end is missing, or the checkpoint is older than the leaves.
	Truncated
	// Altered: bytes are not those that were signed, or not what an honest
	// writer writes.
	Altered
	// Forked: it is signed whole, and contradicts a checkpoint signed before.
	Forked
)

// Exit codes of a program that verifies, one per verdict.
const (
	ExitOK           = 0
	ExitAltered      = 20
	ExitTruncated    = 21
	ExitForked       = 22
	ExitIncomplete   = 23
	ExitUnverifiable = 24
)

var verdicts = [...]struct {
	name string
	exit int
}{
	OK:           {"ok", ExitOK},
	Unverifiable: {"unverifiable", ExitUnverifiable},
	Incomplete:   {"incomplete", ExitIncomplete},
	Truncated:    {"truncated", ExitTruncated},
	Altered:      {"altered", ExitAltered},
	Forked:       {"forked", ExitForked},
}

// String returns the verdict in lower case.
func (v Verdict) String() string { return verdicts[v].name }

// ExitCode returns the exit code that goes with the verdict.
func (v Verdict) ExitCode() int { return verdicts[v].exit }

// NoIndex is the index of a problem for which no first leaf can be named.
const NoIndex = -1

// Problem is one thing found wrong.
type Problem struct {
	Verdict Verdict
	Index   int64 // first leaf affected, or NoIndex
	What    string
}

// String returns the problem as a sentence.
func (p Problem) String() string {
	if p.Index == NoIndex {
		return fmt.Sprintf("%v: %s", p.Verdict, p.What)
	}
	return fmt.Sprintf("%v at leaf %d: %s", p.Verdict, p.Index, p.What)
}

// maxProblems is how many problems a report names.
const maxProblems = 100

// problems collects problems, of each verdict the first maxProblems.
type problems struct {
	list  []Problem
	count [len(verdicts)]int
}

func (p *problems) add(verdict Verdict, index int64, format string, args ...any) {
	if p.count[verdict]++; p.count[verdict] <= maxProblems {
		p.list = append(p.list, Problem{verdict, index, fmt.Sprintf(format, args...)})
	}
}

// Report is what [Verify] found.
type Report struct {
	Verdict  Verdict
	Index    int64     // first leaf affected by what gave the verdict, or NoIndex
	Problems []Problem // gravest first; at most 100

	Checkpoint Checkpoint // of the export, if the pinned key signed it
	Leaves     uint64     // read
	Root       tlog.Hash  // over all leaves read
	Held       uint64     // size of the largest held checkpoint that the leaves agree with
	Payloads   uint64     // log entries whose bytes are there and were hashed
	Absent     uint64     // log entries whose bytes are not in the export
	Stops      []Stop     // times in which nothing was recorded and nothing had to be, at most 100
}

// Stop is a time between two clock epochs longer than ticks may be apart: the
// program did not run, or the clock was set. It is for people to judge.
type Stop struct {
	Index    uint64 // first leaf after it
	From, To time.Time
}
