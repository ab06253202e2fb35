package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

// patience bounds what should happen soon, on a machine that has a lot else to
// do.
const patience = 60 * time.Second

// server is a running `preheat serve`.
type server struct {
	cmd        *exec.Cmd
	url        string
	containers func() []string // names of those the engine has of it
	asked      sync.Once
	ended      chan struct{} // closed when stderr has ended
	log        bytes.Buffer  // stderr; read it after ended
}

var served = regexp.MustCompile(`msg=serving url=(\S+)`)

// startServer starts a server on a free port and returns once it is ready.
func startServer(t *testing.T, instance string, args ...string) *server {
	t.Helper()
	cli := enginetest.Client(t)
	s := &server{ended: make(chan struct{})}
	s.containers = func() []string { return enginetest.Containers(t, cli, instance) }
	if slices.Contains(args, ociKind.name) {
		s.containers = func() []string { return withoutDaemon(t, instance) }
	}
	s.cmd = command(append([]string{"serve", "--addr", "127.0.0.1:0", "--instance", instance}, args...)...)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	go func() { // ends with the process
		defer close(s.ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&s.log, lines.Text())
			if m := served.FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
			}
		}
	}()
	t.Cleanup(func() { s.stop(t) })
	select {
	case s.url = <-found:
	case <-s.ended:
		t.Fatalf("the server ended: %s", s.log.String())
	case <-time.After(5 * patience): // the images may have to be made
		t.Fatal("the server does not serve")
	}
	eventually(t, "the server is ready", func() bool {
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return s
}

// stop ends the server as an operator does, if it still runs.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	s.terminate()
	<-s.ended
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v: %s", err, s.log.String())
	}
	if left := s.containers(); len(left) > 0 {
		t.Errorf("the server left %v", left)
	}
}

// terminate asks the server to end, once: a second signal would cut it off.
func (s *server) terminate() {
	s.asked.Do(func() { s.cmd.Process.Signal(syscall.SIGTERM) })
}

// kill ends the server as a crash does.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.ended
	s.cmd.Wait()
}

type answer struct {
	Status    string
	Stdout    string
	Stderr    string
	ExitCode  int `json:"exit_code"`
	Error     *string
	Code      string
	Truncated bool
	Timing    struct {
		RunMS float64 `json:"run_ms"`
	}

	http       int
	retryAfter string
	body       string
}

// post runs a body and returns the answer; it may be called from any goroutine.
func (s *server) post(t *testing.T, body string) answer {
	resp, err := http.Post(s.url+"/run", "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return answer{}
	}
	defer resp.Body.Close()
	a := answer{http: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After")}
	b, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil {
		t.Error(err)
	}
	a.body = string(b)
	return a
}

func python(code string) string {
	b, _ := json.Marshal(map[string]string{"code": code})
	return string(b)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("not so: %s", what)
		}
	}
}

