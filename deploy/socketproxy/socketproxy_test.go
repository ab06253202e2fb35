package socketproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a proxy to the Engine at a socket until the test ends, and returns
// the socket to ask. The log may be read when a refused call was answered.
func serve(t *testing.T, engine string) (socket string, log *syncBuffer) {
	t.Helper()
	log = new(syncBuffer)
	p := New(Config{Engine: engine, Runtimes: []string{"runc"}, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	dir, err := os.MkdirTemp("", "proxy") // t.TempDir's path may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "docker.sock")
	ln, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() {
		if err := p.Serve(ctx, ln); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		end()
		served.Wait()
		os.RemoveAll(dir)
	})
	return socket, log
}

type syncBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// engineSocket is where the Engine of the tests is.
func engineSocket() string {
	if host, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
		return host
	}
	return "/var/run/docker.sock"
}

func TestTheDriverKeepsItsContractThroughTheProxy(t *testing.T) {
	cli := enginetest.Client(t)
	socket, log := serve(t, engineSocket())
	lang := enginetest.Language(t, cli, "python")
	lang.Runtime = "runc"
	instance := fmt.Sprintf("test-proxy-%d", time.Now().UnixNano())
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	api, err := docker.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	d, err := docker.New(api, docker.Config{Instance: instance})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	sandboxtest.Suite(t, sandboxtest.Subject{
		Driver:   func(*testing.T) sandbox.Driver { return unclosed{d} },
		Language: lang,
		Programs: sandboxtest.Python,
		Resizes:  true,
		Live:     func() int { return len(enginetest.Containers(t, cli, instance)) },
		Kill: func(t *testing.T, id string) {
			if err := cli.ContainerKill(t.Context(), id, "KILL"); err != nil {
				t.Fatal(err)
			}
		},
	})
	// Why a sandbox ended is asked when it is lost in a run.
	sb, err := d.Launch(t.Context(), lang)
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Destroy(context.Background())
	program := sandbox.Program{
		Files:   []sandbox.File{{Name: lang.Entry, Content: []byte("print(1)\nwhile True: pass")}},
		Timeout: time.Minute, OutputBytes: 1 << 10,
	}
	kill := printed(sync.OnceFunc(func() { err = cli.ContainerKill(t.Context(), sb.ID(), "KILL") }))
	if res, runErr := sb.Run(t.Context(), program, kill); err != nil || runErr != nil || res.ExitCode != sandbox.ExitKilled {
		t.Errorf("a sandbox that was killed (%v) returned %+v, %v", err, res, runErr)
	}
	if ids, err := d.Sandboxes(t.Context()); err != nil || len(ids) != 1 {
		t.Errorf("the driver finds %v, %v, and has one sandbox", ids, err)
	}
	// A server asks for its images too.
	if _, err := api.ImageInspect(t.Context(), lang.Image); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "refused") {
		t.Errorf("calls were refused:\n%s", log)
	}
	for _, c := range calls {
		if !strings.Contains(log.String(), fmt.Sprintf("call=%q", c.method+" "+c.path)) {
			t.Errorf("nothing needs %s %s", c.method, c.path)
		}
	}
}

// printed is an Output that calls itself when the program prints.
type printed func()

func (f printed) Stdout([]byte) { f() }
func (printed) Stderr([]byte)   {}

// unclosed leaves closing the driver to the test.
type unclosed struct{ *docker.Driver }

func (unclosed) Close() error { return nil }

// ask sends a call to the proxy's socket and returns the answer's status.
func ask(t *testing.T, socket, method, path, body string) int {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://engine"+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// fakeEngine says of what it is asked that it is preheat's if its name begins
// so, and keeps what it was asked.
func fakeEngine(t *testing.T) (socket string, asked func() []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(dir, "docker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards list
	var list []string
	engine := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		list = append(list, r.Method+" "+r.URL.String()+" "+string(body))
		_, name, inspected := strings.Cut(strings.TrimSuffix(r.URL.Path, "/json"), "s/")
		switch {
		case !inspected:
		case strings.HasPrefix(name, "preheat-"):
			fmt.Fprint(w, `{"Config":{"Labels":{"preheat.instance":"x","preheat.language":"python"}}}`)
		case name == "gone" && r.Method == http.MethodGet:
			w.WriteHeader(http.StatusNotFound)
		default:
			fmt.Fprint(w, `{"Config":{}}`)
		}
	})}}
	engine.Start()
	t.Cleanup(func() {
		engine.Close()
		os.RemoveAll(dir)
	})
	return ln.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(list)
	}
}

