package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/ipc"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/query"
	"github.com/tokenwatch/tokenwatch/query/querytest"
)

// asking runs a server over a many random events, and returns keys, too:
// an analyst's and an admin's, and those of another tenant.
func asking(t *testing.T, limits query.Limits) (*running, map[string]string) {
	store := newFake()
	store.put("default", "f")
	keys := make(map[string]string)
	random := new(counting)
	for _, tenant := range []string{"default", "other"} {
		for _, role := range []tokenwatch.Role{tokenwatch.RoleAnalyst, tokenwatch.RoleAdmin} {
			keys[tenant+" "+string(role)] = store.key(t, random, tenant, role)
		}
	}
	r := querytest.Rand(1)
	events := &querytest.Store{Tenant: "default"}
	events.Add(querytest.Random(r, 4000, true), true)
	events.Add(querytest.Random(r, 1000, false), false)
	events.Add(querytest.Random(r, 4000, true), true)
	return start(t, store, func(c *Config) {
		c.Queries = &v1.Queries{Engine: query.New(query.Config{Events: events, Workers: 1, Findings: store, History: store, Limits: limits})}
	}), keys
}

func sqlBody(t *testing.T, sql string) string {
	b, err := json.Marshal(map[string]string{"sql": sql})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestQueryREST(t *testing.T) {
	r, keys := asking(t, query.Limits{Rows: 2000})
	analyst, other := keys["default analyst"], keys["other admin"]
	for _, c := range []struct {
		key, accept, sql string
		code             int
		want             string
	}{
		{analyst, "", "select count(*) n from events where duplicate or not duplicate", 200, "[9000]"},
		{analyst, "*/*", "select id, score from findings", 200, `["f",91]`},
		{analyst, "application/x-ndjson", "select count(*) n from events where duplicate or not duplicate", 200, `{"n":9000}`},
		{analyst, "text/html, text/csv;q=0.5", "select count(*) n from events where duplicate or not duplicate", 200, "n\n9000\n"},
		{other, "", "select count(*) n from events", 200, "[0]"},
		{other, "", "select id from findings", 200, `"rows":[` + "\n]"},
		{analyst, "image/png", "select 1", 406, "not_acceptable"},
		{analyst, "", "select statu from events", 400, "bad_query"},
		{analyst, "", "select * from events; drop", 400, "bad_query"},
		{analyst, "", "select time from events order by token", 413, "query_limit"},
		{analyst, "", "select * from history", 403, "permission_denied"},
		{other, "", "select count(*) from history", 200, "[0]"},
		{analyst, "", "", 400, "invalid_argument"},
		{"", "", "select 1", 401, "unauthenticated"},
	} {
		got := r.ask(c.key, c.accept, sqlBody(t, c.sql))
		if got.code != c.code || !strings.Contains(got.body, c.want) {
			t.Errorf("%s (%s): %d %s, want %d %s", c.sql, c.accept, got.code, got.body, c.code, c.want)
		}
	}
	if noted := r.store.recorded(); len(noted) != 1 || noted[0].Verb != "access.denied" {
		t.Errorf("the history has %v, want who asked for it and may not", noted)
	}
	for _, body := range []string{"", "{", `{"sql":"select 1","x":1}`, `{"sql":1}`, `{"sql":"select 1"} x`, `"select 1"`} {
		if got := r.ask(analyst, "", body); got.code != 400 {
			t.Errorf("body %s: %d", body, got.code)
		}
	}
}

// TestQueryStatistics: formats that have no place for them have a trailer.
func TestQueryStatistics(t *testing.T) {
	r, keys := asking(t, query.Limits{})
	got := r.ask(keys["default admin"], "text/csv", sqlBody(t, "select time, token from events"))
	var s query.Statistics
	if err := json.Unmarshal([]byte(got.trailer.Get(v1.StatisticsTrailer)), &s); err != nil {
		t.Fatal(err, got.trailer)
	}
	if s.Segments != 3 || s.Rows == 0 || s.Elapsed <= 0 || strings.Count(got.body, "\n") != int(s.Rows)+1 {
		t.Errorf("%+v", s)
	}
}

// TestQueryCutOff: an answer that ends early after it has begun does not look whole.
func TestQueryCutOff(t *testing.T) {
	r, keys := asking(t, query.Limits{Bytes: 128 << 10})
	key := keys["default admin"]
	sql := sqlBody(t, "select time, token, path, host, user_agent, src_ip from events")
	if got := r.ask(key, "", sql); got.code != 200 || !strings.Contains(got.body, `"error":"the query passes its limit`) {
		t.Errorf("JSON: %d, ends with %s", got.code, got.body[max(0, len(got.body)-300):])
	}
	if got := r.ask(key, "text/csv", sql); got.err == nil {
		t.Errorf("CSV: %d, read to the end without an error", got.code)
	}
}

func TestQueryGRPC(t *testing.T) {
	r, keys := asking(t, query.Limits{})
	key := keys["default analyst"]
	stream, err := pb.NewQueryClient(r.dial()).Query(with(t.Context(), key), &pb.QueryRequest{Sql: "select time, token from events"})
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	var stats *pb.QueryStatistics
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all.Write(m.GetChunk())
		stats = m.GetStatistics()
	}
	reader, err := ipc.NewReader(&all)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	rows := int64(0)
	for reader.Next() {
		rows += reader.Record().NumRows()
	}
	if reader.Err() != nil || rows == 0 || rows != stats.GetRows() {
		t.Errorf("%d rows, statistics say %d, %v", rows, stats.GetRows(), reader.Err())
	}
}

// asked is an answer of POST /v1/query.
type asked struct {
	code    int
	body    string
	trailer http.Header
	err     error // of reading the body
}

func (r *running) ask(key, accept, body string) asked {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.http+"/v1/query", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if key != "" {
		q.Header.Set("Authorization", "Bearer "+key)
	}
	if accept != "" {
		q.Header.Set("Accept", accept)
	}
	answer, err := r.client.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return asked{answer.StatusCode, string(b), answer.Trailer, err}
}
