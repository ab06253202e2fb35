package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

func TestAProgramInASmallerSandboxRunsOutOfMemory(t *testing.T) {
	d, cli := newDriver(t)
	for name, source := range map[string]string{
		"python": "b = bytearray(64 << 20)",
		"node":   "const b = Buffer.alloc(64 << 20, 1)",
	} {
		t.Run(name, func(t *testing.T) {
			lang := enginetest.Language(t, cli, name)
			p := program(lang, source)
			if res, err := launch(t, d, lang).Run(t.Context(), p, new(sandbox.Capture)); err != nil || res.Status != sandbox.OK {
				t.Errorf("with the language's memory: %+v, %v", res, err)
			}
			p.MemoryBytes = 32 << 20
			res, err := launch(t, d, lang).Run(t.Context(), p, new(sandbox.Capture))
			if err != nil || res.Status != sandbox.OutOfMemory || res.Resized <= 0 {
				t.Errorf("got %+v, %v", res, err)
			}
		})
	}
}

// TestNodeSizesItsHeapByTheMemoryOfTheRun compares a warm Node in a sandbox that
// was changed with one that was launched so.
func TestNodeSizesItsHeapByTheMemoryOfTheRun(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "node")
	heap := func(lang sandbox.Language, memory int64) int {
		t.Helper()
		p := program(lang, "console.log(require('v8').getHeapStatistics().heap_size_limit, process.argv.length)")
		p.MemoryBytes = memory
		var out sandbox.Capture
		res, err := launch(t, d, lang).Run(t.Context(), p, &out)
		stdout, stderr := out.Strings()
		size, argc, _ := strings.Cut(strings.TrimSpace(stdout), " ")
		n, _ := strconv.Atoi(size)
		if err != nil || res.Status != sandbox.OK || n == 0 || argc != "2" {
			t.Fatalf("%+v, %v, %q, %q", res, err, stdout, stderr)
		}
		return n
	}
	small := heap(lang, 0)
	changed := heap(lang, 1<<30)
	lang.Limits.MemoryBytes = 1 << 30
	if launched := heap(lang, 0); changed != launched || changed <= small {
		t.Errorf("the heap is bounded by %d bytes, want %d; in a sandbox as launched by %d", changed, launched, small)
	}
}

func TestAFailedChangeOfMemorySaysWhose(t *testing.T) {
	gone := func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: errors.New("connection refused")}
	}
	refused := func(r *http.Request) (*http.Response, error) {
		body := io.NopCloser(strings.NewReader(`{"message":"the runtime says:\nusage"}`))
		return &http.Response{StatusCode: http.StatusInternalServerError, Body: body, Header: http.Header{"Content-Type": {"application/json"}}, Request: r}, nil
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx    context.Context
		update func(*http.Request) (*http.Response, error)
		dead   bool
		want   error
		not    error
	}{
		"the engine's runtime cannot": {t.Context(), refused, false, sandbox.ErrResize, sandbox.ErrEngine},
		"the engine is gone":          {t.Context(), gone, false, sandbox.ErrEngine, sandbox.ErrResize},
		"the sandbox is dead":         {t.Context(), refused, true, sandbox.ErrDead, sandbox.ErrResize},
		"the caller has gone":         {ended, func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }, false, context.Canceled, sandbox.ErrResize},
	} {
		t.Run(name, func(t *testing.T) {
			api, err := client.NewClientWithOpts(client.WithHTTPClient(&http.Client{Transport: transport(test.update)}), client.WithVersion("1.41"))
			if err != nil {
				t.Fatal(err)
			}
			host, guest := net.Pipe()
			go guest.Write(agent.AppendFrame(nil, agent.Ready, []byte{agent.Version})) // ends with the pipe
			s := &Sandbox{driver: &Driver{api: api}, id: "c1", lang: sandbox.Language{Entry: "main.py", Limits: sandbox.DefaultLimits()}}
			if s.conn, err = agent.Handshake(t.Context(), s.lang, "token", host); err != nil {
				t.Fatal(err)
			}
			defer s.conn.Close()
			defer guest.Close()
			if test.dead {
				guest.Close()
				<-s.Dead()
			}
			p := program(s.lang, "")
			p.MemoryBytes = 256 << 20
			if _, err := s.Run(test.ctx, p, new(sandbox.Capture)); !errors.Is(err, test.want) || errors.Is(err, test.not) || strings.Contains(err.Error(), "usage") {
				t.Errorf("got %v", err)
			}
			if _, err := s.Run(t.Context(), p, new(sandbox.Capture)); !errors.Is(err, sandbox.ErrUsed) {
				t.Errorf("a second run: %v", err)
			}
		})
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// BenchmarkAnotherMemoryLimit compares the two ways to a sandbox with another
// limit: to change a warm one, and to launch one.
func BenchmarkAnotherMemoryLimit(b *testing.B) {
	d, cli := newDriver(b)
	lang := enginetest.Language(b, cli, "python")
	s, err := d.Launch(b.Context(), lang)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Destroy(context.WithoutCancel(b.Context()))
	var changes, launches []time.Duration
	for b.Loop() {
		took, err := s.(*Sandbox).resize(b.Context(), int64(256+len(changes)%2)<<20)
		if err != nil {
			b.Fatal(err)
		}
		changes = append(changes, took)
		start := time.Now()
		other, err := d.Launch(b.Context(), lang)
		launches = append(launches, time.Since(start))
		if err != nil {
			b.Fatal(err)
		}
		if err := other.Destroy(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	for name, took := range map[string][]time.Duration{"change": changes, "launch": launches} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, name+"-p50-ms")
	}
}
