package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/format"
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

// kafkaConfig is what is consumed of one Kafka cluster.
type kafkaConfig struct {
	Brokers      []string `yaml:"brokers"`
	Topics       []string `yaml:"topics"`
	Group        string   `yaml:"group"`
	TLS          bool     `yaml:"tls"`
	User         string   `yaml:"user"`
	PasswordFile string   `yaml:"password_file"`
	SCRAM        bool     `yaml:"scram"`
	Source       string   `yaml:"source"`
	Tenant       string   `yaml:"tenant"`
	Format       string   `yaml:"format"`
}

// natsConfig is one stream of JetStream.
type natsConfig struct {
	URL             string `yaml:"url"`
	Stream          string `yaml:"stream"`
	Subject         string `yaml:"subject"`
	Durable         string `yaml:"durable"`
	CredentialsFile string `yaml:"credentials_file"`
	Source          string `yaml:"source"`
	Tenant          string `yaml:"tenant"`
	Format          string `yaml:"format"`
}

// bucketConfig is one bucket that is looked at.
type bucketConfig struct {
	Bucket     string        `yaml:"bucket"`
	Prefix     string        `yaml:"prefix"`
	Region     string        `yaml:"region"`
	Endpoint   string        `yaml:"endpoint"`
	AccessID   string        `yaml:"access_id"`
	SecretFile string        `yaml:"secret_file"`
	Every      time.Duration `yaml:"every"`
	Since      time.Duration `yaml:"since"`
	Source     string        `yaml:"source"`
	Tenant     string        `yaml:"tenant"`
	Format     string        `yaml:"format"`
}

// webhookConfig is one hook that GitHub calls.
type webhookConfig struct {
	Name       string `yaml:"name"`
	SecretFile string `yaml:"secret_file"`
	Source     string `yaml:"source"`
	Tenant     string `yaml:"tenant"`
}

// webhooks reads the secrets of the hooks.
func (c *ingestConfig) webhooks() ([]source.Webhook, error) {
	var hooks []source.Webhook
	for _, h := range c.Webhooks {
		text, err := secretFrom(h.SecretFile)
		if err != nil {
			return nil, usage("ingest.webhooks: %w", err)
		}
		hook := source.Webhook{Name: h.Name, Tenant: cmp.Or(h.Tenant, tokenwatch.DefaultTenant), Source: cmp.Or(h.Source, "github-"+h.Name)}
		for _, secret := range strings.Fields(text) {
			if len(secret) < minWebhookSecret {
				return nil, usage("ingest.webhooks: a secret of %s has less than %d characters", h.Name, minWebhookSecret)
			}
			hook.Secrets = append(hook.Secrets, []byte(secret))
		}
		if len(hook.Secrets) == 0 {
			return nil, usage("ingest.webhooks: the secret file of %s is empty", h.Name)
		}
		hooks = append(hooks, hook)
	}
	return hooks, nil
}

const minWebhookSecret = 16 // characters: whoever guesses it may write the log

// checkInputs looks at what the server is to take in by itself.
func (c *config) checkInputs() error {
	for _, s := range c.Ingest.Syslog {
		if err := c.checkInput("ingest.syslog", s.Tenant, s.Format); err != nil {
			return err
		}
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
		if err := c.checkInput("ingest.files", f.Tenant, f.Format); err != nil {
			return err
		}
		if len(f.Paths) == 0 {
			return usage("ingest.files: an entry has no paths")
		}
		for _, p := range f.Paths {
			if _, err := filepath.Match(p, ""); err != nil {
				return usage("ingest.files: a path is no pattern: %w", err)
			}
		}
	}
	for _, k := range c.Ingest.Kafka {
		if err := c.checkInput("ingest.kafka", k.Tenant, k.Format); err != nil {
			return err
		}
		if len(k.Brokers) == 0 || len(k.Topics) == 0 {
			return usage("ingest.kafka: an entry has no brokers or no topics")
		}
	}
	for _, n := range c.Ingest.NATS {
		if err := c.checkInput("ingest.nats", n.Tenant, n.Format); err != nil {
			return err
		}
		if n.URL == "" || n.Stream == "" {
			return usage("ingest.nats: an entry has no url or no stream")
		}
	}
	for i, h := range c.Ingest.Webhooks {
		if !validTenant(h.Name) || h.SecretFile == "" {
			return usage("ingest.webhooks: an entry has no secret_file, or its name is not 1 to 64 of a-z, 0-9, - and _")
		}
		if slices.ContainsFunc(c.Ingest.Webhooks[:i], func(o webhookConfig) bool { return o.Name == h.Name }) {
			return usage("ingest.webhooks: a name is there twice")
		}
	}
	for _, b := range c.Ingest.Buckets {
		if err := c.checkInput("ingest.buckets", b.Tenant, b.Format); err != nil {
			return err
		}
		if b.Bucket == "" || (b.AccessID == "") != (b.SecretFile == "") {
			return usage("ingest.buckets: an entry has no bucket, or only one of access_id and secret_file")
		}
	}
	return nil
}

