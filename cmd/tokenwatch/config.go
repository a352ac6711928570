package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tokenwatch/tokenwatch/api"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/policy"
	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/source"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// config is the configuration file: what the packages can be told, under one
// roof. The doc tags are its manual.
type config struct {
	Data        string        `yaml:"data" doc:"directory of the store"`
	Keys        string        `yaml:"keys" doc:"directory of the keys; empty is $XDG_CONFIG_HOME/tokenwatch/<store id>"`
	HTTP        string        `yaml:"http" doc:"address of HTTP; port 0 picks one"`
	GRPC        string        `yaml:"grpc" doc:"address of gRPC; port 0 picks one"`
	TLSCert     string        `yaml:"tls_cert" doc:"file of the certificate chain, PEM"`
	TLSKey      string        `yaml:"tls_key" doc:"file of the certificate's key, PEM"`
	Insecure    bool          `yaml:"insecure" doc:"allow addresses beyond this machine without TLS"`
	MemoryLimit size          `yaml:"memory_limit" doc:"memory the garbage collector aims to stay below; GOMEMLIMIT wins"`
	Lateness    time.Duration `yaml:"lateness" doc:"how far behind the newest event an event still counts"`
	Tick        time.Duration `yaml:"tick" doc:"how often the passing of time is logged, so that a quiet store settles"`
	Checkpoint  time.Duration `yaml:"checkpoint" doc:"how often the history is signed if it has changed"`

	// AcceptLoss is for one start, by the flag of that name.
	AcceptLoss bool `yaml:"-"`

	Tables tablesConfig `yaml:"tables" doc:"files that say more of what logs name; read again when they change"`
	Policy policyConfig `yaml:"policy" doc:"what must not be"`
	Store  storeConfig  `yaml:"store" doc:"the embedded store"`
	Backup backupConfig `yaml:"backup" doc:"backups of the store; the keys are not in them"`
	Engine engineConfig `yaml:"engine" doc:"detection"`
	Ingest ingestConfig `yaml:"ingest" doc:"taking logs in"`
	API    apiConfig    `yaml:"api" doc:"limits of callers"`
	Query  queryConfig  `yaml:"query" doc:"limits of one question in SQL"`
	Notify notifyConfig `yaml:"notify" doc:"telling others of findings"`
}

type tablesConfig struct {
	Networks  []string `yaml:"networks" doc:"addresses to AS, kind, country and place: CSV or MaxMind databases"`
	Routes    string   `yaml:"routes" doc:"method and route to scope and risk: JSON or CSV"`
	Inventory string   `yaml:"inventory" doc:"tokens as their issuer knows them: JSON or CSV"`
}

type policyConfig struct {
	Packs []string `yaml:"packs" doc:"packs that come with the program; tokenwatch policy list shows them"`
	Files []string `yaml:"files" doc:"files of further packs"`
	Rules []string `yaml:"rules" doc:"files and folders of Sigma rules; pack:attack and pack:web come with the program"`
}

type storeConfig struct {
	IDMemory int           `yaml:"id_memory" doc:"event ids remembered per tenant to recognise repeats"`
	Horizon  time.Duration `yaml:"horizon" doc:"how long a repeated request is recognised by its key"`
	MaxKeys  int           `yaml:"max_keys" doc:"how many such requests at most"`
	Cache    size          `yaml:"cache" doc:"block cache"`
	MemTable size          `yaml:"memtable" doc:"writes gathered in memory before they become a file"`
	Ballast  size          `yaml:"ballast" doc:"space kept free so that a full disk can be left in order; 0 for none"`

	KeepAge   time.Duration `yaml:"keep_age" doc:"how long events are kept, from when they came in; 0 is for ever"`
	KeepBytes size          `yaml:"keep_bytes" doc:"how much of each tenant's events is kept, as stored; 0 is all"`
	Keep      []keepConfig  `yaml:"keep" doc:"instead, for single tenants: tenant; age, bytes"`
}

type backupConfig struct {
	Dir   string        `yaml:"dir" doc:"directory in which each backup has one of its own; empty is none"`
	Every time.Duration `yaml:"every" doc:"how often a backup is made while the server runs"`
}

// keepConfig says how much is kept of one tenant's events.
type keepConfig struct {
	Tenant string        `yaml:"tenant"`
	Age    time.Duration `yaml:"age"`
	Bytes  size          `yaml:"bytes"`
}

