package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// growth is how costs change with the number of events, of tokens, and with the size
// of requests.
type growth struct {
	conns int
	dir   string
}

// grown is one workload of a growth run.
type grown struct {
	events, tokens, chunk int
}

// run prints a table, a workload a line.
func (g *growth) run(ctx context.Context, largest int, out io.Writer) error {
	fmt.Fprint(out, "| events | tokens | request | CPU-s per million, queryable | settled | peak MB | bytes per event | Q2, CPU ms | Q4, CPU ms |\n|---|---|---|---|---|---|---|---|---|\n")
	const base, tokens, chunk = 1_000_000, 20_000, 8 << 20
	const record = 380 // bytes: a request has one record, now and then two
	list := []grown{{base, tokens, chunk}, {base, 2_000, chunk}, {base, 200_000, chunk}, {50_000, tokens, record}}
	for n := 5 * base; n <= largest; n *= 4 {
		list = append(list, grown{n, tokens, chunk})
	}
	for _, w := range list {
		if err := g.one(ctx, w, out); err != nil {
			return err
		}
	}
	return nil
}

func (g *growth) one(ctx context.Context, w grown, out io.Writer) error {
	day, err := workloadOf(ctx, g.dir, w.events, 1, w.tokens, "2026-03-02T00:00:00Z")
	if err != nil {
		return err
	}
	f, err := readFacts(day)
	if err != nil {
		return err
	}
	store, err := os.MkdirTemp(g.dir, "store-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(store)
	server, err := Start(ctx, filepath.Join("bin", "tokenwatch"), store)
	if err != nil {
		return err
	}
	defer server.Kill()
	c := &contest{n: w.events, conns: g.conns, chunk: w.chunk}
	in, err := c.ingest(ctx, server, day)
	if err != nil {
		return err
	}
	disk, err := size(filepath.Join(store, "data"))
	if err != nil {
		return err
	}
	cpu := map[int]float64{}
	for _, q := range questions(f, tokenwatchSQL) {
		if q.more.name != "" || q.kind != 2 && q.kind != 4 {
			continue
		}
		const runs = 21
		if _, err := server.query(ctx, q.sql); err != nil {
			return err
		}
		before := server.finerCPU()
		for range runs {
			if _, err := server.query(ctx, q.sql); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
		cpu[q.kind] = (server.finerCPU() - before) * 1e3 / runs
	}
	request := fmt.Sprintf("%d MiB", w.chunk>>20)
	if w.chunk < 1024 {
		request = "1 record"
	}
	_, err = fmt.Fprintf(out, "| %d | %d | %s | %.1f | %.1f | %.0f | %.1f | %.2f | %.2f |\n", w.events, w.tokens, request,
		in.CPU, in.CPUSettled, in.PeakRSS, float64(disk)/float64(w.events), cpu[2], cpu[4])
	return err
}
