package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/filter"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// tailCmd shows events as they are stored, or findings as they change.
type tailCmd struct {
	Server   string `help:"URL of a server, with the API key in TOKENWATCH_KEY; default $$TOKENWATCH_URL." placeholder:"URL"`
	Findings bool   `help:"Findings as they are raised, revised and judged, instead of events."`
	Filter   string `help:"Only those that this filter lets through, as the API takes it." placeholder:"FILTER"`
	Cursor   string `help:"Go on behind this cursor; default: from now on." placeholder:"CURSOR"`
	Offset   uint64 `help:"Begin with the entry at this place in the log." placeholder:"N"`
	All      bool   `help:"Begin with the first there is."`
}

// Help has an example.
func (tailCmd) Help() string {
	return "It goes on until it is interrupted, and comes back by itself when the server was away. " +
		"Where it cannot keep up with the events, it says how many it was not shown.\n\n" +
		"Example:\n\n    tokenwatch tail --filter src_ip:192.0.2.0/24\n" +
		"    tokenwatch tail --findings --filter severity>=high --json"
}

// Run prints what comes until ctx ends.
func (cmd *tailCmd) Run(ctx context.Context, c *console) error {
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
	t := &tail{client: d, console: c, cursor: cmd.Cursor}
	if !cmd.Findings {
		if _, err := v1.EventFilter(cmd.Filter, nil); err != nil {
			return usage("%s", status.Convert(err).Message())
		}
		t.path, t.query, t.show = "/v1/events:tail", url.Values{}, t.logged
		if cmd.Filter != "" {
			t.query.Set("filter", cmd.Filter)
		}
		if cmd.All {
			cmd.Offset = 1
		}
		if cmd.Offset > 0 {
			t.query.Set("offset", fmt.Sprint(cmd.Offset))
		}
		return quiet(ctx, t.run(ctx))
	}
	if cmd.Offset > 0 {
		return usage("--offset is for events: findings have a cursor")
	}
	if t.wanted, err = v1.FindingFilter(cmd.Filter, nil); err != nil {
		return usage("%s", status.Convert(err).Message())
	}
	t.path, t.show = "/v1/findings:watch", t.found
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

// tail follows a stream over reconnections.
type tail struct {
	*client
	console *console
	path    string
	query   url.Values                           // besides the cursor
	wanted  filter.Filter[tokenwatch.Finding]    // of findings
	show    func(name string, data []byte) error // prints an event of the stream
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
	q := url.Values{"cursor": {t.cursor}}
	maps.Copy(q, t.query)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+t.path+"?"+q.Encode(), nil)
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

// event shows what came, and moves the cursor behind it.
func (t *tail) event(e map[string]string) error {
	if data := e["data"]; data != "" {
		if err := t.show(e["event"], []byte(data)); err != nil {
			return err
		}
	}
	t.cursor = cmp.Or(e["id"], t.cursor)
	return nil
}

// found prints a finding.
func (t *tail) found(name string, data []byte) error {
	if name != "finding" {
		return nil
	}
	var m pb.Finding
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, &m); err != nil {
		return fmt.Errorf("read a finding: not what this version expects")
	}
	f, err := v1.ToFinding(&m)
	if err != nil {
		return fmt.Errorf("read a finding: %w", err)
	}
	if !t.wanted.Match(&f) {
		return nil
	}
	return t.print(&f)
}

// logged prints an event of the log, or how many were skipped.
func (t *tail) logged(name string, data []byte) error {
	if name != "event" && name != "skipped" {
		return nil
	}
	var m pb.TailEventsResponse
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, &m); err != nil {
		return fmt.Errorf("read an event: not what this version expects")
	}
	if s := m.GetSkipped(); s != nil {
		return say(t.console.stderr, "not shown, since they came too fast: %s, log entries %d to %d", count(int(s.GetEvents()), "event"), s.GetFirst(), s.GetLast())
	}
	if t.console.json {
		return t.console.printMessage(m.GetEvent())
	}
	fields := m.GetEvent().GetFields()
	var parts []string
	for _, name := range []string{"token", "actor", "src_ip", "action", "status", "outcome", "resource", "request_id"} {
		switch v := fields[name].GetKind().(type) {
		case *structpb.Value_StringValue:
			parts = append(parts, v.StringValue)
		case *structpb.Value_NumberValue:
			parts = append(parts, fmt.Sprint(v.NumberValue))
		}
	}
	return say(t.console.stdout, "%s", shown(fields["time"].GetStringValue()+"  "+strings.Join(parts, "  ")))
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
