package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/preheat/preheat/pool"
)

// series is one time series of every language.
type series struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	label string // value of the second label, if the metric has one
	value func(pool.LanguageStats) float64
}

// collector reads a pool's stats whenever Prometheus asks.
type collector struct {
	stats   func() pool.Stats
	maxLive *prometheus.Desc
	series  []series
}

func newCollector(stats func() pool.Stats) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("preheat_"+name, help, labels, nil)
	}
	sandboxes := desc("sandboxes", "Sandboxes that exist, by what they are doing.", "language", "state")
	acquires := desc("acquires_total", "Requests that got a sandbox, by whether one was warm or they had to wait.", "language", "outcome")
	rejections := desc("rejections_total", "Requests that got no sandbox, by reason.", "language", "reason")
	gauge := func(d *prometheus.Desc, label string, value func(pool.LanguageStats) int) series {
		return series{d, prometheus.GaugeValue, label, func(l pool.LanguageStats) float64 { return float64(value(l)) }}
	}
	counter := func(d *prometheus.Desc, label string, value func(pool.LanguageStats) uint64) series {
		return series{d, prometheus.CounterValue, label, func(l pool.LanguageStats) float64 { return float64(value(l)) }}
	}
	return &collector{
		stats:   stats,
		maxLive: desc("max_sandboxes", "Sandboxes of all languages that may exist at once."),
		series: []series{
			gauge(sandboxes, "warm", func(l pool.LanguageStats) int { return l.Warm }),
			gauge(sandboxes, "leased", func(l pool.LanguageStats) int { return l.Leased }),
			gauge(sandboxes, "launching", func(l pool.LanguageStats) int { return l.Launching }),
			gauge(sandboxes, "destroying", func(l pool.LanguageStats) int { return l.Destroying }),
			gauge(desc("pool_size", "Warm sandboxes that the pool aims for.", "language"), "",
				func(l pool.LanguageStats) int { return l.Size }),
			gauge(desc("waiting_requests", "Requests that wait for a sandbox.", "language"), "",
				func(l pool.LanguageStats) int { return l.Waiting }),
			counter(acquires, "hit", func(l pool.LanguageStats) uint64 { return l.Hits }),
			counter(acquires, "wait", func(l pool.LanguageStats) uint64 { return l.Waits }),
			counter(rejections, "queue_full", func(l pool.LanguageStats) uint64 { return l.RefusedQueueFull }),
			counter(rejections, "no_sandbox", func(l pool.LanguageStats) uint64 { return l.RefusedNoSandbox }),
			counter(rejections, "draining", func(l pool.LanguageStats) uint64 { return l.RefusedClosed }),
			counter(desc("launches_total", "Sandboxes that became warm.", "language"), "",
				func(l pool.LanguageStats) uint64 { return l.Launched }),
			counter(desc("idle_deaths_total", "Sandboxes that ended while they were warm.", "language"), "",
				func(l pool.LanguageStats) uint64 { return l.Died }),
			counter(desc("destroy_failures_total", "Attempts to destroy a sandbox that failed.", "language"), "",
				func(l pool.LanguageStats) uint64 { return l.DestroyFailures }),
		},
	}
}

// Describe sends every description once.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.maxLive
	for _, s := range c.series {
		ch <- s.desc
	}
}

// Collect sends one snapshot.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	stats := c.stats()
	ch <- prometheus.MustNewConstMetric(c.maxLive, prometheus.GaugeValue, float64(stats.MaxLive))
	for _, l := range stats.Languages {
		for _, s := range c.series {
			labels := []string{l.Language}
			if s.label != "" {
				labels = append(labels, s.label)
			}
			ch <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value(l), labels...)
		}
	}
}
