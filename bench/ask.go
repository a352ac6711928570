package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Asked is how one question was answered. The clock is the client's, to the last
// byte; CPU is the server's.
type Asked struct {
	Cold   float64 `json:"cold_ms"`
	Median float64 `json:"ms"`
	Min    float64 `json:"min_ms"`
	Max    float64 `json:"max_ms"`
	CPU    float64 `json:"cpu_ms"`
	Answer string  `json:"answer"` // digest of the answer in the form that all systems share
	OK     *bool   `json:"ok,omitempty"`
}

// asked makes a summary of runs, the cold one first.
func asked(ms, cpu []float64, answer any) Asked {
	a := Asked{Cold: ms[0], Answer: digest(answer)}
	warm := slices.Sorted(slices.Values(ms[1:]))
	a.Median, a.Min, a.Max = warm[len(warm)/2], warm[0], warm[len(warm)-1]
	warm = slices.Sorted(slices.Values(cpu[1:]))
	a.CPU = warm[len(warm)/2]
	return a
}

// facts are what bench/gen knows of its events.
type facts struct {
	Events   int            `json:"events"`
	Statuses map[string]int `json:"q1_expect"`
	Token2   string         `json:"q2_token"`
	Events2  int            `json:"q2_events"`
	Token4   string         `json:"q4_token"`
	Events4  int            `json:"q4_events"`
	Sub      string         `json:"q6_substr"`
	Count6   int            `json:"q6_expect"`
	From8    string         `json:"q8_from"`
	To8      string         `json:"q8_to"`
	Count8   int            `json:"q8_expect"`
}

func readFacts(day string) (f facts, err error) {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(day), "facts.json"))
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		return f, fmt.Errorf("read the facts of the workload: %w", err)
	}
	return f, nil
}

// question is one of Q1 to Q8, with or without a further filter.
type question struct {
	name string
	kind int    // 1 to 8
	more filter // the further filter
	sql  string
}

// filter is a condition that no series, index or count answers.
type filter struct {
	name, sql string
	holds     func(*event) bool
}

// filters leave most events, some and few.
var filters = []filter{
	{"", "", func(*event) bool { return true }},
	{" most", "bytes_out % 20 <> 7", func(e *event) bool { return e.bytes%20 != 7 }},
	{" some", "{slow}", func(e *event) bool { return e.ms > 100 }},
	{" few", "path like '%/v1/%/9%s'", func(e *event) bool { return likeFew(e.path) }},
}

// likeFew is the last filter without LIKE.
func likeFew(path []byte) bool {
	at := bytes.Index(path, []byte("/v1/"))
	if at < 0 {
		return false
	}
	nine := bytes.Index(path[at+4:], []byte("/9"))
	return nine >= 0 && len(path) > at+4+nine+2 && path[len(path)-1] == 's'
}

// A dialect says what SQL calls the same things.
type dialect []string

var (
	tokenwatchSQL = dialect{"{ev}", "events", "{slow}", "duration > 100000000", "{has}", "contains", "{distinct}", "count(distinct src_ip)",
		"{p99}", "quantile(duration, 0.99)", "{minute}", "date_trunc('minute', time)", "{T}", "T", "{Z}", "Z"}
	duckdbSQL = dialect{"{slow}", "duration_ms > 100", "{has}", "contains", "{distinct}", "count(distinct src_ip)",
		"{p99}", "quantile_disc(duration_ms, 0.99)", "{minute}", "date_trunc('minute', time)", "{T}", " ", "{Z}", ""}
	clickhouseSQL = dialect{"{slow}", "duration_ms > 100", "{has}", "0 < position", "{distinct}", "uniqExact(src_ip)",
		"{p99}", "quantileExact(0.99)(duration_ms)", "{minute}", "toStartOfMinute(time)", "{T}", " ", "{Z}", ""}
)

// questions are Q1 to Q8, and each again with every further filter.
func questions(f facts, d dialect) []question {
	at := func(s string) string { return strings.NewReplacer("T", "{T}", "Z", "{Z}").Replace(s) }
	list := []struct{ ask, where, rest string }{
		{"select status, count(*) n from {ev}", "", "group by status"},
		{"select request_id, * from {ev}", "token = '" + f.Token2 + "'", "order by time desc limit 100"},
		{"select token, count(*) n from {ev}", "", "group by token order by n desc limit 10"},
		{"select {minute} m, count(*) n from {ev}", "token = '" + f.Token4 + "'", "group by m"},
		{"select token, {distinct} n from {ev}", "", "group by token order by n desc limit 10"},
		{"select count(*) n from {ev}", "{has}(path, '" + f.Sub + "')", ""},
		{"select host, method, {p99} p from {ev}", "", "group by host, method"},
		{"select count(*) n from {ev}", "status >= 500 and time >= '" + at(f.From8) + "' and time < '" + at(f.To8) + "'", ""},
	}
	terms := strings.NewReplacer(d...)
	var out []question
	for _, more := range filters {
		for i, q := range list {
			var where []string
			for _, w := range []string{q.where, more.sql} {
				if w != "" {
					where = append(where, w)
				}
			}
			sql := q.ask
			if len(where) > 0 {
				sql += " where " + strings.Join(where, " and ")
			}
			out = append(out, question{fmt.Sprintf("Q%d%s", i+1, more.name), i + 1, more, terms.Replace(strings.TrimSpace(sql + " " + q.rest))})
		}
	}
	return out
}

