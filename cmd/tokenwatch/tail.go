package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/filter"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// tailCmd shows findings as they are raised, revised and judged.
type tailCmd struct {
	Server string `help:"URL of a server, with the API key in TOKENWATCH_KEY; default $$TOKENWATCH_URL." placeholder:"URL"`
	Filter string `help:"Only those that this filter lets through, as the API takes it." placeholder:"FILTER"`
	Cursor string `help:"Go on behind this cursor; default: from now on." placeholder:"CURSOR"`
	All    bool   `help:"Begin with the first finding there is."`
}

// Help has an example.
func (tailCmd) Help() string {
	return "It goes on until it is interrupted, and comes back by itself when the server was away.\n\n" +
		"Example:\n\n    tokenwatch tail --filter severity>=high --json"
}

// Run prints findings until ctx ends.
func (cmd *tailCmd) Run(ctx context.Context, c *console) error {
	wanted, err := v1.FindingFilter(cmd.Filter, nil)
	if err != nil {
		return usage("%s", status.Convert(err).Message())
	}
	server := cmp.Or(cmd.Server, c.getenv("TOKENWATCH_URL"))
	if server == "" {
		return usage("whom to ask? set TOKENWATCH_URL and TOKENWATCH_KEY, or give --server")
	}
	d, err := newClient(server, c.apiKey())
	if err != nil {
		return err
	}
	defer d.close()
	d.http.Timeout = 0 // a stream does not end
	t := &tail{client: d, console: c, wanted: wanted, cursor: cmd.Cursor}
	if cmd.Cursor == "" && !cmd.All {
		if t.cursor, err = d.now(ctx); err != nil {
			return quiet(ctx, err)
		}
	}
	return quiet(ctx, t.run(ctx))
}

// now returns the cursor behind all there is.
func (c *client) now(ctx context.Context) (cursor string, err error) {
	for {
		var m pb.PollFindingsResponse
		q := url.Values{"page_size": {pageSize}, "cursor": {cursor}}
		if err := c.call(ctx, http.MethodGet, "/v1/findings:poll", q, nil, &m); err != nil {
			return "", err
		}
		if cursor = m.GetCursor(); len(m.GetFindings()) == 0 {
			return cursor, nil
		}
	}
}

// tail follows the stream of findings over reconnections.
type tail struct {
	*client
	console *console
	wanted  filter.Filter[tokenwatch.Finding]
	cursor  string
}

const comeBack = time.Second

func (t *tail) run(ctx context.Context) error {
	for {
		again, err := t.stream(ctx)
		if !again || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(comeBack):
		}
	}
}

// stream reads one connection to its end, and tells whether to come back.
func (t *tail) stream(ctx context.Context) (again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+"/v1/findings:watch?cursor="+url.QueryEscape(t.cursor), nil)
	if err != nil {
		return false, fmt.Errorf("make request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+t.key)
	answer, err := t.http.Do(r)
	if err != nil {
		return true, fmt.Errorf("ask the server: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		b, err := io.ReadAll(io.LimitReader(answer.Body, maxReply))
		if err != nil {
			return true, err
		}
		busy := answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusServiceUnavailable
		return busy, refusal(answer.StatusCode, b)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxReply)
	event := map[string]string{}
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ": "); ok {
			event[name] = value
			continue
		}
		if err := t.event(event); err != nil {
			return false, err
		}
		clear(event)
	}
	return true, nil // the server stops, or the connection broke
}

// event prints a finding, and moves the cursor behind it.
func (t *tail) event(e map[string]string) error {
	if e["event"] == "finding" {
		var m pb.Finding
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(e["data"]), &m); err != nil {
			return fmt.Errorf("read a finding: not what this version expects")
		}
		f, err := v1.ToFinding(&m)
		if err != nil {
			return fmt.Errorf("read a finding: %w", err)
		}
		if t.wanted.Match(&f) {
			if err := t.print(&f); err != nil {
				return err
			}
		}
	}
	t.cursor = cmp.Or(e["id"], t.cursor)
	return nil
}

func (t *tail) print(f *tokenwatch.Finding) error {
	if t.console.json {
		return t.console.print(f)
	}
	severity := fmt.Sprintf("%-8s %3d", f.Severity, f.Score)
	if t.console.colour {
		severity = severityColour(f.Severity) + severity + reset
	}
	line := fmt.Sprintf("  %s  %s  rev %d  %s  %s  %s", when(f.Time), f.ID, f.Revision, state(f), named(f), f.Summary)
	if f.Status != tokenwatch.StatusNew {
		line += "  (" + handling(f) + ")"
	}
	return say(t.console.stdout, "%s%s", severity, shown(line))
}
