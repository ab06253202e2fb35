package docker

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox"
)

// fakeEngine answers the Engine's API with handle, and returns a driver on it.
func fakeEngine(t *testing.T, handle http.HandlerFunc) *Driver {
	t.Helper()
	return observedEngine(t, nil, handle)
}

func observedEngine(t *testing.T, observe Observe, handle http.HandlerFunc) *Driver {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		handle(w, r)
	}))
	t.Cleanup(server.Close)
	api, err := client.NewClientWithOpts(client.WithHost("tcp://"+strings.TrimPrefix(server.URL, "http://")), client.WithVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(api, Config{Instance: "fake", Observe: observe})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestALaunchThatFailsIsCleanedUpThoughTheEngineIsDown(t *testing.T) {
	var down atomic.Bool
	var removed atomic.Int32
	d := fakeEngine(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/containers/create"):
			w.WriteHeader(http.StatusCreated)
			w.Write([]byte(`{"Id":"c1"}`))
			down.Store(true)
		case r.Method == http.MethodDelete && !down.Load():
			removed.Add(1)
			w.WriteHeader(http.StatusNoContent)
		case down.Load():
			w.WriteHeader(http.StatusInternalServerError)
			w.Write([]byte(`{"message":"going down"}`))
		default:
			w.Write([]byte("{}"))
		}
	})
	launched := make(chan error, 1)
	go func() {
		_, err := d.Launch(t.Context(), sandbox.Language{Name: "python", Image: "i", Limits: sandbox.DefaultLimits()})
		launched <- err
	}()
	select {
	case err := <-launched:
		if err == nil {
			t.Fatal("the launch succeeded")
		}
	case <-time.After(cleanUp / 2):
		t.Fatal("the launch's error waits for the clean-up")
	}
	if n := removed.Load(); n != 0 {
		t.Fatalf("removed %d times while the engine was down", n)
	}
	down.Store(false)
	for start := time.Now(); removed.Load() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > cleanUp {
			t.Fatal("the container was not removed when the engine was back")
		}
	}
}

func TestReapLeavesWhatAnotherInstanceMayStillNeed(t *testing.T) {
	old, now := time.Now().Add(-2*orphanAge), time.Now()
	containers := map[string]struct {
		instance, state string
		created, ended  time.Time
		reaped          bool
	}{
		"own-running":    {"fake", "running", now, time.Time{}, true},
		"own-ended":      {"fake", "exited", now, now, true},
		"running":        {"other", "running", old, time.Time{}, false},
		"paused":         {"other", "paused", old, time.Time{}, false},
		"just-ended":     {"other", "exited", old, now, false},
		"ended-long-ago": {"other", "exited", old, old, true},
		"just-created":   {"other", "created", now, time.Time{}, false},
		"never-started":  {"other", "created", old, time.Time{}, true},
	}
	var mu sync.Mutex // guards removed
	var removed []string
	d := fakeEngine(t, func(w http.ResponseWriter, r *http.Request) {
		switch id := path.Base(r.URL.Path); {
		case r.Method == http.MethodDelete:
			mu.Lock()
			defer mu.Unlock()
			removed = append(removed, id)
		case strings.HasSuffix(r.URL.Path, "/containers/json"):
			var list []string
			for id, c := range containers {
				list = append(list, fmt.Sprintf(`{"Id":%q,"State":%q,"Created":%d,"Labels":{%q:%q}}`,
					id, c.state, c.created.Unix(), LabelInstance, c.instance))
			}
			fmt.Fprintf(w, "[%s]", strings.Join(list, ","))
		default:
			c := containers[path.Base(path.Dir(r.URL.Path))]
			fmt.Fprintf(w, `{"State":{"FinishedAt":%q}}`, c.ended.UTC().Format(time.RFC3339Nano))
		}
	})
	n, err := d.Reap(t.Context())
	if err != nil || n != len(removed) {
		t.Errorf("Reap returned %d, %v; removed %v", n, err, removed)
	}
	for id, c := range containers {
		if slices.Contains(removed, id) != c.reaped {
			t.Errorf("%s: removed is %t", id, !c.reaped)
		}
	}
}
