package web_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/preheat/preheat/history"
	"github.com/preheat/preheat/httpapi"
	"github.com/preheat/preheat/keys"
	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
	"github.com/preheat/preheat/web"
	"github.com/preheat/preheat/web/browsertest"
)

// patience bounds what a test does in the browser.
const patience = 60 * time.Second

// setup is what a server of a test is made of.
type setup struct {
	fake    *sandboxtest.Fake
	queue   int    // of waiting requests; zero is the pool's default
	output  int    // bytes kept of each stream; zero is 1,000
	history bool   // keep the runs
	keys    string // the file of keys; empty asks for none
}

// serve starts a server with the page on a fake driver and returns its address
// and what ends it.
func serve(t *testing.T, with setup) (url string, end func()) {
	t.Helper()
	if with.fake == nil {
		with.fake = sandboxtest.NewFake(t)
	}
	python, node := sandboxtest.FakeLanguage("python"), sandboxtest.FakeLanguage("node")
	python.Entry, node.Entry = "main.py", "main.js"
	node.Runtime = "runsc"
	p, err := pool.New(with.fake, pool.Config{
		Languages: []pool.Member{{Language: python, Size: 2}, {Language: node, Size: 1}},
		Queue:     with.queue,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := httpapi.Config{Pool: p, Engine: sandbox.EngineInfo{Name: "oci", Version: "1.20", Runtime: "crun"}, Page: web.Mount, OutputBytes: cmp.Or(with.output, 1000), QueueTimeout: 2 * time.Second, Heartbeat: 100 * time.Millisecond}
	if with.history {
		cfg.History = openHistory(t)
	}
	if with.keys != "" {
		cfg.Keys = openKeys(t, with.keys)
	}
	s, err := httpapi.New(cfg)
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

func openHistory(t *testing.T) *history.Store {
	t.Helper()
	store, err := history.Open(history.Config{Path: filepath.Join(t.TempDir(), "history.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := store.Close(ctx); err != nil {
			t.Errorf("closing the history: %v", err)
		}
	})
	return store
}

func openKeys(t *testing.T, path string) *keys.Ring {
	t.Helper()
	ring, err := keys.Open(keys.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ring.Close(); err != nil {
			t.Errorf("closing the keys: %v", err)
		}
	})
	return ring
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
	b := visit(t, browser, url, "/")
	b.ready()
	return b
}

func (b *tab) ready() {
	b.t.Helper()
	b.wait(`document.querySelectorAll("#language option").length === 2 && document.querySelectorAll("#tabs [role=tab]").length > 0 && document.querySelector("#pool li") !== null`)
}

func visit(t *testing.T, browser context.Context, url, path string) *tab {
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
	call(b, cdplog.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	b.do(chromedp.Navigate(url + path))
	return b
}

func (b *tab) hear(event any, url string) {
	var fault string
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, url+"/") && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "blob:"+url+"/") {
			fault = "the page asked for " + u
		}
	case *runtime.EventExceptionThrown:
		fault = fmt.Sprintf("the page threw: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
	case *runtime.EventConsoleAPICalled:
		fault = fmt.Sprintf("the page logged %s: %v", e.Type, e.Args)
	case *cdplog.EventEntryAdded:
		// A refused request is no fault of the page's.
		if e.Entry.Source != cdplog.EntrySourceNetwork {
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
	if visible := eval[bool](b, fmt.Sprintf("document.querySelector(%q).checkVisibility({ visibilityProperty: true })", selector)); visible != want {
		b.t.Errorf("%s is visible: %v", selector, visible)
	}
}

// enter replaces the program by pasting.
func (b *tab) enter(program string) {
	b.t.Helper()
	b.eval(editor + `.focus()`)
	b.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)))
	b.eval(fmt.Sprintf(`{
		const clipboardData = new DataTransfer();
		clipboardData.setData("text/plain", %q);
		%s.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
	}`, program, editor))
}

// What JavaScript calls the page's parts.
const (
	status  = `document.querySelector("#status").textContent`
	editor  = `document.querySelector("#editor").shadowRoot.querySelector(".cm-content")`
	code    = `[...document.querySelector("#editor").shadowRoot.querySelectorAll(".cm-line")].map((l) => l.textContent).join("\n")`
	log     = `document.querySelector(".log").textContent`
	settled = status + ` !== "" && !document.body.classList.contains("running")`
)

// run runs the program and waits for its end.
func (b *tab) run(program string) {
	b.t.Helper()
	b.enter(program)
	b.click()
}

func (b *tab) click() {
	b.t.Helper()
	b.eval(status + ` = ""`)
	b.press("#run")
	b.wait(settled)
}

// press clicks on an element as the user would, where it is.
func (b *tab) press(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// prints waits until the output reads want.
func (b *tab) prints(want string) {
	b.t.Helper()
	b.wait(fmt.Sprintf(`%s === %q`, log, want))
}

// pressEnter is one event, as from a keyboard. A separate one for the character
// would be typed even where the page has taken the key for itself.
var pressEnter = chromedp.KeyEvent(kb.Enter, func(p *input.DispatchKeyEventParams) {
	switch p.Type {
	case kb.KeyChar:
		p.Modifiers = int64(kb.ModifierCtrl) // which chromedp leaves out
	case kb.KeyDown:
		p.Type, p.Text = input.DispatchKeyEventTypeKeyDown, "\r"
	}
})

// drop drops a file on the editor.
func (b *tab) drop(name string, content []byte) {
	b.t.Helper()
	b.eval(fmt.Sprintf(`{
		const dataTransfer = new DataTransfer();
		dataTransfer.items.add(new File([Uint8Array.from(atob(%q), (c) => c.charCodeAt(0))], %q));
		%s.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true, composed: true }));
	}`, base64.StdEncoding.EncodeToString(content), name, editor))
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