func TestServe(t *testing.T) {
	s := startServer(t, "test-serve")
	for name, test := range map[string]struct {
		body           string
		http           int
		status, code   string
		exit           int
		stdout, stderr string // somewhere in it
		sentence       string
	}{
		"python":          {body: `{"code":"print(2 + 2)"}`, http: 200, status: "ok", stdout: "4\n"},
		"node":            {body: `{"language":"node","code":"console.log(2+2)"}`, http: 200, status: "ok", stdout: "4\n"},
		"javascript":      {body: `{"language":"javascript","code":"console.log(2+2)"}`, http: 200, status: "ok", stdout: "4\n"},
		"js":              {body: `{"language":"js","code":"console.log(2+2)"}`, http: 200, status: "ok", stdout: "4\n"},
		"memory by pages": {body: python("b = []\nwhile True: b.append(bytearray(1 << 20))"), http: 200, status: "out_of_memory", exit: 137, sentence: "Out of memory: the limit is 128 MiB"},
		"fork bomb":       {body: python("import os, time\nwhile True:\n try: os.fork()\n except OSError: time.sleep(1)"), http: 200, status: "timeout", exit: 137},
		"a socket":        {body: python("import socket\nsocket.create_connection(('192.0.2.1', 80), 2)"), http: 200, status: "error", exit: 1, stderr: "OSError"},
		"a name":          {body: python("import socket\nsocket.getaddrinfo('example.com', 80)"), http: 200, status: "error", exit: 1, stderr: "gaierror"},
		"write to /tmp":   {body: python("open('/tmp/x', 'w')"), http: 200, status: "error", exit: 1, stderr: "Read-only file system: '/tmp/x'"},
		"write to /":      {body: python("open('/x', 'w')"), http: 200, status: "error", exit: 1, stderr: "Read-only file system: '/x'"},
		"write to /app":   {body: python("open('/app/script.py', 'w')"), http: 200, status: "error", exit: 1, stderr: "Read-only file system: '/app/script.py'"},
		"traceback": {body: python("raise ValueError('x')"), http: 200, status: "error", exit: 1,
			stderr: "Traceback (most recent call last):\n  File \"/work/main.py\", line 1, in <module>\n    raise ValueError('x')\nValueError: x\n"},
		"5,000 characters": {body: python("#" + strings.Repeat("ü", 4999)), http: 200, status: "ok"},
		"5,001 characters": {body: python(strings.Repeat("#", 5001)), http: 413, code: "code_too_long"},
		"another language": {body: `{"language":"cobol","code":"x"}`, http: 422, code: "unknown_language"},
		"no code":          {body: `{"code":""}`, http: 400, code: "invalid_field"},
		"a wrong type":     {body: `{"code":1}`, http: 400, code: "invalid_field"},
		"not JSON":         {body: `print(1)`, http: 400, code: "bad_json"},
		"a huge body":      {body: python(strings.Repeat("#", 2<<20)), http: 413, code: "body_too_large"},
		"10 MB of output":  {body: python("print('x' * 10_000_000)"), http: 200, status: "ok", stdout: "xxx"},
		"a flood":          {body: python("while True: print('x' * 100_000)"), http: 200, status: "output_limit", exit: 137},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := s.post(t, test.body)
			for start := time.Now(); a.http == http.StatusTooManyRequests && time.Since(start) < patience; a = s.post(t, test.body) {
				time.Sleep(100 * time.Millisecond)
			}
			if a.http != test.http || a.Status != test.status || a.Code != test.code || a.ExitCode != test.exit ||
				!strings.Contains(a.Stdout, test.stdout) || !strings.Contains(a.Stderr, test.stderr) {
				t.Errorf("got %d %.1000s", a.http, a.body)
			}
			if test.sentence != "" && (a.Error == nil || *a.Error != test.sentence) {
				t.Errorf("the sentence is %v", a.Error)
			}
			if a.Truncated != (len(a.Stdout) == 64<<10) {
				t.Errorf("truncated is %t after %d bytes", a.Truncated, len(a.Stdout))
			}
		})
	}
	t.Run("the host's files are not there", func(t *testing.T) {
		t.Parallel()
		host, err := os.ReadFile("/etc/passwd")
		if err != nil {
			t.Fatal(err)
		}
		a := s.post(t, python("print(open('/etc/passwd').read())"))
		if !strings.HasPrefix(a.Stdout, "root:") || strings.TrimSpace(a.Stdout) == strings.TrimSpace(string(host)) {
			t.Errorf("got %s", a.body)
		}
	})
	t.Run("a program that does not end", func(t *testing.T) {
		t.Parallel()
		a := s.post(t, python("print('so far')\nwhile True: pass"))
		if a.Status != "timeout" || a.ExitCode != 137 || a.Error == nil || *a.Error != "Execution timed out after 10 seconds" || a.Stdout != "so far\n" {
			t.Errorf("got %s", a.body)
		}
		if a.Timing.RunMS < 10_000 || a.Timing.RunMS > 10_200 {
			t.Errorf("it took %g ms", a.Timing.RunMS)
		}
	})
}

