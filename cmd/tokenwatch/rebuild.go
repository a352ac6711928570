package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/replay"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// rebuildCmd has an engine read a stopped store's log from its beginning.
type rebuildCmd struct {
	storeFlags
	Reorder bool `help:"Take events by their own time, as after loading old logs behind new ones; findings may then differ."`
	Series  bool `help:"Write segments anew whose series are not what their rows count, or that an older version wrote without."`
}

// Help has an example.
func (rebuildCmd) Help() string {
	return "The store must be stopped. Its log is read from the beginning, up to where the server's engine had got, and the settled " +
		"findings are compared with those stored, byte by byte; so are the time series of merged segments with their rows. " +
		"Nothing is changed, but by --series. Exit code 4 says that something differs.\n\n" +
		"Example:\n\n    tokenwatch rebuild --data ./data"
}

// rebuilt is what rebuild says at the end.
type rebuilt struct {
	Entries   uint64             `json:"entries"`
	Events    uint64             `json:"events"`
	Dropped   uint64             `json:"dropped_entries,omitempty"`
	Untimed   uint64             `json:"events_without_time,omitempty"`
	Alike     int                `json:"findings_alike"`
	Differing int                `json:"findings_differing"`
	Series    local.SeriesReport `json:"series"`
}

// Run replays the log and says what differs.
func (cmd *rebuildCmd) Run(ctx context.Context, c *console) (err error) {
	past, err := openPast(c, &cmd.storeFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, past.close()) }()
	o := replay.Options{Engine: past.engine(), Last: past.cursor, Reorder: cmd.Reorder}
	r, err := past.replay(ctx, "rebuild", o)
	if err != nil {
		return err
	}
	stored, err := past.findings(ctx, r.Tenants)
	if err != nil {
		return err
	}
	list, alike := replay.Compare(stored, r.Findings, replay.Settled)
	if err := printDifferences(c, list); err != nil {
		return err
	}
	out := rebuilt{Entries: r.Entries, Events: r.Rows, Dropped: r.Dropped, Untimed: r.Left, Alike: alike, Differing: len(list)}
	if out.Series, err = past.site.store.CheckSeries(ctx, cmd.Series); err != nil {
		return err
	}
	if err := out.print(c); err != nil {
		return err
	}
	if out.Differing > 0 {
		return &coded{code: exitDiffers}
	}
	return nil
}

func (r *rebuilt) print(c *console) error {
	if c.json {
		return c.print(r)
	}
	if r.Dropped > 0 {
		if err := say(c.stdout, "%d entries were dropped by retention: what was learnt from them is not in this", r.Dropped); err != nil {
			return err
		}
	}
	if r.Untimed > 0 {
		if err := say(c.stdout, "%d events have no time and were left out", r.Untimed); err != nil {
			return err
		}
	}
	s := &r.Series
	return say(c.stdout, "%d log entries, %d events: %s as stored, %d not\n%s of %d events, %d cells of series in %.2f bytes an event: %d not as their rows count, %s written anew",
		r.Entries, r.Events, count(r.Alike, "settled finding"), r.Differing,
		count(s.Segments, "merged segment"), s.Rows, s.Cells, float64(s.Bytes)/max(float64(s.Rows), 1), s.Differing, count(s.Rewritten, "segment"))
}

// pastStore is a stopped store whose past is asked for.
type pastStore struct {
	c      *console
	cfg    config
	site   *site
	cursor tokenwatch.Offset // up to where the engine had got
}

// openPast opens a store that exists, with its keys.
func openPast(c *console, f *storeFlags) (*pastStore, error) {
	cfg, err := f.config()
	if err != nil {
		return nil, err
	}
	made, err := local.Exists(nil, cfg.Data)
	if err != nil {
		return nil, err
	}
	if !made {
		return nil, usage("there is no store in %s", shown(cfg.Data))
	}
	h := &pastStore{c: c, cfg: cfg}
	if h.site, err = trySite(c, cfg, slog.New(slog.DiscardHandler), false); err != nil {
		return nil, inUse(err)
	}
	if h.cursor, err = h.site.store.Cursor(context.Background()); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *pastStore) close() error { return h.site.store.Close() }

// engine is how the server would judge.
func (h *pastStore) engine() engine.Config {
	conf := h.cfg.engine()
	conf.Key = h.site.secrets.engine
	return conf
}

// replay replays the log, and shows on a terminal how far it is.
func (h *pastStore) replay(ctx context.Context, what string, o replay.Options) (*replay.Result, error) {
	start, last, shownOnce := h.c.now(), time.Time{}, false
	o.Progress = func(p replay.Progress) {
		now := h.c.now()
		if h.c.errWidth == 0 || now.Sub(last) < meterEvery {
			return
		}
		last, shownOnce = now, true
		rate := float64(p.Rows) / max(now.Sub(start).Seconds(), 1e-3)
		line := fmt.Sprintf("%s: entry %d of %d, %d events, %.0f/s", what, p.At, o.Last, p.Rows, rate)
		fmt.Fprintf(h.c.stderr, "\r\x1b[K%s", cut(line, h.c.errWidth-1))
	}
	r, err := replay.Run(ctx, h.site.store, o)
	if shownOnce {
		fmt.Fprint(h.c.stderr, "\r\x1b[K")
	}
	return r, err
}

// findings are the stored ones.
func (h *pastStore) findings(ctx context.Context, tenants []string) (list []tokenwatch.Finding, err error) {
	for _, tenant := range tenants {
		for f, err := range h.site.store.Findings(ctx, tenant) {
			if err != nil {
				return nil, err
			}
			list = append(list, f)
		}
	}
	return list, nil
}

// difference is a finding that is there only before or after, or otherwise.
type difference struct {
	Change string              `json:"change"` // appears, disappears, differs
	Tenant string              `json:"tenant"`
	Before *tokenwatch.Finding `json:"before,omitempty"`
	After  *tokenwatch.Finding `json:"after,omitempty"`
}

// printDifferences prints a JSON line or a row for each.
func printDifferences(c *console, list []replay.Difference) error {
	t := newFindingsTable()
	head, mark := t.head, t.mark
	t.head, t.keep = append([]string{"change"}, head...), []int{0, 3, 4}
	t.mark = func(row []string) string { return mark(row[1:]) }
	for i := range list {
		d := difference{Before: list[i].Before, After: list[i].After}
		f := d.After
		switch {
		case d.Before == nil:
			d.Change = "appears"
		case d.After == nil:
			d.Change, f = "disappears", d.Before
		default:
			d.Change = "differs"
		}
		if d.Tenant = f.Tenant; c.json {
			if err := c.print(d); err != nil {
				return err
			}
			continue
		}
		t.finding(f)
		last := len(t.rows) - 1
		t.rows[last] = append([]string{d.Change}, t.rows[last]...)
	}
	if len(list) == 0 {
		return nil
	}
	return t.write(c)
}
