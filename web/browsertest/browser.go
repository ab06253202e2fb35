// Package browsertest starts a browser for tests.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience bounds how long the browser may take to close.
const patience = 60 * time.Second

// Start starts Chromium, or skips the test where there is none and
// PREHEAT_BROWSER is not "required".
func Start(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("PREHEAT_BROWSER") == "required" {
			t.Fatal("there is no chromium to test the page in")
		}
		t.Skip("there is no chromium to test the page in; PREHEAT_BROWSER=required makes this a failure")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, _ := chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(options...))
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	t.Cleanup(func() { Close(t, ctx) })
	return ctx
}

// Close closes a tab, or the browser.
func Close(t *testing.T, ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := chromedp.Cancel(ctx); err != nil {
		t.Errorf("closing the browser: %v", err)
	}
}
