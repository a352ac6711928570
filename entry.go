package tokenwatch

import "time"

// Offset is a place in the log, from 1 on and without gaps over the whole store.
type Offset uint64

// DefaultTenant is the tenant of a key that names no other.
const DefaultTenant = "default"

// Entry is one thing the log keeps: a batch of events with the requests it
// came from, or a control record. Exactly one of Batch and Control is set.
type Entry struct {
	Offset Offset    // given by Append
	Tenant string    // "" for a record about all tenants
	Time   time.Time // wall clock of the append, logged; ingest time of the rows

	Batch    *Batch
	Requests []Request // whole requests, in the order of their rows
	Control  *Control
}

// Request is one ingest request, stored whole or not at all.
type Request struct {
	Key       string   // Idempotency-Key; "" : repeats are not recognised
	Principal string   // id of the API key that sent it, the scope of Key
	Source    string   // scope of Key
	Digest    [32]byte // SHA-256 of the decoded body of a request with a Key; zero without
	Rows      int      // rows of the batch that are its
	Rejects   []Reject // records that could not be stored
	Mark      *Mark    // how far the source has got with it; nil if it cannot say
}

// Mark is how far a source that can be reread has got.
type Mark struct {
	Input  string // which input, for example a file's identity
	Offset int64  // everything before it is in the log
}

// ControlKind says what a control record is.
type ControlKind string

const (
	ControlTick ControlKind = "tick" // a minute has passed; Time counts as event time of a quiet tenant
	ControlEnd  ControlKind = "end"  // no more events will come: every window settles

	ControlTable       ControlKind = "table"       // a table was loaded, see Table
	ControlLink        ControlKind = "link"        // two tokens belong together, or do not, see Link
	ControlPolicy      ControlKind = "policy"      // these packs of policies are in use, see PolicyPacks
	ControlVerdict     ControlKind = "verdict"     // somebody judged a finding, see Verdict
	ControlSuppression ControlKind = "suppression" // of findings, see Suppression; the engine passes over it
)

// Control is a record that steers rather than tells of an event.
type Control struct {
	Kind ControlKind
	Body []byte // by kind; deterministic CBOR
}

// Receipt is what became of one request.
type Receipt struct {
	Offset    Offset // of the entry that holds it
	Rows      int    // stored
	Rejects   []Reject
	Duplicate bool // stored before, by an earlier request with the same key and content
	Conflict  bool // not stored: the key was used before for other content
}
