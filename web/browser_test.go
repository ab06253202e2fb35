package web_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/preheat/preheat/httpapi"
	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox/sandboxtest"
	"github.com/preheat/preheat/web"
	"github.com/preheat/preheat/web/browsertest"
)

// patience bounds what a test does in the browser.
const patience = 60 * time.Second

// serve starts a server with the page on a fake driver and returns its address
// and what ends it.
func serve(t *testing.T, fake *sandboxtest.Fake, queue int) (url string, end func()) {
	t.Helper()
	python, node := sandboxtest.FakeLanguage("python"), sandboxtest.FakeLanguage("node")
	p, err := pool.New(fake, pool.Config{
		Languages: []pool.Member{{Language: python, Size: 2}, {Language: node, Size: 1}},
		Queue:     queue,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := httpapi.New(httpapi.Config{Pool: p, Page: web.Mount, OutputBytes: 1000, QueueTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Listener(ln); err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	end = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutting down: %v", err)
		}
		serving.Wait()
		if err := p.Close(ctx); err != nil {
			t.Errorf("closing the pool: %v", err)
		}
	})
	t.Cleanup(end)
	return "http://" + ln.Addr().String(), end
}

// tab is one page in the browser. Its test fails when the page asks another
// origin for anything, throws, or logs something.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex // guards faults
	faults []string
}

func open(t *testing.T, browser context.Context, url string) *tab {
	t.Helper()
	ctx, _ := chromedp.NewContext(browser)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		browsertest.Close(t, ctx)
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Error(fault)
		}
	})
	if err := chromedp.Listen(ctx, func(event any) { b.hear(event, url) }); err != nil {
		t.Fatal(err)
	}
	call(b, log.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	b.do(chromedp.Navigate(url + "/"))
	b.wait(`document.querySelectorAll("#language option").length === 2 && document.querySelector("#pool").textContent !== ""`)
	return b
}

func (b *tab) hear(event any, url string) {
	var fault string
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, url+"/") && !strings.HasPrefix(u, "data:") {
			fault = "the page asked for " + u
		}
	case *runtime.EventExceptionThrown:
		fault = fmt.Sprintf("the page threw: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
	case *runtime.EventConsoleAPICalled:
		fault = fmt.Sprintf("the page logged %s: %v", e.Type, e.Args)
	case *log.EventEntryAdded:
		// A refused request is no fault of the page's.
		if e.Entry.Source != log.EntrySourceNetwork {
			fault = fmt.Sprintf("the browser logged %s: %s", e.Entry.Source, e.Entry.Text)
		}
	}
	if fault != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.faults = append(b.faults, fault)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns the value of a JavaScript expression.
func eval[T any](b *tab, js string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return value
}

func (b *tab) eval(js string) {
	b.t.Helper()
	eval[chromedp.Void](b, js)
}

// wait waits until a JavaScript condition holds. It does not use chromedp.Poll,
// which evaluates a string in the page, as the page's policy forbids.
func (b *tab) wait(condition string) {
	b.t.Helper()
	for end := time.Now().Add(patience / 3); !eval[bool](b, condition); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("waited in vain for %s; the page shows %q", condition, b.text("body"))
		}
	}
}

// text is what the user can read in an element.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

func (b *tab) reads(selector, want string) {
	b.t.Helper()
	if got := b.text(selector); got != want {
		b.t.Errorf("%s reads %q, want %q", selector, got, want)
	}
}

func (b *tab) shows(selector string, want bool) {
	b.t.Helper()
	if visible := eval[bool](b, fmt.Sprintf("document.querySelector(%q).checkVisibility()", selector)); visible != want {
		b.t.Errorf("%s is visible: %v", selector, visible)
	}
}

// enter replaces the program by typing.
func (b *tab) enter(program string) {
	b.t.Helper()
	b.eval(`document.querySelector("#code").select()`)
	b.do(chromedp.KeyEvent(program))
}

// What JavaScript calls the page's parts.
const (
	status = `document.querySelector("#status").textContent`
	code   = `document.querySelector("#code").value`
)

func (b *tab) click() {
	b.t.Helper()
	b.eval(status + ` = ""`)
	b.do(chromedp.Click(chromedp.CSS("#run")))
	b.wait(status + ` !== "" && document.querySelector("#run").textContent === "Run"`)
}

// shoot writes a picture to the folder PREHEAT_SCREENSHOTS, if that is set.
func (b *tab) shoot(name string) {
	b.t.Helper()
	folder := os.Getenv("PREHEAT_SCREENSHOTS")
	if folder == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644); err != nil {
		b.t.Error(err)
	}
}
