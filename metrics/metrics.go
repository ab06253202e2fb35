// Package metrics shows a pool to Prometheus.
//
// Make a [Metrics] with [New], give its Hooks to the pool, its Watch the pool's
// Stats, and serve its Handler. Gauges and most counters are read from the
// pool's stats when Prometheus asks; only what the stats do not hold, durations
// and the outcomes of runs, is observed through the hooks.
//
// All names begin with preheat_, all times are in seconds, and every label has
// a bounded set of values: the configured languages and keys, the server's
// routes, and words of preheat's packages. Histograms are classic and native.
package metrics

import (
	"cmp"
	"net/http"
	"strconv"
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

// sizes, in bytes, are from 4 MiB to 4 GiB.
var sizes = prometheus.ExponentialBuckets(4<<20, 2, 11)

// Driver has the words of the driver whose sandboxes are observed.
type Driver struct {
	Operations    []string           // the calls of the engine
	LaunchReasons []string           // why a launch failed
	LaunchReason  func(error) string // one of these
}

// Metrics holds what preheat tells Prometheus, in a registry of its own. Its
// methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	driver   Driver

	runs           *prometheus.CounterVec
	runFailures    *prometheus.CounterVec
	launchFailures *prometheus.CounterVec
	reaped         prometheus.Counter
	leaked         prometheus.Gauge
	auditFailures  prometheus.Counter
	requests       *prometheus.CounterVec
	engineErrors   *prometheus.CounterVec

	run      *prometheus.HistogramVec
	handover *prometheus.HistogramVec
	memory   *prometheus.HistogramVec
	cpu      *prometheus.HistogramVec
	wait     *prometheus.HistogramVec
	launch   *prometheus.HistogramVec
	destroy  *prometheus.HistogramVec
	request  *prometheus.HistogramVec
	engine   *prometheus.HistogramVec
}

// New returns metrics of the given version of preheat, with those of the
// process and the Go runtime.
func New(version string, driver Driver) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), driver: driver}
	m.addCounters()
	m.addHistograms()
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "preheat_build_info",
		Help: "Always 1; the label says which version runs.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)
	for _, operation := range driver.Operations {
		m.engineErrors.WithLabelValues(operation)
	}
	return m
}

func (m *Metrics) addCounters() {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	m.runs = counter("preheat_runs_total",
		"Programs that were run, by how they ended.", "language", "status")
	m.runFailures = counter("preheat_run_failures_total",
		"Runs of which nothing is known, because preheat or the engine failed or the client's time was up.", "language")
	m.launchFailures = counter("preheat_launch_failures_total",
		"Launches that failed, by reason.", "language", "reason")
	m.requests = counter("preheat_http_requests_total",
		"Requests that were answered, by route, method and status code.", "route", "method", "code")
	m.engineErrors = counter("preheat_engine_request_errors_total",
		"Calls of the engine that it did not answer, or answered with an error of its own.", "operation")
	m.reaped = counter("preheat_reaped_sandboxes_total",
		"Sandboxes of an earlier process that were destroyed.").WithLabelValues()
	m.auditFailures = counter("preheat_audit_failures_total",
		"Times that the engine could not be asked for the sandboxes it has.").WithLabelValues()
	m.leaked = prometheus.NewGauge(prometheus.GaugeOpts{Name: "preheat_leaked_sandboxes",
		Help: "Sandboxes that the engine has and the pool does not know."})
	m.registry.MustRegister(m.leaked)
}

