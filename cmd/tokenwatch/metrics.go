package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// metrics are what /metrics shows besides the API's own.
type metrics struct {
	records   *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	rejects   *prometheus.CounterVec
	refused   *prometheus.CounterVec
	drops     *prometheus.CounterVec
	stages    *prometheus.HistogramVec
	groups    prometheus.Counter
	requests  prometheus.Counter
	read      prometheus.Gauge
	cursor    prometheus.Gauge
	revisions prometheus.Counter
}

func newMetrics(ctx context.Context, to *prometheus.Registry, store *local.Store) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		records: vector("tokenwatch_ingest_records_total", "Records stored.", "tenant"),
		bytes:   vector("tokenwatch_ingest_bytes_total", "Bytes of decoded requests stored.", "tenant"),
		rejects: vector("tokenwatch_ingest_rejects_total", "Records that could not be stored, by reason.", "tenant", "reason"),
		refused: vector("tokenwatch_ingest_refused_total", "Requests that were not accepted, by reason.", "tenant", "reason"),
		drops:   vector("tokenwatch_source_dropped_total", "Messages, connections and objects that listeners and readers did not take, by reason.", "tenant", "reason"),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tokenwatch_stage_seconds", Help: "Wall clock time of the stages of a request, and of the engine for an entry.",
			Buckets: prometheus.ExponentialBuckets(1e-4, 4, 10),
		}, []string{"stage"}),
		groups:    counter("tokenwatch_ingest_groups_total", "Group commits to the log."),
		requests:  counter("tokenwatch_ingest_requests_total", "Requests in those groups."),
		read:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "tokenwatch_engine_read_offset", Help: "Log offset up to which the engine has read and judged."}),
		cursor:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "tokenwatch_engine_cursor", Help: "Log offset up to which the engine has committed."}),
		revisions: counter("tokenwatch_findings_revisions_total", "Revisions of findings."),
	}
	all := []prometheus.Collector{
		m.records, m.bytes, m.rejects, m.refused, m.drops, m.stages, m.groups, m.requests, m.read, m.cursor, m.revisions,
		storeMetrics{store}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
	for _, c := range all {
		if err := to.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	cursor, err := store.Cursor(ctx)
	if err != nil {
		return nil, err
	}
	m.cursor.Set(float64(cursor))
	return m, nil
}

// Accepted counts what is durable; see ingest.Metrics.
func (m *metrics) Accepted(tenant string, records int, bytes int64) {
	m.records.WithLabelValues(tenant).Add(float64(records))
	m.bytes.WithLabelValues(tenant).Add(float64(bytes))
}

// Rejected counts records that could not be stored.
func (m *metrics) Rejected(tenant, reason string, n int) {
	m.rejects.WithLabelValues(tenant, reason).Add(float64(n))
}

// dropped counts what listeners and readers did not take.
func (m *metrics) dropped(tenant, reason string, n int) {
	m.drops.WithLabelValues(tenant, reason).Add(float64(n))
}

// Refused counts requests that were not accepted.
func (m *metrics) Refused(tenant, reason string) { m.refused.WithLabelValues(tenant, reason).Inc() }

// Took notes how long a stage took.
func (m *metrics) Took(stage ingest.Stage, d time.Duration) {
	m.stages.WithLabelValues(string(stage)).Observe(d.Seconds())
}

// Committed counts a group.
func (m *metrics) Committed(requests int) {
	m.groups.Inc()
	m.requests.Add(float64(requests))
}

// engineTook notes how long the engine took for an entry.
func (m *metrics) engineTook(d time.Duration) { m.Took("engine", d) }

// engineRead is told of every entry the engine has read.
func (m *metrics) engineRead(offset tokenwatch.Offset) { m.read.Set(float64(offset)) }

// stepped is told of every Step of the engine.
func (m *metrics) stepped(cursor tokenwatch.Offset, findings []tokenwatch.Finding) {
	m.cursor.Set(float64(cursor))
	m.revisions.Add(float64(len(findings)))
}

// storeMetrics asks the store when it is asked.
type storeMetrics struct{ store *local.Store }

func (s storeMetrics) descriptions() [6]*prometheus.Desc {
	describe := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	return [...]*prometheus.Desc{
		describe("tokenwatch_log_last_offset", "Offset of the newest entry of the log."),
		describe("tokenwatch_store_commits_total", "Group commits since the store was made."),
		describe("tokenwatch_history_leaves", "Leaves of the history."),
		describe("tokenwatch_store_disk_bytes", "Bytes on disk."),
		describe("tokenwatch_store_read_only", "1 while the store takes no entries."),
		describe("tokenwatch_store_ids_forgotten_total", "Event ids forgotten early for want of room."),
	}
}

// Describe says what there is.
func (s storeMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range s.descriptions() {
		out <- d
	}
}

// Collect asks the store; one that is closed says nothing.
func (s storeMetrics) Collect(out chan<- prometheus.Metric) {
	stats, err := s.store.Stats()
	if err != nil {
		return
	}
	readOnly := 0.0
	if stats.ReadOnly {
		readOnly = 1
	}
	values := [...]float64{
		float64(stats.Last), float64(stats.Commits), float64(stats.Leaves),
		float64(stats.DiskBytes), readOnly, float64(stats.IDsOverflow),
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	types := [...]prometheus.ValueType{gauge, counter, gauge, gauge, gauge, counter}
	for i, d := range s.descriptions() {
		out <- prometheus.MustNewConstMetric(d, types[i], values[i])
	}
}
