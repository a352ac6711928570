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
	"strings"
	"time"
)

// Asked is how one question was answered. The clock is the client's, to the last
// byte; CPU is the server's, in steps of 10 ms, over all warm runs.
type Asked struct {
	Cold   float64 `json:"cold_ms"`
	Median float64 `json:"ms"`
	Min    float64 `json:"min_ms"`
	Max    float64 `json:"max_ms"`
	CPU    float64 `json:"cpu_ms"`
	Answer string  `json:"answer"` // digest of the rows, in order of their text
	OK     *bool   `json:"ok,omitempty"`
}

// facts are what bench/gen knows of its events.
type facts struct {
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

// readFacts reads what bench/gen knows of a day.
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

// question is one, and what is known of its answer: nil where that is nothing.
type question struct {
	name, sql string
	right     func(rows [][]any) bool
}

// further is a filter that no series, index or count answers: about one event in
// twenty is left out.
const further = "bytes_out % 20 <> 7"

// questions are Q1 to Q8, and each again with a further filter.
func questions(f facts) []question {
	number := func(v any) int { n, _ := v.(float64); return int(n) }
	one := func(want int) func([][]any) bool {
		return func(rows [][]any) bool { return len(rows) == 1 && number(rows[0][0]) == want }
	}
	list := []struct {
		ask, where, rest string
		right            func([][]any) bool
	}{
		{"select status, count(*) n from events", "", "group by 1", func(rows [][]any) bool {
			for _, r := range rows {
				if f.Statuses[fmt.Sprint(r[0])] != number(r[1]) {
					return false
				}
			}
			return len(rows) == len(f.Statuses)
		}},
		{"select * from events", "token = '" + f.Token2 + "'", "order by time desc limit 100", func(rows [][]any) bool { return len(rows) == min(100, f.Events2) }},
		{"select token, count(*) n from events", "", "group by 1 order by n desc limit 10", nil},
		{"select date_trunc('minute', time) m, count(*) n from events", "token = '" + f.Token4 + "'", "group by 1", func(rows [][]any) bool {
			sum := 0
			for _, r := range rows {
				sum += number(r[1])
			}
			return sum == f.Events4
		}},
		{"select token, count(distinct src_ip) n from events", "", "group by 1 order by n desc limit 10", nil},
		{"select count(*) n from events", "contains(path, '" + f.Sub + "')", "", one(f.Count6)},
		{"select host, method, quantile(duration, 0.99) p from events", "", "group by 1, 2", nil},
		{"select count(*) n from events", "status >= 500 and time >= '" + f.From8 + "' and time < '" + f.To8 + "'", "", one(f.Count8)},
	}
	var out []question
	for i, q := range list {
		where := ""
		if q.where != "" {
			where = " where " + q.where
		}
		out = append(out, question{fmt.Sprintf("Q%d", i+1), q.ask + where + " " + q.rest, q.right})
	}
	for i, q := range list {
		where := " where " + further
		if q.where != "" {
			where += " and " + q.where
		}
		out = append(out, question{fmt.Sprintf("Q%d filtered", i+1), q.ask + where + " " + q.rest, nil})
	}
	return out
}

// ask asks all questions over HTTP, each once and then runs times.
func ask(ctx context.Context, s *Server, day string, runs int) (map[string]Asked, error) {
	f, err := readFacts(day)
	if err != nil {
		return nil, err
	}
	out := make(map[string]Asked)
	for _, q := range questions(f) {
		var times []float64
		var rows [][]any
		var before float64
		for i := range runs + 1 {
			if i == 1 {
				before = s.CPU()
			}
			begin := time.Now()
			body, err := s.query(ctx, q.sql)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", q.name, err)
			}
			times = append(times, float64(time.Since(begin).Microseconds())/1e3)
			if rows, err = rowsOf(body); err != nil {
				return nil, fmt.Errorf("%s: %w", q.name, err)
			}
		}
		a := Asked{Cold: times[0], CPU: (s.CPU() - before) / float64(runs) * 1e3, Answer: digest(rows)}
		warm := times[1:]
		slices.Sort(warm)
		a.Median, a.Min, a.Max = warm[len(warm)/2], warm[0], warm[len(warm)-1]
		if q.right != nil {
			ok := q.right(rows)
			a.OK = &ok
		}
		out[q.name] = a
	}
	return out, nil
}

func rowsOf(body []byte) ([][]any, error) {
	var answer struct {
		Rows [][]any `json:"rows"`
	}
	err := json.Unmarshal(body, &answer)
	return answer.Rows, err
}

// digest tells answers apart, whatever the order of their rows.
func digest(rows [][]any) string {
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = fmt.Sprint(r...)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:5])
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

// settle returns once the segments of the store are no longer merged: their number
// has stayed the same for a while.
func (s *Server) settle(ctx context.Context) error {
	last, since := -1, time.Now()
	for time.Since(since) < 20*time.Second {
		body, err := s.query(ctx, "select count(*) from events where time < '1980-01-01'")
		if err != nil {
			return err
		}
		var answer struct {
			Statistics struct {
				Segments int `json:"segments"`
			} `json:"statistics"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return err
		}
		if answer.Statistics.Segments != last {
			last, since = answer.Statistics.Segments, time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return nil
}
