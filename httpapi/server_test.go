package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's own: one notices its server's end within 10 s, one lives
		// as long as the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

const patience = 20 * time.Second

// program is a script for the fake sandbox.
func program(lines ...string) string { return "#!fake\n" + strings.Join(lines, "\n") }

func runBody(lines ...string) string {
	body, err := json.Marshal(map[string]string{"code": program(lines...)})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// testServer is a server on 127.0.0.1 with a client of its own.
type testServer struct {
	*Server
	t         *testing.T
	url       string
	transport *http.Transport
	contract  *contract
	served    chan error // Listener's answer, once
}

// start serves cfg on a pool of four Python and one Node sandbox of fake.
func start(t *testing.T, fake *sandboxtest.Fake, cfg Config) *testServer {
	t.Helper()
	return startPool(t, fake, cfg, pool.Config{Queue: 2})
}

func startPool(t *testing.T, fake *sandboxtest.Fake, cfg Config, poolCfg pool.Config) *testServer {
	t.Helper()
	python, node := sandboxtest.FakeLanguage("python"), sandboxtest.FakeLanguage("node")
	python.Entry = "main.py"
	node.Entry, node.Aliases = "main.js", []string{"javascript", "js"}
	poolCfg.Languages = []pool.Member{{Language: python, Size: 4}, {Language: node, Size: 1}}
	p, err := pool.New(fake, poolCfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("closing the pool: %v", err)
		}
	})
	cfg.Pool = p
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return listen(t, s)
}

func listen(t *testing.T, s *Server) *testServer {
	t.Helper()
	return listenOn(t, s, "127.0.0.1:0")
}

func listenOn(t *testing.T, s *Server, address string) *testServer {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ts := &testServer{
		Server: s, t: t, url: fmt.Sprintf("http://127.0.0.1:%d", ln.Addr().(*net.TCPAddr).Port),
		transport: &http.Transport{DisableCompression: true}, contract: newContract(t, s), served: make(chan error, 1),
	}
	go func() { ts.served <- s.Listener(ln) }()
	eventually(t, "the server listens", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.listener != nil
	})
	t.Cleanup(func() {
		ts.transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-ts.served; err != nil {
			t.Errorf("Listener: %v", err)
		}
	})
	return ts
}

type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request; header is a list of names and values. Host is one of them.
func (ts *testServer) do(method, path, body string, header ...string) reply {
	ts.t.Helper()
	req, err := http.NewRequestWithContext(ts.t.Context(), method, ts.url+path, strings.NewReader(body))
	if err != nil {
		ts.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := ts.transport.RoundTrip(req)
	if err != nil {
		ts.t.Errorf("%s %s: %v", method, path, err)
		return reply{}
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		ts.t.Errorf("%s %s: %v", method, path, err)
	}
	r := reply{resp.StatusCode, resp.Header, string(content)}
	if err := ts.contract.check(method, path, body, req.Header, r); err != nil {
		ts.t.Errorf("%s %s, answered with %d %.500s: not as /openapi.json says: %v", method, path, r.status, r.body, err)
	}
	return r
}

func (ts *testServer) run(body string) reply {
	ts.t.Helper()
	return ts.do("POST", "/run", body, "Content-Type", "application/json")
}

// refused checks a reply's status, code and what every refusal has.
func (r reply) refused(t *testing.T, code Code) errorAnswer {
	t.Helper()
	var got errorAnswer
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Errorf("the answer %q is not an error: %v", r.body, err)
	}
	if r.status != statusOf[code] || got.Code != code || got.Error == "" {
		t.Errorf("got %d %s, want %d %s", r.status, r.body, statusOf[code], code)
	}
	if kind := r.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("the Content-Type is %q", kind)
	}
	if !validID(r.header.Get("X-Request-Id")) {
		t.Errorf("the X-Request-Id is %q", r.header.Get("X-Request-Id"))
	}
	wantsRetry := r.status == 429 || r.status == 503
	if got := r.header.Get("Retry-After"); (got != "") != wantsRetry {
		t.Errorf("Retry-After is %q on a %d", got, r.status)
	}
	return got
}

func (r reply) ran(t *testing.T) runAnswer {
	t.Helper()
	var got runAnswer
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil || r.status != 200 {
		t.Errorf("got %d %s (%v), want a run", r.status, r.body, err)
	}
	return got
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// held is a RunFunc whose programs wait for release and then print.
func held(release <-chan struct{}) sandboxtest.RunFunc {
	return func(ctx context.Context, _ sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		out.Stdout([]byte("done\n"))
		return sandbox.Result{Status: sandbox.OK}, nil
	}
}

// logged collects log lines.
type logged struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// warm waits until the pool is as full as it should be.
func (ts *testServer) warm() {
	ts.t.Helper()
	eventually(ts.t, "the pool is warm", func() bool {
		for _, l := range ts.pool.Stats().Languages {
			if l.Warm != l.Size {
				return false
			}
		}
		return true
	})
}
