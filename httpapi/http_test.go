package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/preheat/preheat/sandbox/sandboxtest"
)

// abandon sends a run and returns when ctx ends.
func (ts *testServer) abandon(ctx context.Context, body string) error {
	req, err := http.NewRequestWithContext(ctx, "POST", ts.url+"/run", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := ts.transport.RoundTrip(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func TestRequestsThatAreNotForARouteAreRefused(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{MaxBodyBytes: 10_000})
	json := []string{"Content-Type", "application/json"}
	tests := []struct {
		name, method, path, body string
		header                   []string
		code                     Code
	}{
		{"no such path", "GET", "/nothing", "", nil, CodeNotFound},
		{"no such path for POST", "POST", "/nothing", "{}", json, CodeNotFound},
		{"a path below one", "GET", "/run/x", "", nil, CodeNotFound},
		{"a path in capitals", "POST", "/RUN", "{}", json, CodeNotFound},
		{"the page when there is none", "GET", "/", "", nil, CodeNotFound},
		{"metrics when there are none", "GET", "/metrics", "", nil, CodeNotFound},
		{"GET of a run", "GET", "/run", "", nil, CodeMethodNotAllowed},
		{"PUT of a run", "PUT", "/run", "{}", json, CodeMethodNotAllowed},
		{"POST of the pool", "POST", "/pool", "{}", json, CodeMethodNotAllowed},
		{"a method of nobody's", "BREW", "/run", "", nil, CodeMethodNotAllowed},
		{"no content type", "POST", "/run", `{"code":"1"}`, nil, CodeUnsupportedMedia},
		{"text", "POST", "/run", `{"code":"1"}`, []string{"Content-Type", "text/plain"}, CodeUnsupportedMedia},
		{"a form", "POST", "/run", `code=1`, []string{"Content-Type", "application/x-www-form-urlencoded"}, CodeUnsupportedMedia},
		{"JSON as a parameter", "POST", "/run", `{"code":"1"}`, []string{"Content-Type", "text/plain; x=application/json"}, CodeUnsupportedMedia},
		{"gzip", "POST", "/run", `{"code":"1"}`, append([]string{"Content-Encoding", "gzip"}, json...), CodeUnsupportedMedia},
		{"a body that is too large", "POST", "/run", strings.Repeat(" ", 10_001), json, CodeBodyTooLarge},
		{"a body that is far too large", "POST", "/run", strings.Repeat(" ", 20<<20), json, CodeBodyTooLarge},
		{"a body that is far too large and asks first", "POST", "/run", strings.Repeat(" ", 20<<20), append([]string{"Expect", "100-continue"}, json...), CodeBodyTooLarge},
		{"headers that are too large", "GET", "/healthz", "", []string{"X-Long", strings.Repeat("x", readBufferBytes)}, CodeHeadersTooLarge},
		{"another host", "GET", "/healthz", "", []string{"Host", "evil.example"}, CodeForbiddenHost},
		{"another host that claims to be forwarded", "GET", "/healthz", "", []string{"Host", "evil.example", "X-Forwarded-Host", "localhost"}, CodeForbiddenHost},
		{"another origin", "POST", "/run", `{"code":"1"}`, append([]string{"Origin", "http://evil.example"}, json...), CodeForbiddenOrigin},
		{"no origin's origin", "GET", "/pool", "", []string{"Origin", "null"}, CodeForbiddenOrigin},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ts.do(tt.method, tt.path, tt.body, tt.header...)
			r.refused(t, tt.code)
			for name := range r.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("the answer has %s", name)
				}
			}
		})
	}
}

func TestAllowTellsTheMethodsOfAPath(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{Page: func(r fiber.Router) {
		r.Get("/", func(c *fiber.Ctx) error { return c.SendString("page") })
	}})
	tests := []struct {
		method, path string
		status       int
		allow        string
	}{
		{"OPTIONS", "/run", 204, "POST, OPTIONS"},
		{"OPTIONS", "/pool", 204, "GET, HEAD, OPTIONS"},
		{"OPTIONS", "/", 204, "GET, HEAD, OPTIONS"},
		{"OPTIONS", "/nothing", 404, ""},
		{"DELETE", "/run", 405, "POST, OPTIONS"},
		{"HEAD", "/run", 405, "POST, OPTIONS"},
		{"POST", "/pool", 405, "GET, HEAD, OPTIONS"},
		{"HEAD", "/pool", 200, ""},
		{"HEAD", "/", 200, ""},
	}
	for _, tt := range tests {
		r := ts.do(tt.method, tt.path, "")
		if r.status != tt.status || r.header.Get("Allow") != tt.allow {
			t.Errorf("%s %s is %d with Allow %q, want %d with %q", tt.method, tt.path, r.status, r.header.Get("Allow"), tt.status, tt.allow)
		}
		if tt.method == "HEAD" && r.body != "" {
			t.Errorf("HEAD %s has the body %q", tt.path, r.body)
		}
	}
}

