package ingest

import (
	"log/slog"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch/ingest/enrich"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
)

// Config is what a Pipeline needs. All but Keys have a default that works.
type Config struct {
	Keys    seal.Keys       // for fingerprints and digests
	Seal    seal.Config     // what is kept of unknown fields
	Format  format.Config   // for all parsers
	Enrich  *enrich.Live    // tables that rows are enriched from; nil for none
	Formats []format.Format // known by name; default Format.Custom and format.All

	MaxRecord  int           // bytes of a record; default 256 KiB
	MaxRecords int           // of a request; default 500,000
	MaxRejects int           // of a request; default 250,000
	InFlight   int64         // bytes that all requests under way may make us hold, three quarters of it one tenant's; more than the largest request takes; default 256 MiB
	RetryAfter time.Duration // advised when that is reached; default 1 s
	MaxInputs  int           // (tenant, source) pairs whose format is remembered; default 10,000

	Metrics Metrics      // may be nil
	Logger  *slog.Logger // nil: nothing is logged
	Now     func() time.Time
}

func (c Config) withDefaults() Config {
	set := func(v *int, to int) {
		if *v <= 0 {
			*v = to
		}
	}
	set(&c.MaxRecord, 256<<10)
	set(&c.MaxRecords, 500_000)
	set(&c.MaxRejects, 250_000)
	set(&c.MaxInputs, 10_000)
	if c.InFlight <= 0 {
		c.InFlight = 256 << 20
	}
	if c.RetryAfter <= 0 {
		c.RetryAfter = time.Second
	}
	if c.Formats == nil {
		c.Formats = slices.Concat(c.Format.Custom, format.All)
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Format.Now == nil {
		c.Format.Now = c.Now
	}
	return c
}
