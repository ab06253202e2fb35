// Package metrics shows a pool to Prometheus.
//
// Make a [Metrics] with [New], give its Hooks to the pool, its Watch the pool's
// Stats, and serve its Handler. Gauges and most counters are read from the
// pool's stats when Prometheus asks; only what the stats do not hold, durations
// and the outcomes of runs, is observed through the hooks.
//
// All names begin with preheat_, all times are in seconds, and every label has
// a bounded set of values: the configured languages, and words of this package
// and of package sandbox.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
)

// buckets, in seconds, are for warm runs of a few milliseconds as well as for
// launches and runs that reach their deadline.
var buckets = []float64{.001, .0025, .005, .0075, .01, .015, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// Metrics holds what preheat tells Prometheus, in a registry of its own. Its
// methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	runs        *prometheus.CounterVec
	runFailures *prometheus.CounterVec
	reaped      prometheus.Counter

	run     *prometheus.HistogramVec
	wait    *prometheus.HistogramVec
	launch  *prometheus.HistogramVec
	destroy *prometheus.HistogramVec
}

// New returns metrics of the given version of preheat, with those of the
// process and the Go runtime.
func New(version string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		runs: counter("preheat_runs_total",
			"Programs that were run, by how they ended.", "language", "status"),
		runFailures: counter("preheat_run_failures_total",
			"Runs of which nothing is known, because preheat or the engine failed or the client's time was up.", "language"),
		reaped: prometheus.NewCounter(prometheus.CounterOpts{Name: "preheat_reaped_sandboxes_total",
			Help: "Sandboxes of an earlier process that were destroyed."}),
		run: histogram("preheat_run_duration_seconds",
			"Time from handing a program over to its end.", "language", "status"),
		wait: histogram("preheat_acquire_wait_seconds",
			"Time that requests waited for the sandbox that they got.", "language"),
		launch: histogram("preheat_launch_duration_seconds",
			"Time from the start of a launch until the sandbox was warm.", "language"),
		destroy: histogram("preheat_destroy_duration_seconds",
			"Time that it took to destroy a sandbox.", "language"),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "preheat_build_info",
		Help: "Always 1; the label says which version runs.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build, m.runs, m.runFailures, m.reaped, m.run, m.wait, m.launch, m.destroy,
	)
	return m
}

// Hooks observe a pool. Failed launches, refused requests and deaths are in the
// pool's stats, and so not counted here.
func (m *Metrics) Hooks() pool.Hooks {
	return pool.Hooks{
		Acquired: func(language string, wait time.Duration, err error) { observe(m.wait, wait, err, language) },
		Launched: func(language string, took time.Duration, err error) { observe(m.launch, took, err, language) },
		Destroyed: func(language string, took time.Duration, err error) {
			observe(m.destroy, took, err, language)
		},
		Ran: func(language string, result sandbox.Result, err error) {
			if err != nil {
				m.runFailures.WithLabelValues(language).Inc()
				return
			}
			status := string(result.Status)
			m.runs.WithLabelValues(language, status).Inc()
			observe(m.run, result.Duration, nil, language, status)
		},
	}
}

// observe records how long something took that did not fail.
func observe(h *prometheus.HistogramVec, took time.Duration, err error, labels ...string) {
	if err == nil {
		h.WithLabelValues(labels...).Observe(took.Seconds())
	}
}

// Watch adds the pool's stats. It also makes every language's counters begin at
// 0, so that the first run, and the first failure, are seen as an increase. It
// panics when called twice.
func (m *Metrics) Watch(stats func() pool.Stats) {
	m.registry.MustRegister(newCollector(stats))
	for _, l := range stats().Languages {
		m.runFailures.WithLabelValues(l.Language)
		for _, status := range sandbox.Statuses {
			m.runs.WithLabelValues(l.Language, string(status))
		}
	}
}

// Reaped counts sandboxes of an earlier process that were destroyed.
func (m *Metrics) Reaped(n int) { m.reaped.Add(float64(n)) }

// Handler serves the metrics in the formats that Prometheus asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
