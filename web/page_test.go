package web_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

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
		{"tells stderr and failures apart", showsFailure},
		{"shows markup in output as text", showsMarkupAsText},
		{"says that output was cut", saysTruncated},
		{"shows that a program is running", showsRunning},
		{"gives stdin to the program", givesStdin},
		{"changes the sample with the language", changesSample},
		{"counts the characters near the limit", countsCharacters},
		{"says when the server is busy", saysBusy},
		{"says when the server is gone", saysGone},
		{"fits small screens and both colour schemes", fits},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, chromium) })
	}
}

func runsByButton(t *testing.T, chromium context.Context) {
	url, _ := serve(t, sandboxtest.NewFake(t), 0)
	b := open(t, chromium, url)
	b.shows("#result", false)
	b.enter("#!fake\nprint 4")
	b.click()
	b.reads("#status", "Finished")
	b.reads("#stdout", "4\n")
	b.reads("#exit-code", "0")
	for _, figure := range []string{"#queue", "#run-time", "#total"} {
		if got := b.text(figure); !strings.HasSuffix(got, " ms") {
			t.Errorf("%s reads %q", figure, got)
		}
	}
	b.shows("#stderr", false)
	b.shows("#truncated", false)
	b.wait(`document.querySelector("#pool").textContent === "Pool: python 2 of 2 warm · node 1 of 1 warm"`)
}

func runsByKeyboard(t *testing.T, chromium context.Context) {
	url, _ := serve(t, sandboxtest.NewFake(t), 0)
	b := open(t, chromium, url)
	b.do(chromedp.Focus(chromedp.CSS("#language")), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)),
		chromedp.KeyEvent("#!fake\nprint keys"), chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(kb.ModifierCtrl)))
	b.wait(`document.querySelector("#stdout").textContent === "keys\n"`)
	if program := eval[string](b, code); program != "#!fake\nprint keys" {
		t.Errorf("after Ctrl+Enter the program is %q", program)
	}
	b.focused("code")
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab))
	b.focused("run")
	b.eval(status + ` = ""`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.wait(status + ` === "Finished"`)
	b.focused("run")
}

func (b *tab) focused(id string) {
	b.t.Helper()
	if got := eval[string](b, `document.activeElement.id`); got != id {
		b.t.Errorf("the focus is on %q, want %q", got, id)
	}
}

func showsFailure(t *testing.T, chromium context.Context) {
	url, _ := serve(t, sandboxtest.NewFake(t), 0)
	b := open(t, chromium, url)
	b.enter("#!fake\nprint out\neprint sorry\nexit 3")
	b.click()
	b.reads("#status", "Exited with code 3")
	b.reads("#stdout", "out\n")
	b.reads("#stderr", "sorry\n")
	b.reads("#exit-code", "3")
}

func showsMarkupAsText(t *testing.T, chromium context.Context) {
	url, _ := serve(t, sandboxtest.NewFake(t), 0)
	b := open(t, chromium, url)
	const markup = `<img src="https://evil.example/x" onerror="document.title='owned'"><script>1</script>&amp;`
	b.enter("#!fake\nprint " + markup + "\neprint " + markup)
	b.click()
	b.reads("#stdout", markup+"\n")
	b.reads("#stderr", markup+"\n")
	if elements := eval[int](b, `document.querySelectorAll("pre *").length`); elements != 0 {
		t.Errorf("the output became %d elements", elements)
	}
}

func saysTruncated(t *testing.T, chromium context.Context) {
	url, _ := serve(t, sandboxtest.NewFake(t), 0)
	b := open(t, chromium, url)
	b.enter("#!fake\nrepeat 2000 x")
	b.click()
	b.reads("#stdout", strings.Repeat("x", 1000))
	b.shows("#truncated", true)
}