func TestHostsAreCheckedOnLoopbackOrByList(t *testing.T) {
	tests := []struct {
		name, address, host string
		allowed             []string
		status              int
	}{
		{"a loopback name on loopback", "127.0.0.1:0", "localhost:1", nil, 200},
		{"another on loopback", "127.0.0.1:0", "a.example", nil, 403},
		{"a listed one on loopback", "127.0.0.1:0", "a.example", []string{"a.example"}, 200},
		{"another everywhere", "0.0.0.0:0", "a.example", nil, 200},
		{"another everywhere with a list", "0.0.0.0:0", "a.example", []string{"b.example"}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := newServer(Config{AllowedHosts: tt.allowed}, &stub{})
			if err != nil {
				t.Fatal(err)
			}
			ts := listenOn(t, s, tt.address)
			if r := ts.do("GET", "/healthz", "", "Host", tt.host); r.status != tt.status {
				t.Errorf("got %d %s, want %d", r.status, r.body, tt.status)
			}
		})
	}
}

func TestRequestIDsOfClientsAreKeptWhenTheyAreSafe(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{})
	for id, kept := range map[string]bool{
		"a": true, strings.Repeat("x", 64): true, "A-z_0.9": true,
		strings.Repeat("x", 65): false, "a b": false, "a\"b": false, "é": false, "": false,
	} {
		got := ts.do("GET", "/healthz", "", "X-Request-Id", id).header.Get("X-Request-Id")
		if (got == id) != kept || !validID(got) {
			t.Errorf("the id %q became %q", id, got)
		}
	}
	first, second := ts.do("GET", "/healthz", ""), ts.do("GET", "/healthz", "")
	if first.header.Get("X-Request-Id") == second.header.Get("X-Request-Id") {
		t.Error("two requests have the same id")
	}
}

// What does not even parse is answered in JSON too.
func TestBrokenHTTPIsAnsweredInJSON(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{ReadTimeout: 200 * time.Millisecond})
	tests := []struct {
		name, send string
		code       Code
	}{
		{"not HTTP", "hello\r\n\r\n", CodeBadRequest},
		{"a header that never ends", "POST /run HTTP/1.1\r\nHost: localhost\r\n", CodeRequestTimeout},
		{"a body that never ends", "POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx", CodeRequestTimeout},
		{"no host", "GET /healthz HTTP/1.0\r\n\r\n", CodeForbiddenHost},
		{"another host before the path", "GET http://evil.example/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", CodeForbiddenHost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", strings.TrimPrefix(ts.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			if _, err := io.WriteString(c, tt.send); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			reply{resp.StatusCode, resp.Header, string(body)}.refused(t, tt.code)
		})
	}
}

func TestMetricsAreServedByTheirHandler(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintln(w, "up 1")
	})})
	if r := ts.do("GET", "/metrics", ""); r.status != 200 || r.body != "up 1\n" || r.header.Get("Content-Type") != "text/plain; version=0.0.4" {
		t.Errorf("got %d %q %v", r.status, r.body, r.header)
	}
}

func TestConfigIsValidated(t *testing.T) {
	for name, cfg := range map[string]Config{
		"a negative limit":              {MaxCodeChars: -1},
		"a body below the code":         {MaxBodyBytes: 100},
		"a timeout too short":           {Timeout: time.Microsecond},
		"a ceiling below the default":   {Timeout: 2 * time.Second, MaxTimeout: time.Second},
		"a negative time in the queue":  {QueueTimeout: -1},
		"a negative time for a request": {ReadTimeout: -1},
	} {
		if _, err := newServer(cfg, &stub{}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a server without a pool is accepted")
	}
}

func TestListenerAfterShutdownIsClosed(t *testing.T) {
	s, err := newServer(Config{}, &stub{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listener(ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Listener returned %v", err)
	}
	if _, err := ln.Accept(); err == nil {
		t.Error("the listener is open")
	}
}
