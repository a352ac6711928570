package source

import (
	"net/http"

	"github.com/tokenwatch/tokenwatch"
)

// Endpoint is one protocol over HTTP.
type Endpoint struct {
	Name   string
	Doc    string   // one line
	Routes []string // what it answers, as patterns of net/http; the first is where records go

	held  int64 // times its length that a body may take while it is read; 0: none is
	serve func(h *HTTP, w http.ResponseWriter, r *http.Request, who tokenwatch.Principal)
}

// Endpoints lists the protocols over HTTP.
var Endpoints = []Endpoint{
	{"native", "records as they are, plain or compressed, with an idempotency key", []string{"POST /v1/ingest"}, 1, serveNative},
	{"elasticsearch", "Elasticsearch's bulk API: Filebeat, Logstash, Vector, Fluent Bit, client libraries", []string{"POST /_bulk", "PUT /_bulk", "POST /{index}/_bulk"}, 2, serveBulk},
	{"elasticsearch-info", "what Elasticsearch's clients ask before they send", []string{
		"GET /{$}", "GET /_license", "GET /_xpack", "GET /_cluster/health", "HEAD /_index_template/{name}", "GET /_index_template/{name}",
		"PUT /_index_template/{name}", "HEAD /_template/{name}", "PUT /_template/{name}", "PUT /_component_template/{name}",
		"GET /_ilm/policy/{name}", "PUT /_ilm/policy/{name}", "PUT /_ingest/pipeline/{name}",
	}, 0, serveElasticInfo},
	{"splunk-hec", "Splunk's HTTP Event Collector: events", []string{
		"POST /services/collector/event", "POST /services/collector", "POST /services/collector/event/1.0",
	}, 2, serveHEC},
	{"splunk-hec-raw", "Splunk's HTTP Event Collector: raw lines", []string{"POST /services/collector/raw", "POST /services/collector/raw/1.0"}, 1, serveHECRaw},
	{"splunk-hec-ack", "Splunk's HTTP Event Collector: acknowledgements", []string{"POST /services/collector/ack"}, 0, serveHECAck},
	{"splunk-hec-health", "Splunk's HTTP Event Collector: health", []string{"GET /services/collector/health", "GET /services/collector/health/1.0"}, 0, serveHECHealth},
	{"loki", "Loki's push API: Promtail, Grafana Alloy, Vector, Fluent Bit", []string{"POST /loki/api/v1/push"}, 6, serveLoki},
	{"otlp", "OTLP/HTTP logs, protobuf and JSON: OpenTelemetry Collector and SDKs", []string{"POST /v1/logs"}, 6, serveOTLP},
}

// Routes lists what all Endpoints answer.
func Routes() (routes []string) {
	for _, e := range Endpoints {
		routes = append(routes, e.Routes...)
	}
	return routes
}
