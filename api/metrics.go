package api

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the API answers. A tenant is named only once it is
// authenticated, so nobody outside can make series.
type metrics struct {
	requests *prometheus.CounterVec
	answers  *prometheus.CounterVec
	refusals *prometheus.CounterVec
	closed   *prometheus.CounterVec
}

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenwatch_api_requests_total",
			Help: "gRPC calls answered, those of the REST gateway too, by method and code.",
		}, []string{"method", "code"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenwatch_api_http_responses_total",
			Help: "HTTP requests answered, by status.",
		}, []string{"status"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenwatch_api_refusals_total",
			Help: "Requests refused for who sent them, by tenant and reason.",
		}, []string{"tenant", "reason"}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenwatch_api_connections_refused_total",
			Help: "Connections closed at once because there were too many, by listener.",
		}, []string{"listener"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.answers, m.refusals, m.closed} {
		if err := to.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of the API: %w", err)
		}
	}
	return m, nil
}

// answered counts the answer to a gRPC call. Methods that nobody was granted are one.
func (m *metrics) answered(method, code string) {
	if _, listed := grants[method]; !listed {
		method = "other"
	}
	m.requests.WithLabelValues(method, code).Inc()
}

func (m *metrics) refused(tenant, reason string) { m.refusals.WithLabelValues(tenant, reason).Inc() }
