package metrics

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preheat/preheat/httpapi"
	"github.com/preheat/preheat/keys"
	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

// series counts those of preheat; a histogram's buckets are one.
func (m *Metrics) series(t *testing.T) (n int) {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "preheat_") {
			n += len(f.Metric)
		}
	}
	return n
}

// What clients choose freely must not become a label.
func TestClientsCannotAddSeries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	secret, err := keys.Add(path, "ci", keys.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Open(keys.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	m := New("", driver)
	p, err := pool.New(sandboxtest.NewFake(t), pool.Config{
		Languages: []pool.Member{{Language: sandboxtest.FakeLanguage("python"), Size: 2}}, Hooks: m.Hooks(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	m.Watch(p.Stats)
	m.WatchKeys(ring.Stats)
	url := serve(t, httpapi.Config{Pool: p, Keys: ring, Metrics: m.Handler(), Hooks: httpapi.Hooks{Answered: m.Answered}})

	ask := func(word string) {
		for _, r := range []struct{ method, path, key, body string }{
			{"GET", "/" + word, secret, ""},
			{"GET", "/runs/" + word, secret, ""},
			{"GET", "/pool?" + word, secret, ""},
			{word, "/run", secret, ""},
			{"PUT", "/run", secret, ""},
			{"POST", "/run", secret, `{"code":"1","language":"` + word + `"}`},
			{"POST", "/run", secret, `{"code":"1"}`},
			{"POST", "/run", word, `{"code":"1"}`},
		} {
			request(t, url, r.method, r.path, r.key, word, r.body)
		}
	}
	ask("FIRST")
	before := m.series(t)
	for i := range 50 {
		ask(fmt.Sprintf("W%d", i))
	}
	if after := m.series(t); after != before || before < 50 {
		t.Errorf("there are %d series, and there were %d", after, before)
	}
}

// serve answers until the test ends, and returns the URL.
func serve(t *testing.T, cfg httpapi.Config) (url string) {
	t.Helper()
	server, err := httpapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Listener(ln) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

func request(t *testing.T, url, method, path, key, id, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-API-Key", key)
	r.Header.Set("X-Request-Id", id)
	r.Close = true
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}
