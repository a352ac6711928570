package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/ingest/enrich"
	"github.com/tokenwatch/tokenwatch/storage"
)

// tableFlags name the files of tables.
type tableFlags struct {
	Networks  []string `help:"File of networks: address range to AS, kind, country and place; CSV or a MaxMind database; may repeat." placeholder:"FILE"`
	Routes    string   `help:"File of routes: method and route to scope and risk; JSON or CSV." placeholder:"FILE"`
	Inventory string   `help:"File of tokens as their issuer knows them; JSON or CSV." placeholder:"FILE"`
}

// override has the flags win over the configuration.
func (f *tableFlags) override(c *tablesConfig) {
	if len(f.Networks) > 0 {
		c.Networks = f.Networks
	}
	override(&c.Routes, f.Routes)
	override(&c.Inventory, f.Inventory)
}

// open reads the tables that flags name, and says what of them is not used.
func (f *tableFlags) open(c *console) (*tables, error) {
	var config tablesConfig
	f.override(&config)
	t, err := openTables(config)
	if err != nil {
		return nil, err
	}
	for _, file := range t.files {
		if text := file.unused(); text != "" {
			if err := say(c.stderr, "%s", shown(text)); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// tables are the tables in use, and the files they were read from.
type tables struct {
	live  enrich.Live
	files []*tableFile
}

// tableFile is the files of one table.
type tableFile struct {
	name  string // of the table
	paths []string
	seen  []stamp

	networks  *enrich.Networks
	routes    *enrich.Routes
	inventory *enrich.Inventory
}

// stamp is what shows that a file has changed.
type stamp struct {
	modified time.Time
	size     int64
}

// openTables reads the tables of a configuration.
func openTables(c tablesConfig) (*tables, error) {
	t := &tables{}
	for _, f := range []*tableFile{
		{name: tokenwatch.TableNetworks, paths: c.Networks},
		{name: tokenwatch.TableRoutes, paths: oneOrNone(c.Routes)},
		{name: tokenwatch.TableInventory, paths: oneOrNone(c.Inventory)},
	} {
		if len(f.paths) == 0 {
			continue
		}
		if err := f.read(); err != nil {
			return nil, usage("%w", err)
		}
		t.files = append(t.files, f)
	}
	t.use()
	return t, nil
}

func oneOrNone(path string) []string {
	if path == "" {
		return nil
	}
	return []string{path}
}

// read reads the table anew; on error what was read before stays.
func (f *tableFile) read() error {
	var contents [][]byte
	var seen []stamp
	for _, path := range f.paths {
		at, err := stampOf(path)
		if err == nil {
			seen = append(seen, at)
			var b []byte
			b, err = os.ReadFile(path)
			contents = append(contents, b)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", f.name, err)
		}
	}
	f.seen = seen
	var err error
	switch f.name {
	case tokenwatch.TableNetworks:
		err = keep(&f.networks)(enrich.ParseNetworks(contents...))
	case tokenwatch.TableRoutes:
		err = keep(&f.routes)(enrich.ParseRoutes(contents[0]))
	default:
		err = keep(&f.inventory)(enrich.ParseInventory(contents[0]))
	}
	if err != nil {
		return fmt.Errorf("read %s from %s: %w", f.name, strings.Join(f.paths, ", "), err)
	}
	return nil
}

// keep stores what was made unless that failed.
func keep[T any](to **T) func(*T, error) error {
	return func(made *T, err error) error {
		if err == nil {
			*to = made
		}
		return err
	}
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.ModTime(), info.Size()}, nil
}

// changed tells whether a file is another one than was read. One that is not
// there is not: it may be about to be replaced.
func (f *tableFile) changed() bool {
	for i, path := range f.paths {
		at, err := stampOf(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false
		}
		if err != nil || i >= len(f.seen) || at != f.seen[i] {
			return true
		}
	}
	return false
}

// use has rows enriched from what was read last.
func (t *tables) use() {
	var in enrich.Tables
	for _, f := range t.files {
		if f.networks != nil {
			in.Networks = f.networks
		}
		if f.routes != nil {
			in.Routes = f.routes
		}
	}
	t.live.Set(in)
}

// entries are the control records of all tables.
func (t *tables) entries(p *ingest.Pipeline, tenant string) (out []tokenwatch.Entry) {
	for _, f := range t.files {
		out = append(out, f.entries(p, tenant)...)
	}
	return out
}

// summary is of what was read last.
func (f *tableFile) summary() enrich.Summary {
	switch {
	case f.networks != nil:
		return f.networks.Summary()
	case f.routes != nil:
		return f.routes.Summary()
	default:
		return f.inventory.Summary()
	}
}

// unused says which columns of the table were not used; "" if all were. What
// they are called is not said: without a line of names it would be content.
func (f *tableFile) unused() string {
	places := f.summary().Unused
	if len(places) == 0 {
		return ""
	}
	return fmt.Sprintf("%s from %s: columns %v have names that are not known, and are not used", f.name, strings.Join(f.paths, ", "), places)
}

func (f *tableFile) entries(p *ingest.Pipeline, tenant string) (out []tokenwatch.Entry) {
	s := f.summary()
	bodies := []tokenwatch.Table{{Name: s.Table, Entries: s.Entries, Digest: s.Digest}}
	if f.inventory != nil {
		bodies = p.Inventory(tenant, f.inventory)
	}
	for i := range bodies {
		out = append(out, tokenwatch.Entry{Tenant: tenant, Control: bodies[i].Control()})
	}
	return out
}

// tablesEvery is how often the files of tables are looked at.
const tablesEvery = 5 * time.Second

// watchTables reads and logs each table again when its file has changed.
func (w *works) watchTables(ctx context.Context) error {
	return every(ctx, tablesEvery, w.reloadTables)
}

// reloadTables reads the tables whose file has changed. One that cannot be read
// stays as it was, and is tried again when it has changed again.
func (w *works) reloadTables(ctx context.Context) error {
	var fresh []*tableFile
	for _, f := range w.tables.files {
		if !f.changed() {
			continue
		}
		if err := f.read(); err != nil {
			w.log.Error("table not read; the one before stays in use", "table", f.name, "error", err)
			continue
		}
		fresh = append(fresh, f)
	}
	if len(fresh) == 0 {
		return nil
	}
	w.tables.use()
	return w.logTables(ctx, fresh)
}

func (w *works) logTables(ctx context.Context, files []*tableFile) error {
	for _, f := range files {
		noted := tokenwatch.DefaultTenant + "/" + f.name
		sum := f.summary().Digest
		if w.noted[noted] == sum {
			continue
		}
		entries := f.entries(w.pipeline, tokenwatch.DefaultTenant)
		if _, err := w.site.store.Append(ctx, entries...); errors.Is(err, storage.ErrReadOnly) {
			w.log.Warn("table not logged: the store takes no entries", "table", f.name)
			f.seen = nil // again the next time
			continue
		} else if err != nil {
			return quiet(ctx, fmt.Errorf("log table %s: %w", f.name, err))
		}
		w.noted[noted] = sum
		w.log.Info("table loaded", "table", f.name, "entries", f.summary().Entries)
		if text := f.unused(); text != "" {
			w.log.Warn(text)
		}
	}
	return nil
}