// keeps turns the list into what the store takes.
func (c *storeConfig) keeps() map[string]local.Keep {
	keeps := make(map[string]local.Keep, len(c.Keep))
	for _, k := range c.Keep {
		keeps[k.Tenant] = local.Keep{Age: k.Age, Bytes: uint64(k.Bytes)}
	}
	return keeps
}

func (c *storeConfig) check() error {
	negative := c.KeepAge < 0
	for i, k := range c.Keep {
		if k.Tenant == "" || slices.ContainsFunc(c.Keep[:i], func(o keepConfig) bool { return o.Tenant == k.Tenant }) {
			return usage("store.keep needs each tenant once")
		}
		negative = negative || k.Age < 0
	}
	if negative {
		return usage("store: events cannot be kept for less than no time")
	}
	return nil
}

type engineConfig struct {
	Rate    float64 `yaml:"rate" doc:"false findings expected per entity and week; rarer is quieter"`
	Shards  int     `yaml:"shards" doc:"parts of the entities that work in parallel; 0 is one per processor"`
	NoPeers bool    `yaml:"no_peers" doc:"judge every entity by itself alone"`

	Entities int  `yaml:"entities" doc:"tokens, actors and addresses each of a tenant that are judged; events of others are counted"`
	Windows  int  `yaml:"windows" doc:"hours of these that are open at a time"`
	Resident size `yaml:"resident" doc:"memory for baselines of those who do nothing just now; others are left to the store"`
}

type ingestConfig struct {
	DropAttrs  bool `yaml:"drop_attrs" doc:"keep the columns of the schema only, and no other field"`
	MaxRecord  size `yaml:"max_record" doc:"longest record"`
	InFlight   size `yaml:"in_flight" doc:"all requests under way, decoded"`
	Queue      size `yaml:"queue" doc:"requests waiting to be committed, decoded"`
	Compressed size `yaml:"compressed" doc:"one compressed request, as sent"`
	Expanded   size `yaml:"expanded" doc:"one request, decoded"`

	Syslog   []syslogConfig  `yaml:"syslog" doc:"listeners: network (udp, tcp, tls), addr, source; also tenant, format"`
	Files    []tailConfig    `yaml:"files" doc:"files to follow: paths (patterns), source; also tenant, format"`
	Kafka    []kafkaConfig   `yaml:"kafka" doc:"topics to consume: brokers, topics, group, source; also tls, user, password_file, scram"`
	NATS     []natsConfig    `yaml:"nats" doc:"JetStream streams: url, stream, subject, source; also durable, credentials_file"`
	Webhooks []webhookConfig `yaml:"webhooks" doc:"hooks that GitHub calls, at /v1/webhooks/github/NAME: name, secret_file (a secret a line); also source, tenant"`
	Buckets  []bucketConfig  `yaml:"buckets" doc:"S3-compatible buckets: bucket, prefix, region, source; also endpoint, access_id, secret_file, every, since"`

	Formats map[string]customFormat `yaml:"formats" doc:"formats of one's own by name, looked for first: one of nginx, apache, tomcat, envoy, grok (with patterns), w3c, csv"`
	custom  []format.Format         `yaml:"-"`
}

// customFormat describes a format: see format.Custom.
type customFormat struct {
	Nginx    string            `yaml:"nginx,omitempty" json:"nginx,omitempty"`
	Apache   string            `yaml:"apache,omitempty" json:"apache,omitempty"`
	Tomcat   string            `yaml:"tomcat,omitempty" json:"tomcat,omitempty"`
	Envoy    string            `yaml:"envoy,omitempty" json:"envoy,omitempty"`
	Grok     string            `yaml:"grok,omitempty" json:"grok,omitempty"`
	W3C      string            `yaml:"w3c,omitempty" json:"w3c,omitempty"`
	CSV      string            `yaml:"csv,omitempty" json:"csv,omitempty"`
	Patterns map[string]string `yaml:"patterns,omitempty" json:"patterns,omitempty"`
}

// compile makes the formats of one's own, in the order of their names.
func (c *ingestConfig) compile() error {
	if c.custom = nil; len(c.Formats) == 0 {
		c.Formats = nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.Formats)) {
		d := c.Formats[name]
		f, err := format.Custom{
			Name: name, Nginx: d.Nginx, Apache: d.Apache, Tomcat: d.Tomcat, Envoy: d.Envoy, Grok: d.Grok, W3C: d.W3C, CSV: d.CSV, Patterns: d.Patterns,
		}.Format()
		if err != nil {
			return usage("ingest.formats: %w", err)
		}
		c.custom = append(c.custom, f)
	}
	return nil
}

