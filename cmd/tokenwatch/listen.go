package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"path/filepath"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// syslogConfig is one listener for syslog.
type syslogConfig struct {
	Network string `yaml:"network"`
	Addr    string `yaml:"addr"`
	Source  string `yaml:"source"`
	Tenant  string `yaml:"tenant"`
	Format  string `yaml:"format"`
}

// tailConfig is a set of files that are followed.
type tailConfig struct {
	Paths  []string `yaml:"paths"`
	Source string   `yaml:"source"`
	Tenant string   `yaml:"tenant"`
	Format string   `yaml:"format"`
}

// checkInputs looks at what the server is to take in by itself.
func (c *config) checkInputs() error {
	for _, s := range c.Ingest.Syslog {
		switch s.Network {
		case "udp", "tcp":
			// As with HTTP: credentials in logs are not for everyone on the way.
			if a, err := netip.ParseAddrPort(s.Addr); (err != nil || !a.Addr().IsLoopback()) && !c.Insecure {
				return usage("ingest.syslog: an address beyond this machine (or a name) needs network tls, or insecure: true")
			}
		case "tls":
			if c.TLSCert == "" {
				return usage("ingest.syslog: network tls needs tls_cert and tls_key")
			}
		default:
			return usage("ingest.syslog: network is not udp, tcp or tls")
		}
	}
	for _, f := range c.Ingest.Files {
		if len(f.Paths) == 0 {
			return usage("ingest.files: an entry has no paths")
		}
		for _, p := range f.Paths {
			if _, err := filepath.Match(p, ""); err != nil {
				return usage("ingest.files: a path is no pattern: %w", err)
			}
		}
	}
	return nil
}

// inputs are the stages in which the server takes logs in by itself, besides what
// is sent to its API. Addresses are taken before it says that it is ready.
func (w *works) inputs(m *metrics, certificate *tls.Config) ([]stage, error) {
	var stages []stage
	for _, s := range w.cfg.Ingest.Syslog {
		in := &source.Syslog{
			Network: s.Network, Addr: s.Addr, TLS: certificate, To: w.pipeline,
			Tenant: cmp.Or(s.Tenant, tokenwatch.DefaultTenant), Source: cmp.Or(s.Source, "syslog"), Format: s.Format,
			MaxMessage: int(w.cfg.Ingest.MaxRecord), Dropped: m.dropped, Logger: w.log,
		}
		at, err := in.Listen()
		if err != nil {
			return nil, usage("ingest.syslog: %w", err)
		}
		w.log.Info("listening", slog.String("for", "syslog"), slog.String("network", s.Network), slog.String("address", at.String()))
		stages = append(stages, stage{"syslog", in.Run})
	}
	for _, f := range w.cfg.Ingest.Files {
		in := &source.Tail{
			Patterns: f.Paths, To: w.pipeline, Marks: w.site.store,
			Tenant: cmp.Or(f.Tenant, tokenwatch.DefaultTenant), Source: cmp.Or(f.Source, "files"), Format: f.Format, Logger: w.log,
		}
		stages = append(stages, stage{"files", func(ctx context.Context) error { return quiet(ctx, in.Run(ctx)) }})
	}
	return stages, nil
}
