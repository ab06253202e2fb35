package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/preheat/preheat/httpapi"
	"github.com/preheat/preheat/metrics"
	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/trace"
)

// observers are told what happens.
type observers struct {
	pool   pool.Hooks
	server httpapi.Hooks
	audit  *auditLog // nil where none is kept
	end    func()    // what they still hold is sent and written when it returns
}

// observers are the metrics, and a tracer and an audit log where they are asked
// for.
func (o *options) observers(m *metrics.Metrics, launchReason func(error) string, log *slog.Logger) (w observers, err error) {
	w = observers{pool: m.Hooks(), server: httpapi.Hooks{Answered: m.Answered}, end: func() {}}
	var ran []func(httpapi.Run)
	if o.auditLog != "" {
		if w.audit, err = openAuditLog(o.auditLog, log); err != nil {
			return w, err
		}
		ran = append(ran, w.audit.ran)
		w.end = w.audit.close
	}
	if o.otlpEndpoint != "" {
		tracer, err := trace.New(o.otlpEndpoint, "preheat", version, log)
		if err != nil {
			w.end()
			return w, usageError{fmt.Errorf("--otlp-endpoint: %w", err)}
		}
		w.pool = w.pool.And(poolTraces(tracer.Send, launchReason))
		ran = append(ran, func(r httpapi.Run) { tracer.Send(runSpan(r)) })
		closeLog := w.end
		w.end = func() { tracer.Close(); closeLog() }
	}
	if len(ran) > 0 {
		w.server.Ran = func(r httpapi.Run) {
			for _, tell := range ran {
				tell(r)
			}
		}
	}
	return w, nil
}

// runSpan is the trace of a run: its wait for a sandbox, the change of its memory
// where there was one, and its program.
func runSpan(r httpapi.Run) trace.Span {
	root := trace.Span{Name: "run", Start: r.Arrived, Took: r.Total, Attributes: map[string]string{
		"preheat.id": r.ID, "preheat.request_id": r.RequestID, "preheat.language": r.Language,
		"preheat.status": r.Status, "preheat.key": r.Key}}
	if r.Failed {
		root.Failure = r.Status
	}
	if r.Leased.IsZero() {
		return root
	}
	root.Children = []trace.Span{{Name: "queue", Start: r.Leased.Add(-r.Queue), Took: r.Queue}}
	if r.Resize > 0 {
		root.Children = append(root.Children, trace.Span{Name: "resize", Start: r.Leased, Took: r.Resize})
	}
	if r.Program > 0 {
		root.Children = append(root.Children, trace.Span{Name: "run", Start: r.Ended.Add(-r.Program), Took: r.Program})
	}
	return root
}

// poolTraces sends launches and destructions, each as a trace of its own.
func poolTraces(send func(trace.Span), launchReason func(error) string) pool.Hooks {
	return pool.Hooks{
		Launched: func(language string, took time.Duration, err error) {
			s := pastSpan("launch", language, took)
			if err != nil {
				s.Failure = launchReason(err)
			}
			send(s)
		},
		Destroyed: func(language string, took time.Duration, err error) {
			s := pastSpan("destroy", language, took)
			if err != nil {
				s.Failure = err.Error()
			}
			send(s)
		},
	}
}

func pastSpan(name, language string, took time.Duration) trace.Span {
	return trace.Span{Name: name, Start: time.Now().Add(-took), Took: took, Attributes: map[string]string{"preheat.language": language}}
}