type apiConfig struct {
	Connections        int           `yaml:"connections" doc:"open on one port"`
	AddressConnections int           `yaml:"address_connections" doc:"of them of one address"`
	Drain              time.Duration `yaml:"drain" doc:"how long open requests may take to end when the server stops"`
}

func defaultConfig() config {
	return config{
		Data: "./data", HTTP: "127.0.0.1:9178", GRPC: "127.0.0.1:9179",
		Tables:      tablesConfig{Networks: []string{}},
		Policy:      policyConfig{Packs: policy.Default, Files: []string{}, Rules: []string{"pack:attack"}},
		MemoryLimit: 2 << 30, Lateness: 3 * time.Hour, Tick: time.Minute, Checkpoint: 30 * time.Second,
		Store: storeConfig{
			IDMemory: 1 << 20, Horizon: 7 * 24 * time.Hour, MaxKeys: 10_000_000,
			Cache: 64 << 20, MemTable: 16 << 20, Ballast: 64 << 20, Keep: []keepConfig{},
		},
		Backup: backupConfig{Every: 24 * time.Hour},
		Engine: engineConfig{Rate: 0.05, Entities: 1 << 20, Windows: 1 << 20, Resident: 64 << 20},
		Ingest: ingestConfig{
			MaxRecord: 256 << 10, InFlight: 256 << 20, Queue: 128 << 20,
			Compressed: 16 << 20, Expanded: 64 << 20,
		},
		Query: defaultQueryConfig(),
		API:   apiConfig{Connections: 4096, AddressConnections: 256, Drain: 20 * time.Second},
	}
}

// readConfig returns the defaults with what the file says instead; "" is no file.
func readConfig(path string) (config, error) {
	if path == "" {
		return defaultConfig(), nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return config{}, usage("read configuration: %w", err)
	}
	cfg, err := decodeConfig(b)
	if err != nil {
		return cfg, &coded{exitUsage, inFile("configuration", path, err)}
	}
	return cfg, nil
}

// decodeConfig reads the content of a file. A key that is not known is an error:
// it may be a misspelt limit.
func decodeConfig(b []byte) (config, error) {
	cfg := defaultConfig()
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&cfg); err != nil && !errors.Is(err, io.EOF) {
		return cfg, misread(err, "tokenwatch config shows those there are")
	}
	return cfg, cfg.check()
}

func (c *config) check() error {
	switch {
	case c.Tick < time.Second || c.Tick > time.Minute:
		return usage("tick is not between 1s and 1m")
	case c.Checkpoint < time.Second || c.Checkpoint > time.Minute:
		return usage("checkpoint is not between 1s and 1m")
	case c.Lateness <= 0:
		return usage("lateness is not positive")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return usage("a certificate and its key go together")
	}
	if c.Engine.Entities < 1 || c.Engine.Windows < 1 || c.Engine.Resident < 1 {
		return usage("engine has no room for any entity")
	}
	if c.Backup.Every < time.Minute {
		return usage("backup.every is less than 1m")
	}
	if err := c.Store.check(); err != nil {
		return err
	}
	if err := c.Ingest.compile(); err != nil {
		return err
	}
	return c.checkInputs()
}

func (c *config) store() local.Config {
	ballast := int64(c.Store.Ballast)
	if ballast == 0 {
		ballast = -1 // none; 0 would be the package's default
	}
	return local.Config{
		Dir: c.Data, Lateness: c.Lateness,
		IDMemory: c.Store.IDMemory, Horizon: c.Store.Horizon, MaxKeys: c.Store.MaxKeys,
		CacheSize: int64(c.Store.Cache), MemTableSize: uint64(c.Store.MemTable), Ballast: ballast,
		AcceptLoss: c.AcceptLoss,
		Keep:       local.Keep{Age: c.Store.KeepAge, Bytes: uint64(c.Store.KeepBytes)}, KeepTenant: c.Store.keeps(),
	}
}

func (c *config) engine() engine.Config {
	return engine.Config{
		Rate: c.Engine.Rate, Lateness: c.Lateness, Shards: c.Engine.Shards, NoPeers: c.Engine.NoPeers,
		Entities: c.Engine.Entities, Windows: c.Engine.Windows, ResidentBytes: int(c.Engine.Resident),
	}
}

func (c *config) ingest() ingest.Config {
	cfg := ingest.Config{MaxRecord: int(c.Ingest.MaxRecord), InFlight: int64(c.Ingest.InFlight)}
	cfg.Seal.DropAttrs = c.Ingest.DropAttrs
	cfg.Format.Custom = c.Ingest.custom
	return cfg
}

