package docker

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

func TestCallsAreNamedByMethodAndPath(t *testing.T) {
	for call, want := range map[string]string{
		"POST /v1.41/containers/create":          "create",
		"POST /v1.41/containers/create/start":    "start", // of a container of that name
		"POST /v1.41/containers/c1/start":        "start",
		"GET /v1.41/containers/c1/json":          "inspect",
		"POST /proxy/v1.51/containers/c1/update": "update",
		"DELETE /v1.41/containers/c1":            "remove",
		"GET /v1.41/containers/json":             "list",
		"GET /v1.41/info":                        "info",
		"GET /v1.41/events":                      "events",
		"GET /v1.41/containers/c1":               "other",
		"POST /v1.41/containers/c1/exec":         "other",
		"GET /v1.41/containers/c1/x/json":        "other",
		"GET /_ping":                             "other",
		"HEAD /v1.41/info":                       "other",
		"GET ":                                   "other",
	} {
		method, path, _ := strings.Cut(call, " ")
		got := operationOf(method, path)
		if got != want {
			t.Errorf("%s is %s, want %s", call, got, want)
		}
		if !slices.Contains(Operations(), got) {
			t.Errorf("%s is not one of the operations", got)
		}
	}
}

// calls counts what an Observe is told.
type calls struct {
	mu   sync.Mutex        // guards seen
	seen map[string][2]int // calls, and those of them that failed
}

func (c *calls) observe(op string, _ time.Duration, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.seen[op]
	n[0]++
	if failed {
		n[1]++
	}
	c.seen[op] = n
}

func (c *calls) of(op string) [2]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[op]
}

func TestCallsThatTheEngineFailedAreTold(t *testing.T) {
	c := calls{seen: map[string][2]int{}}
	d := observedEngine(t, c.observe, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/containers/json"):
			w.Write([]byte(`[{"Id":"a"},{"Id":"b"}]`))
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNotFound)
		case strings.HasSuffix(r.URL.Path, "/info"):
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	if ids, err := d.Sandboxes(t.Context()); err != nil || !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("Sandboxes returned %q, %v", ids, err)
	}
	if err := d.tryRemove(t.Context(), "gone"); err != nil {
		t.Error(err)
	}
	if _, err := d.Check(t.Context()); err == nil {
		t.Error("Check did not fail")
	}
	given, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Sandboxes(given); err == nil {
		t.Error("Sandboxes did not fail")
	}
	for op, want := range map[string][2]int{"list": {2, 0}, "remove": {1, 0}, "info": {1, 1}, "create": {}} {
		if got := c.of(op); got != want {
			t.Errorf("%s: %v calls and failures, want %v", op, got, want)
		}
	}
}

func TestReasonsOfFailedLaunches(t *testing.T) {
	answer := func(status int, at string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, at) && r.Method == http.MethodPost:
				w.WriteHeader(status)
				w.Write([]byte(`{"message":"no"}`))
			case strings.HasSuffix(r.URL.Path, "/create"):
				w.WriteHeader(http.StatusCreated)
				w.Write([]byte(`{"Id":"c1"}`))
			default:
				w.WriteHeader(http.StatusNoContent)
			}
		}
	}
	for name, tt := range map[string]struct {
		handle http.HandlerFunc
		warmup time.Duration
		want   string
	}{
		"no image":          {answer(http.StatusNotFound, "/create"), time.Minute, reasonImageMissing},
		"refused to create": {answer(http.StatusBadRequest, "/create"), time.Minute, reasonRefused},
		"refused to attach": {answer(http.StatusConflict, "/attach"), time.Minute, reasonRefused},
		"too slow":          {answer(http.StatusCreated, "/nothing"), time.Nanosecond, reasonNotWarm},
	} {
		t.Run(name, func(t *testing.T) {
			limits := sandbox.DefaultLimits()
			limits.Warmup = tt.warmup
			_, err := fakeEngine(t, tt.handle).Launch(t.Context(), sandbox.Language{Name: "python", Image: "i", Limits: limits})
			if err == nil || LaunchReason(err) != tt.want {
				t.Errorf("%v is %s, want %s", err, LaunchReason(err), tt.want)
			}
		})
	}
	for err, want := range map[error]string{
		wrap("create", &launchError{sandbox.ErrEngine, reasonRefused}): reasonEngineDown,
		sandbox.ErrDead: reasonOther,
	} {
		if got := LaunchReason(err); got != want || !slices.Contains(LaunchReasons, got) {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
}

func TestTheEngineIsAskedForTheInstancesContainers(t *testing.T) {
	cli := enginetest.Client(t)
	api, err := NewClient()
	if err != nil {
		t.Fatal(err)
	}
	c := calls{seen: map[string][2]int{}}
	instance := "test-observe-" + time.Now().Format("150405.000000")
	d, err := New(api, Config{Instance: instance, Observe: c.observe})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	lang := enginetest.Language(t, cli, "python")
	s := launch(t, d, lang)
	foreign := map[string]string{}
	for _, of := range []string{instance, instance + "-other"} {
		foreign[of], _ = enginetest.Create(t, cli, lang.Image, of)
	}
	ids, err := d.Sandboxes(t.Context())
	if want := []string{s.ID(), foreign[instance]}; err != nil || !slices.Equal(slices.Sorted(slices.Values(ids)), slices.Sorted(slices.Values(want))) {
		t.Errorf("Sandboxes returned %q, %v; want %q", ids, err, want)
	}
	if err := s.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for op, want := range map[string]int{"create": 1, "attach": 1, "start": 1, "remove": 1, "list": 1} {
		if got := c.of(op); got != [2]int{want, 0} {
			t.Errorf("%s: %v calls and failures, want %d", op, got, want)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for op := range c.seen {
		if !slices.Contains(Operations(), op) {
			t.Errorf("%s is not one of the operations", op)
		}
	}
}
