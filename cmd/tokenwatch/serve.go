package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	"github.com/tokenwatch/tokenwatch/ingest/source"
	"github.com/tokenwatch/tokenwatch/query/promql"
	"github.com/tokenwatch/tokenwatch/storage"
)

// serveCmd runs the server. Flags win over the configuration file.
type serveCmd struct {
	serverFlags
}

// serverFlags are what a server can be told on the command line.
type serverFlags struct {
	storeFlags
	tableFlags
	policyFlags
	HTTP     string `name:"http" help:"Address of HTTP; default 127.0.0.1:9178, port 0 picks one." placeholder:"ADDR"`
	GRPC     string `name:"grpc" help:"Address of gRPC; default 127.0.0.1:9179, port 0 picks one." placeholder:"ADDR"`
	TLSCert  string `name:"tls-cert" help:"File of the certificate chain, PEM." placeholder:"FILE"`
	TLSKey   string `name:"tls-key" help:"File of the certificate's key, PEM." placeholder:"FILE"`
	Insecure bool   `help:"Allow addresses beyond this machine without TLS."`
}

// storeFlags say where a store and its keys are.
type storeFlags struct {
	Data string `help:"Directory of the store; default ./data." placeholder:"DIR"`
	Keys string `help:"Directory of the keys; default $$XDG_CONFIG_HOME/tokenwatch/<store id>." placeholder:"DIR"`
	File string `name:"config" help:"Configuration file; tokenwatch config prints one." placeholder:"FILE"`

	AcceptLoss bool `help:"Open a store although data are missing, and say so in its history."`
}

// config is what the file says, and over it the flags.
func (f *storeFlags) config() (config, error) {
	cfg, err := readConfig(f.File)
	override(&cfg.Data, f.Data)
	override(&cfg.Keys, f.Keys)
	cfg.AcceptLoss = f.AcceptLoss
	return cfg, err
}

// config is what the file says, and over it the flags.
func (f *serverFlags) config() (config, error) {
	cfg, err := f.storeFlags.config()
	if err != nil {
		return cfg, err
	}
	override(&cfg.HTTP, f.HTTP)
	override(&cfg.GRPC, f.GRPC)
	override(&cfg.TLSCert, f.TLSCert)
	override(&cfg.TLSKey, f.TLSKey)
	cfg.Insecure = cfg.Insecure || f.Insecure
	f.tableFlags.override(&cfg.Tables)
	f.policyFlags.override(&cfg.Policy)
	return cfg, cfg.check()
}

func override(v *string, with string) {
	if with != "" {
		*v = with
	}
}

// Help has an example.
func (serveCmd) Help() string {
	return "Example:\n\n    tokenwatch serve --data ./data --http 127.0.0.1:9178"
}

// Run serves until ctx ends, then drains and commits what was accepted.
func (cmd *serveCmd) Run(ctx context.Context, c *console) error {
	cfg, err := cmd.config()
	if err != nil {
		return err
	}
	return serve(ctx, c, cfg, nil)
}

// serve is the server: sources, batcher, engine, history, store. beside, if
// there is one, runs within it, on the same works.
func serve(ctx context.Context, c *console, cfg config, beside func(context.Context, *works, addresses) error) (err error) {
	if c.getenv("GOMEMLIMIT") == "" && cfg.MemoryLimit > 0 {
		debug.SetMemoryLimit(int64(cfg.MemoryLimit))
	}
	log := c.logger()
	site, err := openSite(ctx, c, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.store.Close()) }()

	registry := prometheus.NewRegistry()
	m, err := newMetrics(ctx, registry, site.store)
	if err != nil {
		return err
	}
	o := options{metrics: m, read: m.engineRead, engineTook: m.engineTook, committed: func(cursor tokenwatch.Offset, findings []tokenwatch.Finding) {
		m.stepped(cursor, findings)
		if beside == nil { // which shows them
			logFindings(log, findings)
		}
	}}
	if beside != nil {
		o.stepEntries = 1 // it waits for what it put in
	}
	w, err := newWorks(ctx, site, cfg, log, o)
	if err != nil {
		return err
	}
	if err := registry.Register(sourceMetrics{w.engine}); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	certificate, err := cfg.certificate()
	if err != nil {
		return err
	}
	wall := newWall(site.secrets.seal)
	suppressor := v1.NewSuppressor(site.store, wall.names, c.now)
	post, err := newPost(ctx, c, w, suppressor, registry)
	if err != nil {
		return err
	}
	server, err := newServer(c, w, m, registry, certificate, asked{wall, suppressor, post})
	if err != nil {
		return err
	}
	inputs, err := w.inputs(m, certificate)
	if err != nil {
		return err
	}
	bound := make(chan addresses, 1)
	stages := []stage{{"api", func(ctx context.Context) error {
		return server.Run(ctx, func(http, grpc net.Addr) {
			a := addresses{Ready: true, HTTP: http.String(), GRPC: grpc.String(), tls: cfg.TLSCert != ""}
			a.AdminKey = site.secrets.adminPath()
			c.ready(a)
			bound <- a
		})
	}}}
	if beside != nil {
		stages = append(stages, stage{"demo", func(ctx context.Context) error {
			select {
			case a := <-bound:
				if err := beside(ctx, w, a); err != nil {
					return quiet(ctx, err)
				}
				<-ctx.Done() // stays up
			case <-ctx.Done():
			}
			return nil
		}})
	}
	stages = append(append(stages, inputs...), w.stages()...)
	if cfg.Backup.Dir != "" {
		stages = append(stages, stage{"backup", func(ctx context.Context) error {
			return backups(ctx, site.store, cfg.Backup, c.now, log)
		}})
	}
	return flow(ctx, append(stages, stage{"notify", post.Run}, stage{"store", site.store.Run})...)
}

