package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

// fault is what the engine answers to requests for a path.
type fault struct {
	path   *regexp.Regexp
	status int
	body   string // %x is another number each time
}

// breakEngine puts a proxy before the engine, for what the test starts from
// now on. Where the fault that was stored in it fits, the proxy answers.
func breakEngine(t *testing.T) *atomic.Pointer[fault] {
	t.Helper()
	dial := enginetest.Client(t).Dialer()
	engine := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	through := &httputil.ReverseProxy{
		Transport: engine,
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine" },
		ErrorLog:  log.New(io.Discard, "", 0), // of requests that the server gave up
	}
	var now atomic.Pointer[fault]
	var count atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := now.Load()
		if f == nil || !f.path.MatchString(r.URL.Path) {
			through.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.status)
		fmt.Fprint(w, strings.ReplaceAll(f.body, "%x", fmt.Sprintf("%064x", count.Add(1))))
	}))
	t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
		engine.CloseIdleConnections()
	})
	t.Setenv("DOCKER_HOST", "tcp://"+proxy.Listener.Addr().String())
	return &now
}

// The answers are those of Docker Engine 20.10 to a broken profile, and with a
// runtime that is a script which logs an error and ends.
func TestLaunchesThatTheEngineRefusesAreToldOnceAndRecoverFrom(t *testing.T) {
	for name, test := range map[string]struct {
		fault
		words string // to be found in the log, once, and at /readyz
	}{
		"a profile that the engine rejects": {fault{regexp.MustCompile(`/containers/create$`), http.StatusBadRequest,
			`{"message":"Decoding seccomp profile failed: invalid character 'x' looking for beginning of value"}`},
			"it needs Docker 20.10.10 or newer"},
		"a runtime that dies at start": {fault{regexp.MustCompile(`/containers/[^/]+/start$`), http.StatusInternalServerError,
			`{"message":"failed to create shim task: OCI runtime create failed: %x: cannot make the cage: no such device: unknown"}`},
			"cannot make the cage: no such device"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := breakEngine(t)
			s := startServer(t, "test-refused", "--languages", "python", "--pool", "python=1", "--queue-timeout", "1s")
			broken.Store(&test.fault)
			if a := s.post(t, python("print(1)")); a.Stdout != "1\n" {
				t.Fatalf("the warm sandbox answered %s", a.body)
			}
			eventually(t, "/readyz says why", func() bool {
				said := s.get(t, "/readyz")
				return strings.Contains(said, "No sandbox of python is warm: ") && strings.Contains(said, test.words)
			})
			if a := s.post(t, python("print(2)")); a.http != http.StatusServiceUnavailable || a.Code != "no_sandbox" || a.retryAfter == "" || strings.Contains(a.body, test.words) {
				t.Errorf("a request meanwhile: %d %s", a.http, a.body)
			}
			eventually(t, "three launches have failed", func() bool {
				return regexp.MustCompile(`"launch_failures":([3-9]|\d\d)`).MatchString(s.get(t, "/pool"))
			})
			broken.Store(nil)
			eventually(t, "the server has recovered", func() bool { return s.get(t, "/readyz") == `{"ready":true}`+"\n" })
			if a := s.post(t, python("print(3)")); a.Stdout != "3\n" {
				t.Errorf("after the repair: %s", a.body)
			}
			s.stop(t)
			said := s.log.String()
			if strings.Count(said, test.words) != 1 || strings.Count(said, "as before") < 2 || strings.Count(said, "launches succeed again") != 1 {
				t.Errorf("the log is\n%s", said)
			}
		})
	}
}

func TestNothingIsServedOnAKernelWithoutSeccomp(t *testing.T) {
	breakEngine(t).Store(&fault{regexp.MustCompile(`/info$`), http.StatusOK, `{"ServerVersion":"20.10.24","SecurityOptions":["name=apparmor"]}`})
	for _, args := range [][]string{{"serve", "--addr", "127.0.0.1:0"}, {"doctor"}} {
		cmd := command(args...)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), "CONFIG_SECCOMP_FILTER=y") {
			t.Errorf("%s: exit code %d: %s", args[0], code, out)
		}
	}
}
