package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	promapi "github.com/prometheus/client_golang/api"
	promapiv1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	"github.com/tokenwatch/tokenwatch/query/promql"
	"github.com/tokenwatch/tokenwatch/query/querytest"
)

// startPrometheus starts a server with three events of one host in three minutes,
// the last one an error, and returns a key that may ask about them and one of another
// tenant.
func startPrometheus(t *testing.T) (r *running, analyst, other string) {
	t.Helper()
	events := &querytest.Store{Tenant: "default"}
	var b tokenwatch.Builder
	at := time.Unix(0, querytest.Start)
	for i := range 3 {
		var row tokenwatch.Row
		row.SetInt(tokenwatch.ColTime, at.Add(time.Duration(i)*time.Minute).UnixNano())
		row.SetString(tokenwatch.ColHost, "a.example")
		row.SetInt(tokenwatch.ColStatus, int64(200+200*(i/2)))
		b.Append(&row)
	}
	events.Add(b.Batch(), true)
	now := func() time.Time { return at.Add(10 * time.Minute) }
	store, random := newFake(), new(counting)
	analyst = store.key(t, random, "default", tokenwatch.RoleAnalyst)
	other = store.key(t, random, "other", tokenwatch.RoleAnalyst)
	r = start(t, store, func(c *Config) {
		c.Prometheus = &v1.Prometheus{Engine: promql.New(promql.Config{Events: events, Now: now}), Now: now, Version: "1"}
	})
	return r, analyst, other
}

// bearer adds a key to requests.
type bearer struct {
	key  string
	next http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.key)
	return b.next.RoundTrip(r)
}

// TestPrometheusClient asks by Prometheus' own client library, which decodes answers
// and errors strictly.
func TestPrometheusClient(t *testing.T) {
	r, analyst, _ := startPrometheus(t)
	client, err := promapi.NewClient(promapi.Config{Address: r.http, RoundTripper: bearer{analyst, r.client.Transport}})
	if err != nil {
		t.Fatal(err)
	}
	api, ctx := promapiv1.NewAPI(client), t.Context()
	at := time.Unix(0, querytest.Start).UTC()
	show := func(value any, warnings promapiv1.Warnings, _ promapiv1.Infos, err error) string {
		t.Helper()
		if err != nil || len(warnings) > 0 {
			t.Errorf("%v, %q", err, warnings)
		}
		return fmt.Sprint(value)
	}
	query := func(q string) string {
		t.Helper()
		value, warnings, infos, err := api.Query(ctx, q, at.Add(5*time.Minute))
		return show(value, warnings, infos, err)
	}
	ranged := func(q string) string {
		t.Helper()
		value, warnings, infos, err := api.QueryRange(ctx, q, promapiv1.Range{Start: at, End: at.Add(3 * time.Minute), Step: time.Minute})
		return show(value, warnings, infos, err)
	}
	series := func(selector string) string {
		t.Helper()
		value, warnings, infos, err := api.Series(ctx, []string{selector}, at, at.Add(time.Hour))
		return show(value, warnings, infos, err)
	}
	names := func(selector string) string {
		t.Helper()
		value, warnings, infos, err := api.LabelNames(ctx, []string{selector}, at, at.Add(time.Hour))
		return show(value, warnings, infos, err)
	}
	values := func(label string) string {
		t.Helper()
		value, warnings, infos, err := api.LabelValues(ctx, label, nil, at, at.Add(time.Hour))
		return show(value, warnings, infos, err)
	}
	metadata, err := api.Metadata(ctx, "tokenwatch_token_events_total", "")
	if got := metadata["tokenwatch_token_events_total"]; err != nil || len(got) != 1 || got[0].Type != promapiv1.MetricTypeCounter {
		t.Errorf("metadata %v, %v", got, err)
	}
	if built, err := api.Buildinfo(ctx); err != nil || built.Version != "1" {
		t.Errorf("built %v, %v", built, err)
	}
	for what, c := range map[string]struct{ got, want string }{
		"vector": {query("tokenwatch_events_total"), `tokenwatch_events_total{host="a.example", status="200"} => 2 @[1772409900]` + "\n" +
			`tokenwatch_events_total{host="a.example", status="400"} => 1 @[1772409900]`},
		"scalar": {query("1+1"), "scalar: 2 @[1772409900]"},
		"matrix": {ranged("sum by (status) (tokenwatch_events_total)"), `{status="200"} =>` + "\n0 @[1772409600]\n1 @[1772409660]\n2 @[1772409720]\n2 @[1772409780]\n" +
			`{status="400"} =>` + "\n0 @[1772409720]\n1 @[1772409780]"},
		"series": {series("tokenwatch_events_total"), `[{__name__="tokenwatch_events_total", host="a.example", status="200"} {__name__="tokenwatch_events_total", host="a.example", status="400"}]`},
		"names":  {names("tokenwatch_events_total"), "__name__, host, status"},
		"values": {values("status"), "[200 400]"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", what, c.got, c.want)
		}
	}
	for q, want := range map[string]promapiv1.ErrorType{
		"sum(": promapiv1.ErrBadData,
		"tokenwatch_events_total * on(host) tokenwatch_events_total": promapiv1.ErrExec,
	} {
		var failed *promapiv1.Error
		if _, _, _, err := api.Query(ctx, q, at.Add(5*time.Minute)); !errors.As(err, &failed) || failed.Type != want {
			t.Errorf("%s: %v, want %v", q, err, want)
		}
	}
}