// shape brings the rows of an answer into the form that all systems share, which
// is that of the drivers for other systems: equal digests mean equal answers.
func shape(kind int, rows [][]string) (any, error) {
	number := func(s string) (int, error) { return strconv.Atoi(s) }
	pairs := func(key func(string) string) ([][]any, error) {
		out := [][]any{}
		for _, r := range rows {
			n, err := number(r[1])
			if err != nil {
				return nil, err
			}
			out = append(out, []any{key(r[0]), n})
		}
		return out, nil
	}
	same := func(s string) string { return s }
	switch kind {
	case 1, 4:
		key := same
		if kind == 4 {
			key = func(s string) string { return strings.Replace(s, " ", "T", 1)[:len("2006-01-02T15:04")] }
		}
		out, err := pairs(key)
		slices.SortFunc(out, func(a, b []any) int { return strings.Compare(fmt.Sprint(a[0]), fmt.Sprint(b[0])) })
		return out, err
	case 2:
		ids := []string{}
		for _, r := range rows {
			ids = append(ids, r[0])
		}
		slices.Sort(ids)
		return []any{len(ids), ids}, nil
	case 3:
		return pairs(same)
	case 5:
		out := []int{}
		for _, r := range rows {
			n, err := number(r[1])
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
		return out, nil
	case 7:
		out := slices.Clone(rows)
		slices.SortFunc(out, func(a, b []string) int { return strings.Compare(strings.Join(a, ","), strings.Join(b, ",")) })
		return out, nil
	default:
		if len(rows) != 1 {
			return nil, fmt.Errorf("%d rows where a count was asked for", len(rows))
		}
		return number(rows[0][0])
	}
}

// digest is what the drivers for other systems print of an answer.
func digest(answer any) string {
	b, err := json.Marshal(answer)
	if err != nil {
		panic(err) // made of texts and numbers
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:5])
}

// ask asks tokenwatch all questions over HTTP, each once and then runs times.
// want holds the digest of each right answer.
func ask(ctx context.Context, s *Server, f facts, want *answers, runs int) (map[string]Asked, error) {
	names, err := s.tokenNames(ctx, want.tokens())
	if err != nil {
		return nil, err
	}
	out := make(map[string]Asked)
	for _, q := range questions(f, tokenwatchSQL) {
		var ms, cpu []float64
		var body []byte
		for range runs + 1 {
			before, begin := s.finerCPU(), time.Now()
			if body, err = s.query(ctx, q.sql); err != nil {
				return nil, fmt.Errorf("%s: %w", q.name, err)
			}
			ms = append(ms, float64(time.Since(begin).Microseconds())/1e3)
			cpu = append(cpu, (s.finerCPU()-before)*1e3)
		}
		rows, err := textRows(body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.name, err)
		}
		for _, r := range rows {
			switch q.kind {
			case 3, 5:
				if name, ok := names[r[0]]; ok {
					r[0] = name
				}
			case 7: // nanoseconds
				r[2] = strings.TrimSuffix(r[2], "000000")
			}
		}
		answer, err := shape(q.kind, rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.name, err)
		}
		a := asked(ms, cpu, answer)
		a.OK = want.right(q.name, a.Answer)
		out[q.name] = a
	}
	return out, nil
}

// tokenNames asks what ids tokens have in the store, and returns the names by id.
func (s *Server) tokenNames(ctx context.Context, tokens []string) (map[string]string, error) {
	names := make(map[string]string)
	for _, t := range tokens {
		body, err := s.query(ctx, "select token from events where token = '"+t+"' limit 1")
		if err != nil {
			return nil, err
		}
		rows, err := textRows(body)
		if err != nil || len(rows) != 1 {
			return nil, fmt.Errorf("a token of the workload is not found: %w", err)
		}
		names[rows[0][0]] = t
	}
	return names, nil
}

// rowsOf returns the rows of an answer.
func rowsOf(body []byte) ([][]any, error) {
	var answer struct {
		Rows [][]any `json:"rows"`
	}
	err := json.Unmarshal(body, &answer)
	return answer.Rows, err
}

// textRows is rowsOf with all values as texts; numbers as they are written.
func textRows(body []byte) ([][]string, error) {
	var answer struct {
		Rows [][]any `json:"rows"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	err := d.Decode(&answer)
	out := make([][]string, len(answer.Rows))
	for i, r := range answer.Rows {
		for _, v := range r {
			out[i] = append(out[i], fmt.Sprint(v))
		}
	}
	return out, err
}

// query asks in SQL and returns the answer as JSON.
func (s *Server) query(ctx context.Context, sql string) ([]byte, error) {
	in, err := json.Marshal(map[string]string{"sql": sql})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/query", bytes.NewReader(in))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.Key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("POST /v1/query: %s: %.200s", resp.Status, body)
	}
	return body, err
}
