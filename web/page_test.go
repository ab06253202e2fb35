package web_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/preheat/preheat/keys"
	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
	"github.com/preheat/preheat/web/browsertest"
)

func TestPage(t *testing.T) {
	chromium := browsertest.Start(t)
	for _, tt := range []struct {
		name string
		test func(*testing.T, context.Context)
	}{
		{"runs a program by its button", runsByButton},
		{"runs a program by keyboard alone", runsByKeyboard},
		{"gives input, arguments and files to the program", givesInput},
		{"keeps the text of each language", keepsText},
		{"counts the characters near the limit", countsCharacters},
		{"highlights", highlights},
		{"has tabs for files", hasTabs},
		{"takes what is dropped", takesDrops},
		{"tells the streams apart, in order", tellsStreamsApart},
		{"shows output while the program runs, and stops it", streams},
		{"shows colours, and nothing else that a terminal would obey", showsColours},
		{"shows hostile output as text", showsHostileOutput},
		{"stays usable under a megabyte of output", boundsOutput},
		{"leads from a traceback to the line", leadsToLine},
		{"shows images and offers files", showsFiles},
		{"says where the time went", showsTimes},
		{"runs test cases", runsCases},
		{"lists, opens, compares and deletes runs", keepsHistory},
		{"says that there is no history", saysNoHistory},
		{"shares a program in the fragment alone", shares},
		{"tries to break it", triesToBreak},
		{"shows the pool as it changes, and the place in the queue", showsPool},
		{"says when the server is busy", saysBusy},
		{"says when the engine is down", saysEngineDown},
		{"says when the server is gone", saysGone},
		{"asks for a key", asksForKey},
		{"changes to dark and back", changesTheme},
		{"fits every screen, light and dark, without an accessibility finding", fits},
		{"describes the API", describesAPI},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, chromium) })
	}
}

func describesAPI(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := visit(t, chromium, url, "/docs")
	b.wait(`document.querySelectorAll(".opblock").length >= 12`)
	b.eval(`document.querySelector(".opblock-summary-control").click()`)
	b.wait(`document.querySelector(".opblock-body") !== null`)
	b.shoot("docs")
}

func runsByButton(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	b.run("#!fake\nprint 4")
	b.reads("#status", "Finished")
	b.prints("4\n")
	b.reads("#exit", "exit code 0")
	b.shows("#truncated", false)
	b.run("#!fake\nexit 0")
	b.shows("#nothing", true)
	b.run("#!fake\nrepeat 2000 x")
	b.prints(strings.Repeat("x", 1000))
	b.shows("#truncated", true)
	b.shows("#nothing", false)
}

func runsByKeyboard(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	ctrl := chromedp.KeyModifiers(kb.ModifierCtrl)
	b.eval(editor + `.focus()`)
	b.do(chromedp.KeyEvent("a", ctrl), chromedp.KeyEvent(kb.Backspace), chromedp.KeyEvent("#!fake"), pressEnter,
		chromedp.KeyEvent("print keys"), chromedp.KeyEvent(kb.Enter, ctrl))
	b.prints("keys\n")
	if program := eval[string](b, code); program != "#!fake\nprint keys" {
		t.Errorf("after Ctrl+Enter the program is %q", program)
	}
	b.focused("editor")
	b.do(chromedp.KeyEvent(kb.Tab))
	b.wait(code + ` === "#!fake\n    print keys"`)
	b.do(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(kb.ModifierShift)))
	b.focused("editor")
	b.do(chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent(kb.Tab))
	b.focused("run")
	b.wait(settled)
	b.eval(status + ` = ""`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.wait(status + ` === "Finished"`)
	b.focused("run")
	b.eval(`document.querySelector("#tab-output").focus()`)
	b.do(chromedp.KeyEvent(kb.ArrowRight))
	b.focused("tab-history")
	b.shows("#panel-history", true)
}

func (b *tab) focused(id string) {
	b.t.Helper()
	if got := eval[string](b, `document.activeElement.id`); got != id {
		b.t.Errorf("the focus is on %q, want %q", got, id)
	}
}

