package main

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// TestReload: a table whose file changes is used and logged, one that has become
// unreadable stays as it was, and one that is not there for a moment too.
func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "networks.csv")
	clock := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	write := func(content string) {
		writeFile(t, path, content)
		clock = clock.Add(time.Second)
		must(t, os.Chtimes(path, clock, clock))
	}
	write("cidr,asn\n198.51.100.0/24,1\n")
	tables, err := openTables(tablesConfig{Networks: []string{path}})
	must(t, err)
	store, err := local.Open(local.Memory())
	must(t, err)
	defer func() { must(t, store.Close()) }()
	w := &works{intake: intake{tables: tables}, site: &site{store: store}, log: slog.New(slog.DiscardHandler), noted: map[string][32]byte{}}
	must(t, w.logTables(t.Context(), tables.files))
	expect := func(when string, asn int64, logged int) {
		t.Helper()
		must(t, w.reloadTables(t.Context()))
		var row tokenwatch.Row
		row.SetAddr(netip.MustParseAddr("198.51.100.7"))
		tables.live.Origin(&row)
		if got := row.Int(tokenwatch.ColSrcASN); got != asn {
			t.Errorf("%s: AS %d, want %d", when, got, asn)
		}
		if n := countTables(t, store); n != logged {
			t.Errorf("%s: %d tables logged, want %d", when, n, logged)
		}
	}
	expect("at first", 1, 1)
	write("cidr,asn\n198.51.100.0/24,2\n")
	expect("changed", 2, 2)
	expect("not again", 2, 2)
	write("cidr,asn\nrubbish,3\n")
	expect("unreadable", 2, 2)
	must(t, os.Remove(path))
	expect("gone", 2, 2)
	write("cidr,asn\n198.51.100.0/24,4\n")
	expect("there again", 4, 3)
}

func countTables(t *testing.T, store *local.Store) (n int) {
	t.Helper()
	for e, err := range store.Scan(context.Background(), storage.Range{}) {
		must(t, err)
		if e.Control == nil || e.Control.Kind != tokenwatch.ControlTable {
			continue
		}
		if _, err := tokenwatch.DecodeTable(e.Control.Body); err != nil {
			t.Error(err)
		}
		n++
	}
	return n
}