// create is the body of a sandbox's request.
func create(t *testing.T, image, runtime string) string {
	t.Helper()
	lang := sandboxtest.FakeLanguage("python")
	lang.Image, lang.Runtime, lang.Limits = image, runtime, sandbox.DefaultLimits()
	b, err := docker.CreateRequest(lang, "test", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCalls(t *testing.T) {
	engine, asked := fakeEngine(t)
	socket, _ := serve(t, engine)
	const v = "/v1.41"
	mine := "?filters=" + url.QueryEscape(`{"label":{"preheat.instance=x":true}}`)
	others := "?filters=" + url.QueryEscape(`{"status":{"running":true}}`)
	preheats := create(t, "preheat-python:latest", "runc")
	for _, tt := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"a ping", "HEAD", "/_ping", "", 200},
		{"a newer version", "GET", "/v1.52/info", "", 200},
		{"a sandbox", "POST", v + "/containers/create?name=preheat-python-1", preheats, 200},
		{"an attach", "POST", v + "/containers/preheat-python-1/attach?stream=1&stdin=1", "", 200},
		{"a removal of what is gone", "DELETE", v + "/containers/gone?force=1&v=1", "", 200},
		{"a memory limit", "POST", v + "/containers/preheat-python-1/update", `{"Memory":9,"MemorySwap":9}`, 200},
		{"a list of sandboxes", "GET", v + "/containers/json" + mine + "&all=1", "", 200},
		{"events of sandboxes", "GET", v + "/events" + mine + "&since=1", "", 200},

		{"an exec", "POST", v + "/containers/preheat-python-1/exec", `{}`, 403},
		{"a copy out", "GET", v + "/containers/preheat-python-1/archive?path=/etc", "", 403},
		{"a copy in", "PUT", v + "/containers/preheat-python-1/archive?path=/", "x", 403},
		{"a commit", "POST", v + "/commit?container=preheat-python-1", "", 403},
		{"a build", "POST", v + "/build", "x", 403},
		{"a pull", "POST", v + "/images/create?fromImage=debian", "", 403},
		{"a volume", "POST", v + "/volumes/create", `{}`, 403},
		{"a plugin", "POST", v + "/plugins/pull?remote=x", "", 403},
		{"a swarm", "POST", v + "/swarm/init", `{}`, 403},
		{"a session", "POST", v + "/session", "", 403},
		{"an image's removal", "DELETE", v + "/images/preheat-python:latest", "", 403},
		{"another method", "PUT", v + "/info", "", 403},
		{"no version", "GET", "/info", "", 403},
		{"an old version", "GET", "/v1.24/info", "", 403},
		{"another's image", "GET", v + "/images/database/json", "", 403},
		{"a container called ..", "GET", v + "/containers/../json", "", 403},
		{"an image called ..", "GET", v + "/images/../json", "", 403},
		{"a way up", "GET", v + "/containers/../info", "", 403},
		{"a slash in disguise", "GET", v + "/containers/preheat-1%2f..%2fjson/json", "", 403},
		{"a newline", "GET", v + "/info%0a", "", 403},
		{"a checkpoint", "POST", v + "/containers/preheat-python-1/start?checkpoint-dir=/", "", 403},
		{"a start with a body", "POST", v + "/containers/preheat-python-1/start", `{"Privileged":true}`, 403},
		{"a parameter twice", "GET", v + "/events" + mine + "&since=1&since=2", "", 403},
		{"every container", "GET", v + "/containers/json", "", 403},
		{"others' containers", "GET", v + "/containers/json" + others, "", 403},
		{"others' events", "GET", v + "/events" + others, "", 403},
		{"another's container", "GET", v + "/containers/database/json", "", 403},
		{"another's stream", "POST", v + "/containers/database/attach?stream=1", "", 403},
		{"another's removal", "DELETE", v + "/containers/database?force=1", "", 403},
		{"another's memory", "POST", v + "/containers/database/update", `{"Memory":9,"MemorySwap":9}`, 403},
		{"another limit", "POST", v + "/containers/preheat-python-1/update", `{"Memory":9,"MemorySwap":9,"PidsLimit":-1}`, 403},
		{"a privileged container", "POST", v + "/containers/create?name=preheat-python-1", `{"Image":"preheat-python:latest","HostConfig":{"Privileged":true}}`, 403},
		{"a bind mount", "POST", v + "/containers/create?name=preheat-python-1", strings.Replace(preheats, `"Binds":null`, `"Binds":["/:/host"]`, 1), 403},
		{"the host's network", "POST", v + "/containers/create?name=preheat-python-1", strings.Replace(preheats, `"NetworkMode":"none"`, `"NetworkMode":"host"`, 1), 403},
		{"another image", "POST", v + "/containers/create?name=preheat-python-1", create(t, "debian:latest", "runc"), 403},
		{"an image by a path", "POST", v + "/containers/create?name=preheat-python-1", create(t, "preheat-a/../../x", "runc"), 403},
		{"another runtime", "POST", v + "/containers/create?name=preheat-python-1", create(t, "preheat-python:latest", "kata"), 403},
		{"another name", "POST", v + "/containers/create?name=database", preheats, 403},
		{"no name", "POST", v + "/containers/create", preheats, 403},
	} {
		before := len(asked())
		if got := ask(t, socket, tt.method, tt.path, tt.body); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
		for _, call := range asked()[before:] {
			if tt.want == 403 && !strings.HasPrefix(call, "GET "+v+"/containers/") && !strings.HasPrefix(call, "GET "+v+"/images/") {
				t.Errorf("%s: the engine was asked %.80s", tt.name, call)
			}
		}
	}
}

func TestAnotherProtocolIsNoWayPastTheProxy(t *testing.T) {
	engine, asked := fakeEngine(t)
	p := New(Config{Engine: engine})
	defer p.engine.CloseIdleConnections()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1.41/info", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "h2c")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || len(asked()) > 0 {
		t.Errorf("got %d, and the engine was asked %v", w.Code, asked())
	}
}

func TestTheDeployPageListsTheCalls(t *testing.T) {
	page, err := os.ReadFile("../../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, c := range calls {
		fmt.Fprintf(&table, "| `%s %s` | %s |\n", c.method, c.path, c.why)
	}
	if !strings.Contains(string(page), "|---|---|\n"+table.String()+"\n") {
		t.Errorf("docs/deploy.md has not this table:\n%s", &table)
	}
}

func TestAnEngineThatIsDownLooksAsItDoesWithoutAProxy(t *testing.T) {
	socket, _ := serve(t, "/nonexistent")
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	api, err := docker.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	d, err := docker.New(api, docker.Config{Instance: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Check(t.Context()); !errors.Is(err, sandbox.ErrEngine) {
		t.Errorf("got %v, want ErrEngine", err)
	}
}
