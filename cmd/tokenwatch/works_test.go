package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// openTest opens a store with its keys and makes works around it.
func openTest(t *testing.T) *works {
	t.Helper()
	s := newScript(t)
	c, _, _ := s.console()
	cfg := defaultConfig()
	cfg.Data, cfg.Keys, cfg.Store.Ballast = filepath.Join(s.dir, "data"), filepath.Join(s.dir, "keys"), 1<<10
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	site, err := openSite(t.Context(), c, cfg, log)
	must(t, err)
	t.Cleanup(func() {
		if err := site.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w, err := newWorks(t.Context(), site, cfg, log, options{})
	must(t, err)
	return w
}

// TestTick: a tick is in the log, and a history with ticks verifies once signed.
func TestTick(t *testing.T) {
	w := openTest(t)
	for range 3 {
		must(t, w.tick(t.Context()))
	}
	if last := w.site.store.Last(); last != 4 { // the policies come first
		t.Errorf("%d entries", last)
	}
	must(t, w.sign(t.Context()))
	signed, checkpoint := w.site.secrets.signer.Last()
	if head := w.site.store.Head(); checkpoint.Size != head.Size || checkpoint.Root != head.Root || head.Size < 6 {
		t.Errorf("signed %d of %d leaves", checkpoint.Size, head.Size)
	}
	out := t.TempDir()
	vkey := w.site.secrets.signing.Verifier()
	_, err := history.Export(history.Dir{Path: out}, signed, vkey, w.site.store.Reader(), w.site.store.Payloads(t.Context(), storage.Range{}))
	must(t, err)
	report, err := history.Verify(os.DirFS(out), history.Options{VKey: vkey, Payloads: true})
	if err != nil || report.Verdict != history.OK {
		t.Errorf("%v, %v, %v", report.Verdict, report.Problems, err)
	}
}

// TestMask: what is masked is gone, with what derives from it, and no more.
func TestMask(t *testing.T) {
	var b tokenwatch.Builder
	var row tokenwatch.Row
	for range 3 {
		row.Reset()
		row.SetInt(tokenwatch.ColTime, testTime.UnixNano())
		row.SetAddr(netip.MustParseAddr("203.0.113.7"))
		for _, c := range []tokenwatch.Col{
			tokenwatch.ColUserAgent, tokenwatch.ColAgentFamily, tokenwatch.ColPath, tokenwatch.ColRoute,
			tokenwatch.ColSrcCloud, tokenwatch.ColToken, tokenwatch.ColActor,
		} {
			row.SetString(c, c.String())
		}
		row.AddAttr([]byte("key"), []byte("value"))
		b.Append(&row)
	}
	batch := b.Batch()
	m, err := maskOf([]string{"user_agent", "source.ip", "path", "attrs", "token"})
	must(t, err)
	out, err := m.apply(batch)
	must(t, err)
	for _, gone := range []tokenwatch.Col{
		tokenwatch.ColUserAgent, tokenwatch.ColAgentFamily, tokenwatch.ColSrcIP, tokenwatch.ColSrcCloud,
		tokenwatch.ColPath, tokenwatch.ColRoute, tokenwatch.ColAttrs, tokenwatch.ColToken,
	} {
		if out.Has(gone, 1) || !batch.Has(gone, 1) {
			t.Errorf("%v: %v after, %v before", gone, out.Has(gone, 1), batch.Has(gone, 1))
		}
	}
	if out.Rows() != 3 || out.Text(tokenwatch.ColActor, 1) != "actor" || out.Int(tokenwatch.ColTime, 1) != testTime.UnixNano() {
		t.Error("something else is gone")
	}
	var stored bytes.Buffer
	must(t, printRows(&stored, out, native))
	if bytes.Contains(stored.Bytes(), []byte("agent")) {
		t.Error("the agent is still there")
	}
}

// TestExitCodes: each error has its code, however it is wrapped, and each code
// is in the table.
func TestExitCodes(t *testing.T) {
	listed := map[int]bool{}
	for _, e := range exitCodes {
		listed[e.code] = true
	}
	for code, err := range map[int]error{
		exitOK:               nil,
		exitError:            errors.New("any"),
		exitUsage:            usage("wrong"),
		exitNothing:          &coded{code: exitNothing},
		local.ExitDiskFull:   &tokenwatch.Refusal{Reason: tokenwatch.RefusedUnavailable, Err: local.ErrDiskFull},
		local.ExitIO:         local.ErrIO,
		local.ExitCorruption: &storage.Corruption{What: "segment", Err: errors.New("bit")},
		local.ExitLoss:       &storage.Loss{First: 1, Last: 2},
		local.ExitNewer:      local.ErrNewer,
	} {
		if err != nil {
			err = errors.Join(fmt.Errorf("store: %w", err), nil)
		}
		if got := exitCode(err); got != code || !listed[code] {
			t.Errorf("%v: exit code %d, want %d, listed %v", err, got, code, listed[code])
		}
	}
	for verdict := history.OK; verdict <= history.Forked; verdict++ {
		if !listed[verdict.ExitCode()] {
			t.Errorf("%v: exit code %d is not listed", verdict, verdict.ExitCode())
		}
	}
}