func TestAnEndlessProgramsContainerIsGoneSoon(t *testing.T) {
	s := startServer(t, "test-gone", "--languages", "python", "--pool", "python=1", "--timeout", "1s", "--refill-delay", "1h")
	before := s.containers()
	if a := s.post(t, python("while True: pass")); a.Status != "timeout" {
		t.Fatalf("got %s", a.body)
	}
	start := time.Now()
	eventually(t, "the container is gone", func() bool {
		return !slices.Contains(s.containers(), before[0])
	})
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestABurstIsAnsweredOnceEach(t *testing.T) {
	s := startServer(t, "test-burst", "--languages", "python", "--pool", "python=4", "--queue", "8")
	eventually(t, "the pool is full", func() bool { return strings.Contains(s.get(t, "/pool"), `"warm":4`) })
	answers := make([]answer, 50)
	var tasks sync.WaitGroup
	for i := range answers {
		tasks.Go(func() { answers[i] = s.post(t, python(fmt.Sprintf("print(%d)", i))) })
	}
	tasks.Wait()
	ran := 0
	for i, a := range answers {
		switch {
		case a.http == 200 && a.Stdout == fmt.Sprintf("%d\n", i):
			ran++
		case a.http == 429 && a.Code == "queue_full":
			if n, err := strconv.Atoi(a.retryAfter); err != nil || n < 1 {
				t.Errorf("Retry-After is %q", a.retryAfter)
			}
		default:
			t.Errorf("request %d: %d %s", i, a.http, a.body)
		}
	}
	if ran < 12 || ran == 50 {
		t.Errorf("%d of 50 ran, on a pool of 4 and a queue of 8", ran)
	}
}

func TestRunsFinishAfterSIGTERM(t *testing.T) {
	s := startServer(t, "test-term", "--languages", "python", "--pool", "python=2")
	result := make(chan answer, 1)
	go func() { result <- s.post(t, python("import time\ntime.sleep(2)\nprint('finished')")) }()
	eventually(t, "the run is under way", func() bool { return strings.Contains(s.get(t, "/pool"), `"leased":1`) })
	s.terminate()
	if a := <-result; a.Stdout != "finished\n" {
		t.Errorf("got %d %s", a.http, a.body)
	}
	s.stop(t)
}

func TestLeftoversOfACrashAreReapedBeforeReady(t *testing.T) {
	makeTrees(t, "python")
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { reapsLeftovers(t, k.name) })
	}
}

func reapsLeftovers(t *testing.T, driver string) {
	instance := "test-crash-" + driver
	crashed := startServer(t, instance, "--driver", driver, "--languages", "python", "--pool", "python=2")
	var cut sync.WaitGroup
	cut.Go(func() { // its answer never comes
		if resp, err := http.Post(crashed.url+"/run", "application/json", strings.NewReader(python("while True: pass"))); err == nil {
			resp.Body.Close()
		}
	})
	defer cut.Wait()
	eventually(t, "a run is under way", func() bool { return strings.Contains(crashed.get(t, "/pool"), `"leased":1`) })
	old := crashed.containers()
	crashed.kill()
	next := startServer(t, instance, "--driver", driver, "--languages", "python", "--pool", "python=1")
	for _, name := range next.containers() {
		if slices.Contains(old, name) {
			t.Errorf("%s of the crashed server is still there", name)
		}
	}
	if m := next.get(t, "/metrics"); !strings.Contains(m, fmt.Sprintf("preheat_reaped_sandboxes_total %d", len(old))) {
		t.Errorf("the metrics do not say that %d were reaped", len(old))
	}
}

func TestOutputDoesNotGrowTheServer(t *testing.T) {
	s := startServer(t, "test-memory", "--languages", "python", "--pool", "python=2")
	run := func() {
		if a := s.post(t, python("print('x' * 30_000_000)")); a.http != 200 || !a.Truncated {
			t.Fatalf("got %d %.200s", a.http, a.body)
		}
	}
	run()
	before := s.residentBytes(t)
	for range 5 {
		run()
	}
	if grown := s.residentBytes(t) - before; grown > 30_000_000 {
		t.Errorf("the server grew by %d bytes, more than one program printed", grown)
	}
}

func (s *server) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (s *server) residentBytes(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
