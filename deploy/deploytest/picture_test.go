package deploytest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/preheat/preheat/web/browsertest"
)

// draws has deploy/grafana/render draw every panel. Where the environment names a
// folder, as for docs/dashboard.png, it watches longer and writes the picture there.
func draws(t *testing.T, p prometheus) {
	browser, cancel := context.WithTimeout(browsertest.Start(t), 2*patience)
	defer cancel()
	folder := os.Getenv("PREHEAT_SCREENSHOTS")
	if folder != "" {
		p.fill(t, []string{`count_over_time(up{job="preheat"}[5m]) > 100`})
	}
	page := httptest.NewServer(render(t, p))
	defer page.Close()
	if err := chromedp.Do(browser, chromedp.EmulateViewport(1400, 900), chromedp.Navigate(page.URL)); err != nil {
		t.Fatal(err)
	}
	empty, err := chromedp.Run(browser, chromedp.Evaluate[string]("render()", chromedp.EvalAwaitPromise))
	if err != nil || empty != "" {
		t.Fatalf("%v; without data: %s", err, empty)
	}
	if folder == "" {
		return
	}
	png, err := chromedp.Run(browser, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "dashboard.png"), png, 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// render serves the page, and what it is to draw: the dashboard's panels with the
// variables' values put in.
func render(t *testing.T, p prometheus) http.Handler {
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Panels []json.RawMessage }
	if err := json.Unmarshal([]byte(expand(string(text))), &d); err != nil {
		t.Fatal(err)
	}
	end := time.Now()
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir("../grafana/render")))
	mux.HandleFunc("GET /panels.json", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"prometheus": p.url, "panels": d.Panels, "start": p.since.Unix(), "end": end.Unix()})
	})
	return mux
}