func (c *config) limits() source.Limits {
	return source.Limits{Compressed: int64(c.Ingest.Compressed), Expanded: int64(c.Ingest.Expanded)}
}

func (c *config) apiLimits() api.Limits {
	return api.Limits{
		Connections: c.API.Connections, AddressConnections: c.API.AddressConnections, Drain: c.API.Drain,
	}
}

// configCmd prints the configuration.
type configCmd struct {
	File string `name:"config" help:"Print what this file makes of it." placeholder:"FILE"`
}

// Help has an example.
func (configCmd) Help() string {
	return "Example:\n\n    tokenwatch config > tokenwatch.yaml\n    tokenwatch serve --config tokenwatch.yaml"
}

// Run prints the configuration as a file that would make it.
func (cmd *configCmd) Run(c *console) error {
	cfg, err := readConfig(cmd.File)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(tree(reflect.ValueOf(cfg)))
	}
	var b strings.Builder
	printConfig(&b, reflect.ValueOf(cfg), "")
	_, err = io.WriteString(c.stdout, b.String())
	return err
}

// printConfig prints a struct as YAML, each field with its doc tag behind it.
func printConfig(b *strings.Builder, v reflect.Value, indent string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, doc := f.Tag.Get("yaml"), f.Tag.Get("doc")
		if name == "-" {
			continue
		}
		if f.Type.Kind() == reflect.Struct {
			fmt.Fprintf(b, "%s%s: # %s\n", indent, name, doc)
			printConfig(b, v.Field(i), indent+"  ")
			continue
		}
		if f.Type.Kind() == reflect.Map && v.Field(i).Len() > 0 {
			fmt.Fprintf(b, "%s%s: # %s\n", indent, name, doc)
			text, err := yaml.Marshal(v.Field(i).Interface())
			if err != nil {
				panic(err) // maps of text
			}
			for line := range strings.Lines(string(text)) {
				fmt.Fprintf(b, "%s  %s", indent, line)
			}
			continue
		}
		value := scalar(v.Field(i))
		if f.Type.Kind() == reflect.Slice {
			value = list(v.Field(i))
		}
		fmt.Fprintf(b, "%s%-*s # %s\n", indent, 32-len(indent), name+": "+value, doc)
	}
}

func scalar(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case string:
		text, err := yaml.Marshal(x) // quoted where it must be
		if err != nil {
			panic(err) // a text
		}
		return strings.TrimSuffix(string(text), "\n")
	case time.Duration:
		return duration(x)
	case map[string]customFormat:
		return "{}"
	default:
		return fmt.Sprint(x)
	}
}

// list prints a list in one line, without what its items do not say.
func list(v reflect.Value) string {
	var items []string
	for i := range v.Len() {
		var fields []string
		item := v.Index(i)
		if item.Kind() == reflect.String {
			items = append(items, fmt.Sprintf("%q", item.String()))
			continue
		}
		for j := range item.NumField() {
			if item.Field(j).IsZero() {
				continue
			}
			value := scalar(item.Field(j))
			switch item.Field(j).Kind() {
			case reflect.String:
				value = fmt.Sprintf("%q", value)
			case reflect.Slice:
				value = strings.ReplaceAll(fmt.Sprintf("%q", item.Field(j).Interface()), `" "`, `", "`)
			}
			fields = append(fields, item.Type().Field(j).Tag.Get("yaml")+": "+value)
		}
		items = append(items, "{"+strings.Join(fields, ", ")+"}")
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// tree is a struct as JSON with the names of the file.
func tree(v reflect.Value) map[string]any {
	out := make(map[string]any)
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		if name == "-" {
			continue
		}
		switch x := v.Field(i).Interface().(type) {
		case time.Duration:
			out[name] = duration(x)
		case size:
			out[name] = x.String()
		default:
			switch v.Field(i).Kind() {
			case reflect.Struct:
				out[name] = tree(v.Field(i))
				continue
			case reflect.Slice:
				items := []any{}
				for j := range v.Field(i).Len() {
					item := v.Field(i).Index(j)
					if item.Kind() == reflect.Struct {
						items = append(items, tree(item))
					} else {
						items = append(items, item.Interface())
					}
				}
				out[name] = items
				continue
			}
			out[name] = x
		}
	}
	return out
}

// duration prints without units that are zero: 3h, not 3h0m0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