func givesInput(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	b.press("#inputs summary")
	b.do(chromedp.SendKeys(chromedp.CSS("#stdin"), "typed"), chromedp.SendKeys(chromedp.CSS("#args"), `one "two words" 'it''s' a\ b`))
	b.run("#!fake\nstdin\nargs")
	b.prints("typedone\ntwo words\nits\na b\n")
}

func keepsText(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	choose := func(language string) string {
		b.eval(fmt.Sprintf(`{ const l = document.querySelector("#language"); l.value = %q; l.dispatchEvent(new Event("change")) }`, language))
		return eval[string](b, code)
	}
	b.enter("mine")
	if got := choose("node"); !strings.Contains(got, "console.log") {
		t.Errorf("the sample for Node is %q", got)
	}
	b.click()
	b.wait(log + `.includes("Hello from Node")`)
	if got := choose("python"); got != "mine" {
		t.Errorf("back in Python, the program is %q", got)
	}
	choose("node")
	b.enter("theirs")
	b.do(chromedp.Reload())
	b.ready()
	if got := eval[string](b, code); got != "theirs" {
		t.Errorf("after a reload the program is %q", got)
	}
	if got := choose("python"); got != "mine" {
		t.Errorf("after a reload the other program is %q", got)
	}
}

func countsCharacters(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	b.enter(strings.Repeat("x", 4000))
	b.reads("#left", "")
	b.enter(strings.Repeat("😀", 4990))
	b.reads("#left", "10 characters left")
	b.enter(strings.Repeat("x", 5002))
	b.reads("#left", "2 characters too many")
	b.click()
	b.reads("#status", "The code has 5002 characters; the limit is 5000.")
}

func saysBusy(t *testing.T, chromium context.Context) {
	fake := sandboxtest.NewFake(t)
	fake.OnLaunch = func(ctx context.Context, _ sandbox.Language) error {
		<-ctx.Done()
		return ctx.Err()
	}
	url, _ := serve(t, setup{fake: fake, queue: pool.NoQueue})
	b := open(t, chromium, url)
	b.click()
	if got := b.text("#status"); !strings.HasPrefix(got, "Too many requests are waiting for a sandbox. Try again in ") {
		t.Errorf("the status reads %q", got)
	}
	b.shoot("refused")
}

func saysEngineDown(t *testing.T, chromium context.Context) {
	fake := sandboxtest.NewFake(t)
	fake.OnLaunch = func(context.Context, sandbox.Language) error { return sandbox.ErrEngine }
	url, _ := serve(t, setup{fake: fake})
	b := open(t, chromium, url)
	b.click()
	if got := b.text("#status"); !strings.HasPrefix(got, "The container engine does not answer.") {
		t.Errorf("the status reads %q", got)
	}
	b.wait(`document.querySelector("#pool .over") !== null`)
	b.shoot("engine-down")
}

func saysGone(t *testing.T, chromium context.Context) {
	url, end := serve(t, setup{})
	b := open(t, chromium, url)
	end()
	b.click()
	b.reads("#status", "The server cannot be reached.")
	b.wait(`document.querySelector("#pool-problem").textContent === "The server cannot be reached."`)
}

func asksForKey(t *testing.T, chromium context.Context) {
	path := filepath.Join(t.TempDir(), "keys.json")
	secret, err := keys.Add(path, "visitor", keys.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	url, _ := serve(t, setup{keys: path})
	b := visit(t, chromium, url, "/")
	b.wait(`document.querySelector("#key-words").textContent === "This server asks for a key."`)
	b.focused("key")
	b.shoot("key")
	b.do(chromedp.KeyEvent("wrong"), chromedp.KeyEvent(kb.Enter))
	b.wait(`document.querySelector("#key-words").textContent === "The server does not know this key."`)
	b.do(chromedp.SendKeys(chromedp.CSS("#key"), secret), chromedp.KeyEvent(kb.Enter))
	b.ready()
	b.shows("#key-form", false)
	b.run("#!fake\nprint inside")
	b.prints("inside\n")
	if kept := eval[bool](b, fmt.Sprintf(`Object.values(localStorage).concat(document.documentElement.outerHTML).some((v) => v.includes(%q))`, secret)); kept {
		t.Error("the key is kept for longer than the session, or is in the document")
	}
}