func (m *Metrics) addHistograms() {
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.run = histogram("preheat_run_duration_seconds",
		"Time from handing a program over to its end.", buckets, "language", "status")
	m.handover = histogram("preheat_handover_duration_seconds",
		"Time that a run took beside its program's: from the lease to the hand-over, and from the program's end to the answer.", buckets, "language")
	m.memory = histogram("preheat_run_memory_bytes",
		"Most memory that the sandbox of a run used, where that is known.", sizes, "language")
	m.cpu = histogram("preheat_run_cpu_seconds",
		"Processor time of a run, where that is known.", buckets, "language")
	m.wait = histogram("preheat_acquire_wait_seconds",
		"Time that requests waited for the sandbox that they got.", buckets, "language")
	m.launch = histogram("preheat_launch_duration_seconds",
		"Time from the start of a launch until the sandbox was warm.", buckets, "language")
	m.destroy = histogram("preheat_destroy_duration_seconds",
		"Time that it took to destroy a sandbox.", buckets, "language")
	m.request = histogram("preheat_http_request_duration_seconds",
		"Time from the arrival of a request until its answer could be sent; of a stream, until it could begin.", buckets, "route", "method")
	m.engine = histogram("preheat_engine_request_duration_seconds",
		"Time from a call of the engine until its answer began.", buckets, "operation")
}

// Hooks observe a pool. What else happens is in the pool's stats, and so not
// counted here.
func (m *Metrics) Hooks() pool.Hooks {
	return pool.Hooks{
		Acquired: func(language string, wait time.Duration, err error) { observe(m.wait, wait, err, language) },
		Launched: func(language string, took time.Duration, err error) {
			observe(m.launch, took, err, language)
			if err != nil {
				m.launchFailures.WithLabelValues(language, m.driver.LaunchReason(err)).Inc()
			}
		},
		Destroyed: func(language string, took time.Duration, err error) {
			observe(m.destroy, took, err, language)
		},
		Ran: m.ran,
	}
}

func (m *Metrics) ran(language string, took time.Duration, result sandbox.Result, err error) {
	if err != nil {
		m.runFailures.WithLabelValues(language).Inc()
		return
	}
	status := string(result.Status)
	m.runs.WithLabelValues(language, status).Inc()
	observe(m.run, result.Duration, nil, language, status)
	observe(m.handover, max(0, took-result.Resized-result.Duration), nil, language)
	if result.Usage.MemoryBytes > 0 {
		m.memory.WithLabelValues(language).Observe(float64(result.Usage.MemoryBytes))
	}
	if result.Usage.CPU > 0 {
		observe(m.cpu, result.Usage.CPU, nil, language)
	}
}

// observe records how long something took that did not fail.
func observe(h *prometheus.HistogramVec, took time.Duration, err error, labels ...string) {
	if err == nil {
		h.WithLabelValues(labels...).Observe(took.Seconds())
	}
}

// Engine says what makes the sandboxes of each language. It panics when called
// twice.
func (m *Metrics) Engine(engine sandbox.EngineInfo, languages []sandbox.Language) {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "preheat_engine_info",
		Help: "Always 1; the labels say what makes a language's sandboxes: the driver, the engine's version, the OCI runtime.",
	}, []string{"language", "driver", "version", "runtime"})
	m.registry.MustRegister(info)
	for _, l := range languages {
		info.WithLabelValues(l.Name, engine.Name, engine.Version, cmp.Or(l.Runtime, engine.Runtime)).Set(1)
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
		for _, reason := range m.driver.LaunchReasons {
			m.launchFailures.WithLabelValues(l.Language, reason)
		}
	}
}

// Answered counts a request that was answered. The route must be the template of
// a path, and the method one that HTTP has.
func (m *Metrics) Answered(route, method string, code int, took time.Duration) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(code)).Inc()
	observe(m.request, took, nil, route, method)
}

// Called counts a call of the engine.
func (m *Metrics) Called(operation string, took time.Duration, failed bool) {
	observe(m.engine, took, nil, operation)
	if failed {
		m.engineErrors.WithLabelValues(operation).Inc()
	}
}

// Audited says how many sandboxes the engine has that the pool does not know; an
// error says that the engine could not be asked.
func (m *Metrics) Audited(leaked int, err error) {
	if err != nil {
		m.auditFailures.Inc()
		return
	}
	m.leaked.Set(float64(leaked))
}

// Reaped counts sandboxes of an earlier process that were destroyed.
func (m *Metrics) Reaped(n int) { m.reaped.Add(float64(n)) }

// Handler serves the metrics in the formats that Prometheus asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