// checkInput looks at what all inputs are told.
func (c *config) checkInput(what, tenant, name string) error {
	if tenant != "" && !validTenant(tenant) {
		return usage("%s: a tenant is 1 to 64 of a-z, 0-9, - and _", what)
	}
	named := func(f format.Format) bool { return f.Name == name }
	if name == "" || name == source.FormatAuto || slices.ContainsFunc(format.All, named) || slices.ContainsFunc(c.Ingest.custom, named) {
		return nil
	}
	return usage("%s: there is no format %q; tokenwatch formats lists them", what, name)
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
	remote, err := w.remoteInputs(m)
	return append(stages, remote...), err
}

// remoteInputs are the stages that fetch logs from elsewhere.
func (w *works) remoteInputs(m *metrics) ([]stage, error) {
	var stages []stage
	for _, k := range w.cfg.Ingest.Kafka {
		pass, err := secretFrom(k.PasswordFile)
		if err != nil {
			return nil, usage("ingest.kafka: %w", err)
		}
		in := &source.Kafka{
			Brokers: k.Brokers, Topics: k.Topics, Group: k.Group, User: k.User, Pass: pass, SCRAM: k.SCRAM,
			To: w.pipeline, Marks: w.site.store,
			Tenant: cmp.Or(k.Tenant, tokenwatch.DefaultTenant), Source: cmp.Or(k.Source, "kafka"), Format: k.Format, Logger: w.log,
		}
		if k.TLS {
			in.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		stages = append(stages, stage{"kafka", func(ctx context.Context) error { return quiet(ctx, in.Run(ctx)) }})
	}
	for _, n := range w.cfg.Ingest.NATS {
		in := &source.NATS{
			URL: n.URL, Stream: n.Stream, Subject: n.Subject, Durable: n.Durable, CredFile: n.CredentialsFile,
			To: w.pipeline, Marks: w.site.store,
			Tenant: cmp.Or(n.Tenant, tokenwatch.DefaultTenant), Source: cmp.Or(n.Source, "nats"), Format: n.Format, Logger: w.log,
		}
		stages = append(stages, stage{"nats", func(ctx context.Context) error { return quiet(ctx, in.Run(ctx)) }})
	}
	for _, b := range w.cfg.Ingest.Buckets {
		secret, err := secretFrom(b.SecretFile)
		if err != nil {
			return nil, usage("ingest.buckets: %w", err)
		}
		endpoint, insecure := strings.CutPrefix(b.Endpoint, "http://")
		in := &source.Bucket{
			Endpoint: strings.TrimPrefix(endpoint, "https://"), Insecure: insecure, Region: b.Region, Bucket: b.Bucket, Prefix: b.Prefix,
			AccessID: b.AccessID, Secret: secret, Every: b.Every, Since: b.Since, MaxBytes: int64(w.cfg.Ingest.Expanded),
			To: w.pipeline, Marks: w.site.store,
			Tenant: cmp.Or(b.Tenant, tokenwatch.DefaultTenant), Source: cmp.Or(b.Source, "s3"), Format: b.Format,
			Left: func(tenant string, n int) { m.dropped(tenant, "object", n) }, Logger: w.log,
		}
		stages = append(stages, stage{"bucket", func(ctx context.Context) error { return quiet(ctx, in.Run(ctx)) }})
	}
	return stages, nil
}

// secretFrom reads a secret of another system from a file; "" is none.
func secretFrom(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
