package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/preheat/preheat/history"
	"github.com/preheat/preheat/keys"
)

// WatchKeys adds what each key did. There are as many label values as keys.
func (m *Metrics) WatchKeys(stats func() keys.Stats) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("preheat_key_"+name, help, labels, nil)
	}
	runs := desc("runs_total", "Runs that were admitted, by key.", "key")
	running := desc("running", "Runs that were admitted and are not over, by key.", "key")
	refusals := desc("refusals_total", "Requests that were refused, by key and reason; without a name where no key was found.", "key", "reason")
	m.registry.MustRegister(snapshot{
		descs: []*prometheus.Desc{runs, running, refusals},
		collect: func(send func(*prometheus.Desc, prometheus.ValueType, float64, ...string)) {
			s := stats()
			send(refusals, prometheus.CounterValue, float64(s.Unknown), "", string(keys.Unknown))
			for _, k := range s.Keys {
				send(runs, prometheus.CounterValue, float64(k.Admitted), k.Name)
				send(running, prometheus.GaugeValue, float64(k.Running), k.Name)
				for _, reason := range keys.Reasons {
					if reason != keys.Unknown {
						send(refusals, prometheus.CounterValue, float64(k.Refused[reason]), k.Name, string(reason))
					}
				}
			}
		},
	})
}

// WatchHistory adds what the history holds, and what it could not keep.
func (m *Metrics) WatchHistory(stats func() history.Stats) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("preheat_history_"+name, help, labels, nil)
	}
	runs := desc("runs", "Runs in the history.")
	bytes := desc("bytes", "Size of the runs in the history.")
	waiting := desc("waiting_runs", "Runs that are not written yet.")
	written := desc("written_total", "Runs that were written.")
	dropped := desc("dropped_total", "Runs that were not kept, by reason.", "reason")
	m.registry.MustRegister(snapshot{
		descs: []*prometheus.Desc{runs, bytes, waiting, written, dropped},
		collect: func(send func(*prometheus.Desc, prometheus.ValueType, float64, ...string)) {
			s := stats()
			send(runs, prometheus.GaugeValue, float64(s.Runs))
			send(bytes, prometheus.GaugeValue, float64(s.Bytes))
			send(waiting, prometheus.GaugeValue, float64(s.Waiting))
			send(written, prometheus.CounterValue, float64(s.Written))
			for reason, n := range map[string]uint64{
				"queue_full": s.Dropped.QueueFull, "disk": s.Dropped.Disk, "too_large": s.Dropped.TooLarge,
				"duplicate": s.Dropped.Duplicate, "closed": s.Dropped.Closed,
			} {
				send(dropped, prometheus.CounterValue, float64(n), reason)
			}
		},
	})
}

// snapshot is a collector that reads one snapshot whenever Prometheus asks.
type snapshot struct {
	descs   []*prometheus.Desc
	collect func(send func(*prometheus.Desc, prometheus.ValueType, float64, ...string))
}

// Describe sends every description once.
func (s snapshot) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range s.descs {
		ch <- d
	}
}

// Collect sends one snapshot.
func (s snapshot) Collect(ch chan<- prometheus.Metric) {
	s.collect(func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	})
}