// certificate is what the configuration names for TLS; nil: none.
func (c *config) certificate() (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, usage("read the certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// asked is what the API asks besides the store.
type asked struct {
	wall       *wall
	suppressor *v1.Suppressor
	post       v1.Post
}

// newServer puts the API before the works.
func newServer(c *console, w *works, m *metrics, registry *prometheus.Registry, certificate *tls.Config, asks asked) (*api.Server, error) {
	cfg := w.cfg
	senders := source.HTTPConfig{Limits: cfg.limits(), Refused: m.Refused, Logger: w.log}
	conf := api.Config{
		HTTPAddr: cfg.HTTP, GRPCAddr: cfg.GRPC, Insecure: cfg.Insecure, Limits: cfg.apiLimits(),
		Store: w.site.store,
		Ingest: api.Ingest{
			Handler: source.NewHTTP(w.pipeline, senders),
			Routes:  source.Routes(),
		},
		Services: func(r grpc.ServiceRegistrar) { source.RegisterOTLP(r, w.pipeline) },
		Pipeline: overGRPC{w.pipeline},
		Ready: func(context.Context) error {
			stats, err := w.site.store.Stats()
			if err == nil && stats.ReadOnly {
				err = storage.ErrReadOnly
			}
			return err
		},
		Segments: w.site.store, Tokens: w.engine, Baselines: w.engine, Sources: w.engine, Detectors: w.engine, Names: asks.wall.names, Holds: asks.wall.holds, Suppressor: asks.suppressor, Post: asks.post,
		CursorKey: w.site.secrets.cursor, Metrics: registry, Logger: w.log,
		Random: c.random, Now: c.now, TLS: certificate,
	}
	conf.Queries = &v1.Queries{Engine: newQueries(cfg.Query, w.site.store, conf.Tokens, asks.wall.names, c.now)}
	conf.Version, conf.Commit = build()
	hooks, err := cfg.Ingest.webhooks()
	if err != nil {
		return nil, err
	}
	if len(hooks) > 0 {
		conf.Ingest.Signed, conf.Ingest.SignedRoute = source.NewWebhooks(w.pipeline, senders, hooks...), source.WebhookRoute
	}
	conf.Prometheus = &v1.Prometheus{
		Engine: promql.New(promql.Config{Events: w.site.store, Time: cfg.Query.Time, Memory: int64(cfg.Query.Memory), Running: cfg.Query.Running, Now: c.now}),
		Now:    c.now, Version: conf.Version, Commit: conf.Commit,
	}
	server, err := api.New(conf)
	if errors.Is(err, api.ErrCleartext) {
		return nil, usage("%w (--tls-cert and --tls-key, or --insecure)", err)
	}
	return server, err
}

// addresses is what a server that is ready says.
type addresses struct {
	Ready    bool   `json:"ready"`
	HTTP     string `json:"http"`
	GRPC     string `json:"grpc"`
	AdminKey string `json:"admin_key_file"`
	tls      bool
}

// url is where HTTP is answered.
func (a addresses) url() string {
	if a.tls {
		return "https://" + a.HTTP
	}
	return "http://" + a.HTTP
}

// ready prints the one line that scripts wait for.
func (c *console) ready(a addresses) {
	if c.json {
		c.print(a)
		return
	}
	fmt.Fprintf(c.stdout, "tokenwatch ready http=%s grpc=%s admin_key_file=%s\n", a.HTTP, a.GRPC, shown(a.AdminKey))
}

// logFindings tells the operator's log of new findings, without their content.
func logFindings(log *slog.Logger, findings []tokenwatch.Finding) {
	for i := range findings {
		f := &findings[i]
		log.Info("finding", "id", f.ID, "revision", f.Revision, "kind", f.Kind, "severity", string(f.Severity),
			"score", f.Score, "settled", f.Settled, "withdrawn", f.Withdrawn)
	}
}
