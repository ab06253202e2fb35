package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/preheat/preheat/web/browsertest"
)

func TestThePageRunsProgramsOfBothLanguages(t *testing.T) {
	s := startServer(t, "test-page", "--pool", "python=2,node=1")
	chromium, cancel := context.WithTimeout(browsertest.Start(t), patience)
	defer cancel()
	do := func(actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(chromium, actions...); err != nil {
			t.Fatal(err)
		}
	}
	text := func(js string) string {
		t.Helper()
		got, err := chromedp.Run(chromium, chromedp.Evaluate[string](js))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	const stdout = `document.querySelector("#output").textContent`

	do(chromedp.EmulateViewport(900, 760), chromedp.Navigate(s.url+"/"))
	for _, language := range []string{"node", "python"} {
		eventually(t, "the page offers "+language, func() bool {
			return strings.Contains(text(`document.querySelector("#language").textContent`), language)
		})
		text(`{ const l = document.querySelector("#language"); l.value = "` + language + `"; l.dispatchEvent(new Event("change", { bubbles: true })); "" }`)
		do(chromedp.Click(chromedp.CSS("#run")))
		eventually(t, "the output of "+language+" is shown", func() bool {
			return strings.Contains(strings.ToLower(text(stdout)), "hello from "+language)
		})
	}
	screenshot(t, chromium, "page.png")
}

// screenshot writes what the browser shows to the folder that the environment
// names, if any: the README's picture is made so.
func screenshot(t *testing.T, chromium context.Context, name string) {
	t.Helper()
	folder := os.Getenv("PREHEAT_SCREENSHOTS")
	if folder == "" {
		return
	}
	time.Sleep(2500 * time.Millisecond) // until the page has asked for the pool again
	png, err := chromedp.Run(chromium, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name), png, 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}
