package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query"
	output "github.com/tokenwatch/tokenwatch/query/encode"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// queryCmd asks in SQL.
type queryCmd struct {
	askFlags
	tenantFlag
	Format string `enum:"table,json,ndjson,csv,arrow,parquet" default:"table" help:"table, json, ndjson, csv, arrow or parquet." placeholder:"NAME"`
	SQL    string `arg:"" name:"sql" help:"A SELECT, or EXPLAIN [ANALYZE] before one."`
}

// Help has an example.
func (queryCmd) Help() string {
	return "The tables are events, tokens, findings and history. Repeats of events are left out unless the\n" +
		"statement names the column duplicate. token = '…' takes the id of a token or any other name of it.\n\n" +
		"Example:\n\n    tokenwatch query \"SELECT status, count(*) n FROM events GROUP BY status ORDER BY n DESC\""
}

// Run prints the answer.
func (cmd *queryCmd) Run(ctx context.Context, c *console) error {
	format := cmd.Format
	if format == "table" && c.json {
		format = "ndjson"
	}
	if c.outWidth > 0 && (format == "arrow" || format == "parquet") {
		return usage("%s is not for a terminal: send it to a file", format)
	}
	return cmd.ask(c, cmd.Tenant, func(d desk) error {
		switch d := d.(type) {
		case *client:
			return d.query(ctx, c, cmd.SQL, format)
		case *storeDesk:
			return queryStore(ctx, c, d, cmd.SQL, format)
		default:
			return errors.New("this cannot be asked in SQL")
		}
	})
}

// queryConfig is how much one question may take.
type queryConfig struct {
	Time    time.Duration `yaml:"time" doc:"to run"`
	Memory  size          `yaml:"memory" doc:"groups, sets and rows to sort of one question"`
	Rows    int64         `yaml:"rows" doc:"rows answered"`
	Answer  size          `yaml:"answer" doc:"bytes answered, before their encoding"`
	Cache   size          `yaml:"cache" doc:"decoded columns kept in memory for all questions"`
	Running int           `yaml:"running" doc:"questions at a time; others wait"`
}

func defaultQueryConfig() queryConfig {
	return queryConfig{Time: time.Minute, Memory: 512 << 20, Rows: 10_000_000, Answer: 4 << 30, Cache: 256 << 20, Running: 4}
}

// newQueries is the engine of queries over a store. names may be nil.
func newQueries(cfg queryConfig, store *local.Store, tokens storage.Tokens, names v1.Names, now func() time.Time) *query.Engine {
	return query.New(query.Config{
		Events: store, Tokens: tokens, Findings: store, History: store, Names: names, Now: now,
		Limits: query.Limits{Time: cfg.Time, Memory: int64(cfg.Memory), Rows: cfg.Rows, Bytes: int64(cfg.Answer)},
		Cache:  max(int64(cfg.Cache), -1), Running: cfg.Running,
	})
}

// queryStore asks a stopped store. Its keys stay where they are: a token is
// called by its id there, not by its secret.
func queryStore(ctx context.Context, c *console, d *storeDesk, sql, format string) error {
	engine := newQueries(defaultQueryConfig(), d.store, &storedTokens{store: d.store}, nil, c.now)
	r := query.Request{Tenant: d.tenant, SQL: sql, Auditor: true}
	if format == "table" {
		out := &tableOutput{}
		s, err := engine.Run(ctx, r, out)
		if err != nil {
			return err
		}
		return out.write(c, s)
	}
	f, err := output.ByName(format)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(c.stdout, 64<<10)
	enc := f.New(w)
	s, err := engine.Run(ctx, r, enc)
	if err != nil {
		return errors.Join(err, w.Flush())
	}
	return errors.Join(enc.End(s, nil), w.Flush())
}

// tableOutput gathers an answer as a table.
type tableOutput struct{ table }

func (t *tableOutput) Begin(columns []query.Column) error {
	for _, c := range columns {
		t.head = append(t.head, shown(c.Name))
	}
	return nil
}

func (t *tableOutput) Rows(cols []expr.Vec, sel []int32, n int) error {
	row := make([]string, len(cols))
	one := func(i int) {
		for c := range cols {
			row[c] = cols[c].Value(i).String()
		}
		t.add(row...)
	}
	if sel == nil {
		for i := range n {
			one(i)
		}
	}
	for _, i := range sel {
		one(int(i))
	}
	return nil
}

// write prints the table, and for somebody who watches what it took.
func (t *tableOutput) write(c *console, s query.Statistics) error {
	if err := t.table.write(c); err != nil || c.errWidth == 0 {
		return err
	}
	return say(c.stderr, "%s, %v, %d of %d rows read, %d of %d segments pruned", count(len(t.rows), "row"),
		s.Elapsed.Round(10*time.Microsecond), s.RowsRead, s.RowsTotal, s.Pruned, s.Segments)
}

// query asks a server and prints its answer as it comes.
func (c *client) query(ctx context.Context, to *console, sql, format string) error {
	body, err := json.Marshal(map[string]string{"sql": sql})
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1/query", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	asked := format
	if format == "table" {
		asked = "json"
	}
	f, err := output.ByName(asked)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", f.Type)
	long := *c.http
	long.Timeout = 0 // a large answer takes its time; ctx ends it
	response, err := long.Do(r)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		b, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
		if err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		return refusal(response.StatusCode, b)
	}
	if format == "table" {
		return printTable(to, response.Body)
	}
	if _, err := io.Copy(to.stdout, response.Body); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if text := response.Trailer.Get(v1.ErrorTrailer); text != "" {
		return fmt.Errorf("the answer ended early: %s", text)
	}
	return nil
}

// printTable prints an answer in JSON as a table.
func printTable(to *console, body io.Reader) error {
	var answer struct {
		Columns []struct {
			Name string `json:"name"`
		} `json:"columns"`
		Rows       [][]json.RawMessage `json:"rows"`
		Error      string              `json:"error"`
		Statistics query.Statistics    `json:"statistics"`
	}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return errors.New("read the server's answer: not what this version expects")
	}
	var t tableOutput
	for _, c := range answer.Columns {
		t.head = append(t.head, shown(c.Name))
	}
	for _, row := range answer.Rows {
		line := make([]string, len(row))
		for i, v := range row {
			line[i] = cellText(v)
		}
		t.add(line...)
	}
	if err := t.write(to, answer.Statistics); err != nil {
		return err
	}
	if answer.Error != "" {
		return fmt.Errorf("the answer ended early: %s", answer.Error)
	}
	return nil
}

// cellText is a JSON value as a table shows it: null is empty.
func cellText(v json.RawMessage) string {
	var s string
	switch {
	case string(v) == "null":
		return ""
	case len(v) > 0 && v[0] == '"' && json.Unmarshal(v, &s) == nil:
		return s
	}
	return strings.TrimSuffix(string(v), ".0")
}
