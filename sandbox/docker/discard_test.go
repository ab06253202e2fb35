package docker

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox"
)

// fakeEngine answers the Engine's API with handle, and returns a driver on it.
func fakeEngine(t *testing.T, handle http.HandlerFunc) *Driver {
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
	d, err := New(api, Config{Instance: "fake"})
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
