package notify

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts attempts. How many letters there are by state is read when
// somebody asks.
type metrics struct {
	attempts *prometheus.CounterVec
}

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tokenwatch_notification_attempts_total",
		Help: "Attempts to notify, by target and outcome: sent, failed, or dead when it was the last.",
	}, []string{"target", "outcome"})}
	if to == nil {
		return m, nil
	}
	if err := to.Register(m.attempts); err != nil {
		return nil, fmt.Errorf("register the metrics of notifications: %w", err)
	}
	return m, nil
}

var lettersDesc = prometheus.NewDesc("tokenwatch_notification_letters",
	"Letters to targets by state: pending, held by a suppression, sent, dead.", []string{"target", "state"}, nil)

// Describe and Collect make Post a prometheus.Collector of its letters.
func (p *Post) Describe(to chan<- *prometheus.Desc) { to <- lettersDesc }

// Collect sends how many letters there are.
func (p *Post) Collect(to chan<- prometheus.Metric) {
	for _, r := range p.rounds {
		s := r.status()
		for _, state := range []State{Pending, Held, Sent, Dead} {
			to <- prometheus.MustNewConstMetric(lettersDesc, prometheus.GaugeValue, float64(s.Letters[state]), s.Name, string(state))
		}
	}
}
