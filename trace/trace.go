// Package trace sends traces to an OpenTelemetry collector, by OTLP over HTTP.
//
// Make a [Tracer] with [New] and give it each trace when that is over, with
// [Tracer.Send]. It never waits for the collector: what cannot be sent is
// dropped, and the log says when that begins and when it ends.
package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

const (
	waiting    = 2048            // spans that may wait to be sent; more are dropped
	batchPause = time.Second     // between two batches, unless one is full
	sending    = 5 * time.Second // one batch
	flushing   = 2 * time.Second // what waits, at the end
)

// Span is something that took time, as part of the span whose child it is.
type Span struct {
	Name       string
	Start      time.Time
	Took       time.Duration
	Attributes map[string]string
	Failure    string // why it failed; empty when it did not
	Children   []Span
}

// Tracer sends traces. Its methods are safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   api.Tracer
	exporter *exporter
}

// New returns a tracer of a service in a version that sends to the collector at
// endpoint, an http or https URL, in which a user and password may stand; without
// a path, that is /v1/traces. It does not connect yet.
func New(endpoint, service, version string, log *slog.Logger) (*Tracer, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("trace: the collector must be an http or https URL, such as http://localhost:4318")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	e := &exporter{log: log}
	e.life, e.end = context.WithCancel(context.Background())
	e.SpanExporter, err = otlptrace.New(e.life, &client{url: u.String(), http: http.Client{Transport: new(http.Transport)}})
	if err != nil {
		e.end()
		return nil, fmt.Errorf("trace: %w", err)
	}
	provider := sdk.NewTracerProvider(
		sdk.WithSampler(sdk.AlwaysSample()),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", service), attribute.String("service.version", version))),
		sdk.WithBatcher(e, sdk.WithMaxQueueSize(waiting), sdk.WithBatchTimeout(batchPause), sdk.WithExportTimeout(sending)),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/preheat/preheat"), exporter: e}, nil
}

// Send sends the trace of which s is the root. It does not block.
func (t *Tracer) Send(s Span) { t.send(context.Background(), s) }

func (t *Tracer) send(ctx context.Context, s Span) {
	attributes := make([]attribute.KeyValue, 0, len(s.Attributes))
	for name, value := range s.Attributes {
		attributes = append(attributes, attribute.String(name, value))
	}
	ctx, span := t.tracer.Start(ctx, s.Name, api.WithTimestamp(s.Start), api.WithAttributes(attributes...))
	for _, child := range s.Children {
		t.send(ctx, child)
	}
	if s.Failure != "" {
		span.SetStatus(codes.Error, s.Failure)
	}
	span.End(api.WithTimestamp(s.Start.Add(s.Took)))
}

// Close sends what waits, for two seconds at most, and ends the tracer's
// goroutine.
func (t *Tracer) Close() {
	defer time.AfterFunc(flushing, t.exporter.end).Stop()
	// With no deadline: it waits for the goroutine, which the exporter's end
	// lets go.
	if err := t.provider.Shutdown(context.Background()); err != nil {
		t.exporter.log.Warn("the tracer did not end as it should", "error", err)
	}
	t.exporter.end()
}

// exporter drops what the collector does not take.
type exporter struct {
	sdk.SpanExporter
	log     *slog.Logger
	life    context.Context // of every export
	end     context.CancelFunc
	failing atomic.Bool
}

// ExportSpans never fails: the SDK would tell a logger of its own.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !e.failing.Swap(true):
		e.log.Warn("traces are dropped until the collector takes them", "error", err)
	case err == nil && e.failing.Swap(false):
		e.log.Info("the collector takes traces again")
	}
	return nil
}
