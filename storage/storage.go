// Package storage names the roles a store plays and what ties them: the log of
// events (Events), the engine's state and findings (State), and the history
// that proves both (History).
//
// Two kinds of writes exist, each atomic and synced before it is acknowledged:
// an append puts entries in the log, and a Step moves the engine's cursor over
// them together with all that it concluded. The history leaf of whatever is
// written is written with it.
package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Errors a caller acts on.
var (
	// ErrReadOnly: the store accepts no writes at present (disk full, loss not
	// acknowledged). Retry later.
	ErrReadOnly = errors.New("store is read-only")
	// ErrNotFound: no such object for this tenant.
	ErrNotFound = errors.New("not found")
)

// Corruption is stored data that is not what was written. It names the place;
// nothing is answered from it.
type Corruption struct {
	What        string            // kind of data: segment, history, watermark …
	First, Last tokenwatch.Offset // the range of the log concerned; 0, 0 if none can be named
	Err         error
}

func (c *Corruption) Error() string {
	if c.First == 0 && c.Last == 0 {
		return fmt.Sprintf("corrupt %s: %v", c.What, c.Err)
	}
	return fmt.Sprintf("corrupt %s, log offsets %d to %d: %v", c.What, c.First, c.Last, c.Err)
}

func (c *Corruption) Unwrap() error { return c.Err }

// Loss is data that was acknowledged and is not there: the watermark file knows
// a later offset than the recovered log has.
type Loss struct {
	First, Last tokenwatch.Offset // the missing range
}

func (l *Loss) Error() string {
	return fmt.Sprintf("acknowledged entries %d to %d are missing", l.First, l.Last)
}

// Events is the log, and the one role of storage meant to be replaced. All
// methods may be called from many goroutines.
type Events interface {
	// Append stores entries, each whole, in one synced write, and returns a
	// receipt for each request of each entry, in order. It gives entries their
	// offset and time, and rows their ingest time and their late, future and
	// duplicate flags. A request stored before is left out; its receipt is the
	// first one's with Duplicate set. So is a request whose key was used for
	// other content; its receipt has Conflict set, and the history notes it.
	Append(ctx context.Context, entries ...tokenwatch.Entry) ([]tokenwatch.Receipt, error)

	// Follow yields the log from offset from on, and at its end waits for more
	// until ctx ends. Entries never change and may be kept; batches are large.
	Follow(ctx context.Context, from tokenwatch.Offset) iter.Seq2[tokenwatch.Entry, error]

	// Scan yields the entries in r, and ends.
	Scan(ctx context.Context, r Range) iter.Seq2[tokenwatch.Entry, error]

	// Last is the offset of the newest entry, 0 if there is none.
	Last() tokenwatch.Offset
}

// Rows reads single rows of the log, as evidence needs them: those of one token,
// or of one time, are read together.
type Rows interface {
	// Row returns the row that a reference points at, as a batch that holds it and
	// its place there. The batch has no namings that could be relied on.
	Row(ctx context.Context, ref tokenwatch.EventRef) (b *tokenwatch.Batch, row int, err error)
}

// Range picks part of the log. Zero fields do not restrict.
type Range struct {
	Tenant      string
	First, Last tokenwatch.Offset
	From, To    time.Time // segments without an event time in [From, To) are left out
}

// State keeps what the engine knows between Steps, and its findings.
type State interface {
	// Cursor is the offset of the last entry a Step covered.
	Cursor(ctx context.Context) (tokenwatch.Offset, error)
	// Records yields the engine's records whose key begins with prefix, in order
	// of key.
	Records(ctx context.Context, prefix []byte) iter.Seq2[Record, error]
	// Commit stores a Step whole, synced, and returns its findings with Revision,
	// Update, HistoryIndex and Raised filled in.
	Commit(ctx context.Context, step Step) ([]tokenwatch.Finding, error)
}

// Values gives single records of the engine back. Where a State has them, the engine
// leaves to it what it seldom asks for.
type Values interface {
	// Values returns the values of keys, as of the last Step, nil where there is no
	// such record. It is quickest where keys are in order. Any number of goroutines
	// may call it.
	Values(ctx context.Context, keys [][]byte) ([][]byte, error)
}

// Record is one of the engine's records, or one of the outbox. Whoever it belongs
// to gives key and value their meaning; a nil Value deletes.
type Record struct {
	Key, Value []byte
}

// Step is what the engine commits at once: how far it has read, what it learned
// and what it found on the way.
type Step struct {
	Cursor   tokenwatch.Offset
	Records  []Record
	Findings []tokenwatch.Finding // new revisions, in the order in which they are to be seen
}

// Findings is what readers ask of the findings.
type Findings interface {
	// Finding returns the last revision of one finding, or ErrNotFound.
	Finding(ctx context.Context, tenant, id string) (tokenwatch.Finding, error)
	// Findings yields the last revision of every finding of a tenant, newest
	// update first.
	Findings(ctx context.Context, tenant string) iter.Seq2[tokenwatch.Finding, error]
	// Updates yields the findings of a tenant whose last revision came after
	// update after, in the order of their updates, and ends.
	Updates(ctx context.Context, tenant string, after uint64) iter.Seq2[tokenwatch.Finding, error]
	// Changed returns a channel that is closed at the next update of any tenant.
	Changed() <-chan struct{}
}