// TestPrometheus asks each path in each of its forms, and compares answers and
// errors with the shapes of Prometheus.
func TestPrometheus(t *testing.T) {
	r, analyst, other := startPrometheus(t)
	for _, c := range []struct {
		path, form string
		code       int
		want       string // in the answer
	}{
		{"query", "query=sum(tokenwatch_events_total)", 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1772410200,"3"]}]}}`},
		{"query", "query=tokenwatch_events_total{status=\"400\"}&time=2026-03-02T00:02:30Z", 200, `"metric":{"__name__":"tokenwatch_events_total","host":"a.example","status":"400"},"value":[1772409750,"0"]`},
		{"query", "query=1%2B1&time=5", 200, `{"status":"success","data":{"resultType":"scalar","result":[5,"2"]}}`},
		{"query", "query=" + url.QueryEscape(`tokenwatch_events_total[2m]`) + "&time=1772409720", 200, `"resultType":"matrix","result":[{"metric":{"__name__":"tokenwatch_events_total","host":"a.example","status":"200"},"values":[[1772409660,"1"],[1772409720,"2"]]}`},
		{"query_range", "query=sum(increase(tokenwatch_events_total[1m]))&start=1772409660&end=1772409780&step=60", 200, `"resultType":"matrix"`},
		{"query_range", "query=nothing&start=1772409660&end=1772409780&step=60", 200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`},
		{"series", "match[]=tokenwatch_events_total", 200, `{"status":"success","data":[{"__name__":"tokenwatch_events_total","host":"a.example","status":"200"},{"__name__":"tokenwatch_events_total","host":"a.example","status":"400"}]}`},
		{"series", "match[]=tokenwatch_events_total&limit=1", 200, `"status":"200"}],"warnings":["results truncated due to limit"]}`},
		{"labels", "match[]=tokenwatch_events_total", 200, `{"status":"success","data":["__name__","host","status"]}`},
		{"query", "query=sum(hunter2", 400, `{"status":"error","errorType":"bad_data","error":"the expression cannot be read: at character 12"}`},
		{"query", "query=", 400, `"errorType":"bad_data"`},
		{"query", "query=1&time=hunter2", 400, `time is no time`},
		{"query", "query=1&timeout=hunter2", 400, `timeout is no duration`},
		{"query_range", "query=1&start=2&end=1&step=1", 400, `end must not be before start`},
		{"query_range", "query=1&start=0&end=20000&step=1", 400, `more than 11,000 steps`},
		{"query_range", "query=1&start=0&end=20000&step=0", 400, `step must be`},
		{"series", "", 400, `match[] must be given`},
		{"series", "match[]={}", 400, `"errorType":"bad_data"`},
		{"query", "query=" + url.QueryEscape("tokenwatch_events_total * on(host) tokenwatch_events_total"), 422, `"errorType":"execution"`},
	} {
		form, err := url.ParseQuery(c.form)
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"GET", "POST"} {
			var got answer
			if method == "GET" {
				got = r.do(method, "/api/v1/"+c.path+"?"+form.Encode(), analyst, "")
			} else {
				req, err := http.NewRequest(method, r.http+"/api/v1/"+c.path, strings.NewReader(form.Encode()))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+analyst)
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				got = r.send(req)
			}
			if got.code != c.code || !strings.Contains(got.body, c.want) || strings.Contains(got.body, "hunter2") {
				t.Errorf("%s %s %s: %d %s\nwant %d %s", method, c.path, c.form, got.code, got.body, c.code, c.want)
			}
		}
	}
	for path, want := range map[string]string{
		"/api/v1/label/host/values":     `{"status":"success","data":["a.example"]}`,
		"/api/v1/label/nothing/values":  `{"status":"success","data":[]}`,
		"/api/v1/label/__name__/values": `"tokenwatch_events_total"`,
		"/api/v1/metadata":              `"tokenwatch_token_events_total":[{"type":"counter"`,
		"/api/v1/status/buildinfo":      `"version":"1"`,
	} {
		if got := r.do("GET", path, analyst, ""); got.code != 200 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s, want %s", path, got.code, got.body, want)
		}
	}
	if got := r.do("GET", "/api/v1/query?query=tokenwatch_events_total", other, ""); got.code != 200 || !strings.Contains(got.body, `"result":[]`) {
		t.Errorf("another tenant is answered %d %s", got.code, got.body)
	}
}