func showsRunning(t *testing.T, chromium context.Context) {
	fake := sandboxtest.NewFake(t)
	release := make(chan struct{})
	var runs atomic.Int32
	fake.OnRun = func(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		runs.Add(1)
		<-release
		return sandboxtest.Interpret(ctx, p, out)
	}
	url, _ := serve(t, fake, 0)
	b := open(t, chromium, url)
	b.shows("#progress", false)
	b.do(chromedp.Click(chromedp.CSS("#run")))
	b.wait(`document.querySelector("#run").getAttribute("aria-disabled") === "true"`)
	b.reads("#run", "Running…")
	b.shows("#progress", true)
	b.do(chromedp.Click(chromedp.CSS("#run")))
	b.wait(`document.querySelector("#pool").textContent.includes("1 running")`)
	b.shoot("running")
	close(release)
	b.wait(status + ` === "Finished"`)
	b.shows("#progress", false)
	if got := runs.Load(); got != 1 {
		t.Errorf("two clicks made %d runs", got)
	}
}

func givesStdin(t *testing.T, chromium context.Context) {
	url, _ := serve(t, sandboxtest.NewFake(t), 0)
	b := open(t, chromium, url)
	b.enter("#!fake\nstdin")
	b.do(chromedp.Click(chromedp.CSS("summary")), chromedp.SendKeys(chromedp.CSS("#stdin"), "some input"))
	b.click()
	b.reads("#stdout", "some input")
}

func changesSample(t *testing.T, chromium context.Context) {
	url, _ := serve(t, sandboxtest.NewFake(t), 0)
	b := open(t, chromium, url)
	change := func(language string) string {
		b.eval(fmt.Sprintf(`{ const l = document.querySelector("#language"); l.value = %q; l.dispatchEvent(new Event("change")) }`, language))
		return eval[string](b, code)
	}
	if got := change("node"); !strings.Contains(got, "console.log") {
		t.Errorf("the sample for Node is %q", got)
	}
	b.click()
	if got := b.text("#stdout"); !strings.Contains(got, "console.log") {
		t.Errorf("the fake echoed %q", got)
	}
	b.enter("mine")
	if got := change("python"); got != "mine" {
		t.Errorf("the user's program was replaced with %q", got)
	}
}

func countsCharacters(t *testing.T, chromium context.Context) {
	url, _ := serve(t, sandboxtest.NewFake(t), 0)
	b := open(t, chromium, url)
	fill := func(js string) {
		b.eval(`{ const code = document.querySelector("#code"); code.value = ` + js + `; code.dispatchEvent(new Event("input")) }`)
	}
	fill(`"x".repeat(4000)`)
	b.reads("#left", "")
	fill(`"😀".repeat(4990)`)
	b.reads("#left", "10 characters left")
	fill(`"x".repeat(5002)`)
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
	url, _ := serve(t, fake, pool.NoQueue)
	b := open(t, chromium, url)
	b.click()
	if got := b.text("#status"); !strings.HasPrefix(got, "Too many requests are waiting for a sandbox. Try again in ") {
		t.Errorf("the status reads %q", got)
	}
	b.shows("#result", false)
	b.shoot("refused")
}

func saysGone(t *testing.T, chromium context.Context) {
	url, end := serve(t, sandboxtest.NewFake(t), 0)
	b := open(t, chromium, url)
	end()
	b.click()
	b.reads("#status", "The server cannot be reached.")
	b.wait(`document.querySelector("#pool").textContent === "Pool: The server cannot be reached."`)
}

func fits(t *testing.T, chromium context.Context) {
	for _, look := range []struct {
		name, scheme string
		width        int64
	}{
		{"light", "light", 1100}, {"dark", "dark", 1100}, {"small-light", "light", 360}, {"small-dark", "dark", 360},
	} {
		url, _ := serve(t, sandboxtest.NewFake(t), 0)
		b := open(t, chromium, url)
		b.do(chromedp.EmulateViewport(look.width, 800))
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}},
		})
		b.shoot(look.name + "-start")
		b.enter("#!fake\nprint Hello\nrepeat 2000 wide-\neprint Traceback (most recent call last):\neprint ValueError: x\nexit 1")
		b.click()
		b.shoot(look.name)
		if eval[bool](b, `document.documentElement.scrollWidth > document.documentElement.clientWidth`) {
			t.Errorf("at %d pixels the page scrolls sideways", look.width)
		}
	}
}