// Triage keeps what people decide about findings. A change is in the history and
// in the log, as a control record, by the same synced write that lets it take
// effect.
type Triage interface {
	// Judge changes how a finding is handled and returns it, with a new Update so
	// that whoever follows the updates sees it; or ErrNotFound. Later revisions
	// keep what was judged.
	Judge(ctx context.Context, tenant string, v tokenwatch.Verdict, by Action) (tokenwatch.Finding, error)
	// Suppress keeps a suppression, new or changed.
	Suppress(ctx context.Context, s tokenwatch.Suppression, by Action) error
	// Link keeps a link between two tokens, or that there is none.
	Link(ctx context.Context, tenant string, l tokenwatch.Link, by Action) error
	// Suppressions yields the suppressions of a tenant in order of id, those that
	// have ended too.
	Suppressions(ctx context.Context, tenant string) iter.Seq2[tokenwatch.Suppression, error]
}

// Outbox keeps what is still to be told to others, and what was, as records
// whose key and value are the notifier's business.
type Outbox interface {
	// Letters yields the records whose key begins with prefix, in order of key.
	Letters(ctx context.Context, prefix []byte) iter.Seq2[Record, error]
	// PutLetters stores records, all in one synced write; a nil Value deletes.
	PutLetters(ctx context.Context, records ...Record) error
}

// Tokens is what readers ask of the inventory, as of the engine's cursor. Both
// methods may be called from many goroutines while the engine works.
type Tokens interface {
	// Token returns one token by its id, by one of its names or by its lineage,
	// or ErrNotFound. Of a display prefix or lineage that several tokens share it
	// is the one made last.
	Token(ctx context.Context, tenant, name string) (tokenwatch.TokenRecord, error)
	// Tokens yields the tokens of a tenant behind an id, in order of id. Ids that
	// turned out to be another token's are left out.
	Tokens(ctx context.Context, tenant string, after tokenwatch.TokenID) iter.Seq2[tokenwatch.TokenRecord, error]
}

// Sources is what readers ask of the sources of logs, as of the engine's cursor.
// It may be called from many goroutines while the engine works.
type Sources interface {
	// Sources returns the health of a tenant's sources, in order of name.
	Sources(ctx context.Context, tenant string) ([]tokenwatch.SourceRecord, error)
}

// Detectors is what readers ask of how verdicts move the detectors, as of the engine's
// cursor. It may be called from many goroutines while the engine works.
type Detectors interface {
	// Detectors returns all detectors, in order of name, as they are for a tenant.
	Detectors(ctx context.Context, tenant string) ([]tokenwatch.DetectorRecord, error)
}

// Baselines is what readers ask of what the engine takes to be usual, as of its
// cursor. It may be called from many goroutines while the engine works.
type Baselines interface {
	// Expected returns how much an entity is expected to do in n steps of some hours
	// each, the first of which begins at from, a whole hour; or ErrNotFound.
	Expected(ctx context.Context, tenant string, of tokenwatch.Entity, from time.Time, step, n int) (tokenwatch.Series, error)
}

// History is the append-only Merkle log of segments, findings and actions.
type History interface {
	// Record appends the leaf of an action, synced, before the action takes
	// effect, and returns its index.
	Record(ctx context.Context, action Action) (uint64, error)
	// Leaves yields the leaves of a tenant, and those about all tenants, from
	// index first on, with their index.
	Leaves(ctx context.Context, tenant string, first uint64) iter.Seq2[Leaf, error]
	// Checkpoint returns the newest signed checkpoint (C2SP tlog-checkpoint).
	Checkpoint(ctx context.Context) ([]byte, error)
}

// Action is something a person or an integration did that the history keeps.
type Action struct {
	Tenant string
	Actor  string // id of the API key or role that did it
	Verb   string // keys.create, keys.revoke, ingest.conflict, loss.acknowledge …
	Object string // what it was done to, by id
	Detail string
}

// Leaf is one entry of the history: its index and its canonical encoding
// (deterministic CBOR, see storage/history).
type Leaf struct {
	Index uint64
	Bytes []byte
}

// APIKey is a key of tokenwatch's own API as the store keeps it: never the key
// itself, only its hash.
type APIKey struct {
	ID      string    `json:"id"` // shown in lists and in the history
	Hash    [32]byte  `json:"hash"`
	Tenant  string    `json:"tenant"`
	Role    string    `json:"role"`
	Created time.Time `json:"created"`
	Revoked time.Time `json:"revoked,omitzero"`
}

// Keys keeps the API keys. Every change is in the history before it holds.
type Keys interface {
	PutKey(ctx context.Context, key APIKey, by Action) error
	Keys(ctx context.Context) iter.Seq2[APIKey, error]
}

// Marks tells how far sources have got.
type Marks interface {
	// Mark returns the offset of the newest Mark stored for an input of a
	// source: everything before it is in the log. 0 if there is none.
	Mark(ctx context.Context, tenant, source, input string) (int64, error)
}

// Rejects is what readers ask of the records that could not be stored.
type Rejects interface {
	// Rejects yields the rejects of a tenant's requests in the order of the log,
	// and ends.
	Rejects(ctx context.Context, tenant string) iter.Seq2[Rejected, error]
}

// Rejected is a reject with the entry it came with.
type Rejected struct {
	Entry  tokenwatch.Offset `json:"entry"`
	Time   time.Time         `json:"time"`   // wall clock of the append
	Source string            `json:"source"` // of the request
	tokenwatch.Reject
}

// Store is all roles in one, as the embedded store plays them.
type Store interface {
	Events
	Rows
	Segments
	State
	Findings
	Triage
	Outbox
	History
	Keys
	Marks
	Rejects
	Close() error
}
