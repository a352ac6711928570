// Package v1 answers the methods of tokenwatch.v1: it translates between the
// protos and the roles of storage, and decides nothing.
//
// In come requests whose principal package api has put in the context; out go
// messages, or errors that [Status] gives their code and reason. A handler
// serves only what belongs to the tenant of its principal, answers alike for
// what is absent and what is another tenant's, and refuses where there is no
// principal.
package v1

import (
	"context"
	"crypto/rand"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Log is what the handlers read of the log.
type Log interface {
	Scan(ctx context.Context, r storage.Range) iter.Seq2[tokenwatch.Entry, error]
	Follow(ctx context.Context, from tokenwatch.Offset) iter.Seq2[tokenwatch.Entry, error]
	Last() tokenwatch.Offset
}

// Config is what the handlers work on.
type Config struct {
	Log       Log
	Findings  storage.Findings
	Triage    storage.Triage
	History   storage.History
	Keys      Keyring
	Tokens    storage.Tokens    // nil: there is no inventory
	Baselines storage.Baselines // nil: nothing is expected of anybody
	Sources   storage.Sources   // nil: nothing is known of any
	Detectors storage.Detectors // nil: there are none
	Segments  storage.Segments  // for timelines; nil: they have no events
	Post      Post              // nil: nobody is told of anything
	Ingest    Pipeline

	// Suppressor knows the suppressions; default: one over Triage.
	Suppressor *Suppressor
	// Names turns what somebody calls a token into its ids; nil: nothing is turned.
	Names Names
	// Holds tells whether a text that people wrote holds a credential; nil: none does.
	Holds func(tenant, text string) bool
	// Random makes ids; default crypto/rand.
	Random io.Reader
	Now    func() time.Time // default time.Now

	Queries *Queries // nil: nothing can be queried

	CursorKey []byte // authenticates cursors and page tokens; the same over restarts
	Version   string // of the program
	Commit    string // of its source; may be empty

	// Draining is closed when the server begins to stop: whoever waits for
	// findings is answered then.
	Draining <-chan struct{}
	// Heartbeat is how often an idle Watch says that it is alive; default 15 s.
	Heartbeat time.Duration
	// Waiting is how many Polls and Watches of one tenant may wait at a time;
	// default 64.
	Waiting int
}

func (c Config) withDefaults() Config {
	if c.Heartbeat <= 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.Waiting <= 0 {
		c.Waiting = 64
	}
	if c.Holds == nil {
		c.Holds = func(string, string) bool { return false }
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Suppressor == nil {
		c.Suppressor = NewSuppressor(c.Triage, c.Names, c.Now)
	}
	return c
}

// Register puts the handlers of all services on a gRPC server.
func Register(s grpc.ServiceRegistrar, c Config) {
	c = c.withDefaults()
	seal := sealer{c.CursorKey}
	pb.RegisterFindingsServer(s, newFindings(c, seal))
	pb.RegisterSuppressionsServer(s, &suppressions{
		Suppressor: c.Suppressor, findings: c.Findings, holds: c.Holds, random: c.Random, seal: seal,
	})
	pb.RegisterTokensServer(s, &tokens{
		store: c.Tokens, segments: c.Segments, series: newSeries(c), findings: c.Findings, triage: c.Triage, holds: c.Holds, suppressor: c.Suppressor, names: c.Names, now: c.Now, seal: seal,
	})
	pb.RegisterNotificationsServer(s, &notifications{post: c.Post, record: c.History, seal: seal})
	pb.RegisterHistoryServer(s, &history{store: c.History, seal: seal})
	pb.RegisterEventsServer(s, &events{log: c.Log, segments: c.Segments, tokens: c.Tokens, names: c.Names, seal: seal, feed: newFeed(c)})
	pb.RegisterRejectsServer(s, &rejects{log: c.Log, seal: seal})
	pb.RegisterSourcesServer(s, &sources{store: c.Sources, seal: seal})
	pb.RegisterDetectorsServer(s, &detectors{store: c.Detectors})
	pb.RegisterKeysServer(s, &keys{ring: c.Keys, seal: seal})
	pb.RegisterIngestServer(s, &ingest{to: c.Ingest, draining: c.Draining})
	if c.Queries == nil {
		c.Queries = &Queries{}
	}
	c.Queries.History = c.History
	pb.RegisterQueryServer(s, c.Queries)
	pb.RegisterSystemServer(s, &system{version: c.Version, commit: c.Commit})
}

// caller returns whose request it is.
func caller(ctx context.Context) (tokenwatch.Principal, error) {
	who, ok := tokenwatch.PrincipalFrom(ctx)
	if !ok || who.Tenant == "" {
		return who, Unauthenticated()
	}
	return who, nil
}

const (
	defaultPage = 100
	maxPage     = 1000
)

// pageSize reads page_size.
func pageSize(n int32) (int, error) {
	switch {
	case n < 0:
		return 0, Fail(tokenwatch.RefusedArgument, "page_size is negative", 0)
	case n == 0:
		return defaultPage, nil
	default:
		return min(int(n), maxPage), nil
	}
}
