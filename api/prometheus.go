package api

import (
	"net/http"

	v1 "github.com/tokenwatch/tokenwatch/api/v1"
)

// prometheus are the paths of Prometheus' query API. They check their parameters
// as Prometheus does: what they do not know, they leave alone.
func (s *Server) prometheus() (out []route) {
	p := s.config.Prometheus
	if p == nil {
		p = &v1.Prometheus{}
	}
	add := func(method, path string, handler http.Handler, summary string, takes ...string) {
		out = append(out, route{
			method: method, path: path, grant: method + " " + path, ownQuery: true, handler: handler,
			summary: summary, produces: "application/json", takes: takes,
		})
	}
	for _, method := range []string{"GET", "POST"} {
		add(method, "/api/v1/query", p.Query(), "The value of a PromQL expression at one time.", "query", "time", "timeout")
		add(method, "/api/v1/query_range", p.QueryRange(), "The values of a PromQL expression over time.", "query", "start", "end", "step", "timeout")
		add(method, "/api/v1/series", p.Series(), "The series that match selectors.", "match[]", "start", "end", "limit")
		add(method, "/api/v1/labels", p.Labels(), "The names of labels.", "match[]", "start", "end", "limit")
	}
	add("GET", "/api/v1/label/{name}/values", p.LabelValues(), "The values of a label.", "match[]", "start", "end", "limit")
	add("GET", "/api/v1/metadata", p.Metadata(), "What the metrics are.", "metric")
	add("GET", "/api/v1/status/buildinfo", p.BuildInfo(), "Which version answers, as clients of Prometheus ask.")
	return out
}
