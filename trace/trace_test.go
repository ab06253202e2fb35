package trace

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is a collector that keeps what it is sent.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex // guards what follows
	paths   []string
	service []string
	spans   []*wire.Span
}

func startReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		got, err := decode(req)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.paths = append(r.paths, req.Method+" "+req.URL.Path)
		for _, resource := range got.ResourceSpans {
			for _, a := range resource.Resource.Attributes {
				r.service = append(r.service, a.Key+"="+a.Value.GetStringValue())
			}
			for _, scope := range resource.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func decode(req *http.Request) (*collector.ExportTraceServiceRequest, error) {
	got := new(collector.ExportTraceServiceRequest)
	content, err := io.ReadAll(req.Body)
	if err != nil {
		return got, err
	}
	if kind := req.Header.Get("Content-Type"); kind != "application/x-protobuf" {
		return got, fmt.Errorf("the Content-Type is %q", kind)
	}
	return got, proto.Unmarshal(content, got)
}

// tree writes what was received as an indented tree.
func (r *receiver) tree(parent []byte, indent string) string {
	var b strings.Builder
	for _, s := range r.spans {
		if string(s.ParentSpanId) != string(parent) {
			continue
		}
		fmt.Fprintf(&b, "%s%s %v", indent, s.Name, time.Duration(s.EndTimeUnixNano-s.StartTimeUnixNano))
		var attributes []string
		for _, a := range s.Attributes {
			attributes = append(attributes, " "+a.Key+"="+a.Value.GetStringValue())
		}
		slices.Sort(attributes)
		b.WriteString(strings.Join(attributes, ""))
		if s.Status.GetCode() == wire.Status_STATUS_CODE_ERROR {
			b.WriteString(" failed: " + s.Status.Message)
		}
		b.WriteString("\n" + r.tree(s.SpanId, indent+"  "))
	}
	return b.String()
}

func newTracer(t *testing.T, endpoint string, log io.Writer) *Tracer {
	t.Helper()
	tracer, err := New(endpoint, "preheat", "1.2.3", slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

func TestATraceArrivesAsATree(t *testing.T) {
	r := startReceiver(t)
	tracer := newTracer(t, r.URL, t.Output())
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tracer.Send(Span{
		Name: "run", Start: start, Took: 10 * time.Millisecond, Attributes: map[string]string{"id": "r1", "status": "ok"},
		Children: []Span{
			{Name: "queue", Start: start, Took: time.Millisecond},
			{Name: "run", Start: start.Add(time.Millisecond), Took: 5 * time.Millisecond, Children: []Span{{Name: "deep", Start: start}}},
		},
	})
	tracer.Send(Span{Name: "launch", Start: start, Took: time.Second, Failure: "refused"})
	tracer.Close()

	r.mu.Lock()
	defer r.mu.Unlock()
	// Children end, and so arrive, before their parent.
	slices.SortFunc(r.spans, func(a, b *wire.Span) int { return strings.Compare(a.Name, b.Name) })
	want := "launch 1s failed: refused\n" +
		"run 10ms id=r1 status=ok\n" +
		"  queue 1ms\n" +
		"  run 5ms\n" +
		"    deep 0s\n"
	if got := r.tree(nil, ""); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if len(r.spans) != 5 {
		t.Fatalf("got %d spans, want 5", len(r.spans))
	}
	traces := map[string]bool{}
	for _, s := range r.spans {
		traces[string(s.TraceId)] = true
		if s.Name == "queue" && s.StartTimeUnixNano != uint64(start.UnixNano()) {
			t.Errorf("the queue began at %d", s.StartTimeUnixNano)
		}
	}
	if len(traces) != 2 {
		t.Errorf("there are %d traces, want 2", len(traces))
	}
	slices.Sort(r.service)
	if !slices.Equal(r.service, []string{"service.name=preheat", "service.version=1.2.3"}) || !slices.Equal(r.paths, []string{"POST /v1/traces"}) {
		t.Errorf("%q came to %q", r.service, r.paths)
	}
}

func TestTheCollectorsOwnPathAndUserAreKept(t *testing.T) {
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		got = fmt.Sprint(r.URL.Path, " ", user, " ", password)
	}))
	defer s.Close()
	tracer := newTracer(t, strings.Replace(s.URL, "://", "://me:secret@", 1)+"/otlp/traces", t.Output())
	tracer.Send(Span{Name: "run", Start: time.Now()})
	tracer.Close()
	if got != "/otlp/traces me secret" {
		t.Errorf("the collector saw %q", got)
	}
}

func TestOnlyURLsOfHTTPAreEndpoints(t *testing.T) {
	for _, endpoint := range []string{"localhost:4318", "grpc://localhost:4317", "http://", "/v1/traces", "http://a b"} {
		if _, err := New(endpoint, "preheat", "", slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%q is accepted", endpoint)
		}
	}
}

// A collector that takes connections and never answers must cost nothing but its
// traces, and hold the end up no longer than flushing.
func TestACollectorThatHangsHoldsNothingUp(t *testing.T) {
	release := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-release
	}))
	defer hung.Close()
	defer close(release)
	var log strings.Builder
	tracer := newTracer(t, hung.URL, &log)
	for range 3 * waiting {
		tracer.Send(Span{Name: "run", Start: time.Now(), Children: []Span{{Name: "queue", Start: time.Now()}}})
	}
	begin := time.Now()
	tracer.Close()
	if took := time.Since(begin); took > 2*flushing {
		t.Errorf("Close took %v", took)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "traces are dropped") {
		t.Errorf("the log is %q, want one line", log.String())
	}
}

func TestACollectorThatComesBackIsToldOnce(t *testing.T) {
	var mu sync.Mutex
	answers := []int{http.StatusServiceUnavailable, http.StatusServiceUnavailable, http.StatusOK, http.StatusOK}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(answers[0])
		answers = answers[1:]
	}))
	defer s.Close()
	var log strings.Builder
	tracer := newTracer(t, s.URL, &log)
	for range 4 {
		tracer.Send(Span{Name: "run", Start: time.Now()})
		if err := tracer.provider.ForceFlush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	tracer.Close()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "dropped") || !strings.Contains(lines[1], "again") {
		t.Errorf("the log is %q", lines)
	}
	if len(answers) != 0 {
		t.Errorf("%d requests did not come", len(answers))
	}
}
