package web_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

// printing is a fake whose programs print what they are given.
func printing(t *testing.T, write func(out sandbox.Output)) *sandboxtest.Fake {
	fake := sandboxtest.NewFake(t)
	fake.OnRun = func(_ context.Context, _ sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		write(out)
		return sandbox.Result{Status: sandbox.OK}, nil
	}
	return fake
}

func tellsStreamsApart(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{fake: printing(t, func(out sandbox.Output) {
		out.Stdout([]byte("one\ntwo "))
		out.Stderr([]byte("sorry"))
		out.Stdout([]byte(" three\n\n"))
		out.Stderr([]byte("worse\nstill\n"))
		out.Stdout([]byte("end"))
	})})
	b := open(t, chromium, url)
	b.click()
	b.prints("one\ntwo sorry three\n\nworse\nstill\nend")
	const blocks = `[...document.querySelectorAll(".log > div")].map((d) => d.className + ":" + d.textContent).join("|")`
	const want = "stdout:one\n|mix:two sorry three\n|stdout:\n|stderr:worse\nstill\n|mix:end"
	if got := eval[string](b, blocks); got != want {
		t.Errorf("the blocks are %q, want %q", got, want)
	}
	if got := b.text(".log .err"); got != "sorry" {
		t.Errorf("in the line of both streams, %q is marked", got)
	}
	b.eval(`navigator.clipboard.writeText = async (text) => { window.copied = text }`)
	b.press("#copy")
	b.wait(`window.copied === "one\ntwo sorry three\n\nworse\nstill\nend"`)
}

func streams(t *testing.T, chromium context.Context) {
	fake := sandboxtest.NewFake(t)
	ended := make(chan struct{}, 3)
	fake.OnRun = func(ctx context.Context, _ sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		out.Stdout([]byte("first\n"))
		<-ctx.Done() // the program ends only when it is stopped
		ended <- struct{}{}
		return sandbox.Result{}, nil
	}
	url, _ := serve(t, setup{fake: fake})
	b := open(t, chromium, url)
	for name, stop := range map[string]func(){
		"button": func() { b.press("#stop") },
		"key":    func() { b.do(chromedp.KeyEvent(kb.Escape)) },
	} {
		b.enter(name)
		b.press("#run")
		b.prints("first\n")
		b.reads("#status", "Running")
		b.press("#run") // does nothing
		b.shoot("running")
		stop()
		b.wait(status + ` === "Stopped"`)
		b.shows("#stop", false)
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("the program goes on after it was stopped")
		}
	}
	if len(ended) != 0 {
		t.Error("a click on Run during a run began another")
	}
}

func showsColours(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{fake: printing(t, func(out sandbox.Output) {
		out.Stdout([]byte("\x1b[31mred\x1b[1;44mboth\x1b[0mplain \x1b[38;5;196mfar\x1b[m \x1b[38;2;0;200;0mtrue\x1b[39m \x1b[2Jgone\x1b[10;10H\n"))
		out.Stdout([]byte("\x1b[3"))
		out.Stdout([]byte("2msplit\x1b[0m\n"))
	})})
	b := open(t, chromium, url)
	b.click()
	b.prints("redbothplain far true ⟨ESC⟩[2Jgone⟨ESC⟩[10;10H\nsplit\n")
	const spans = `[...document.querySelectorAll(".log span")].map((s) => s.className + ":" + s.textContent).join("|")`
	const want = "f1:red|f1 bold b4:both|f9:far|f10:true|mark:⟨ESC⟩[2J|mark:⟨ESC⟩[10;10H|f2:split"
	if got := eval[string](b, spans); got != want {
		t.Errorf("the coloured parts are %q, want %q", got, want)
	}
}

// hostile is what must reach the page as text, and what is shown for it where
// that differs.
var hostile = []struct{ printed, shown string }{
	{`<img src="https://evil.example/x" onerror="document.title='owned'">`, ""},
	{`<script>document.title = "owned"</script></pre></div>&lt;&amp;<!--`, ""},
	{`<style>*{display:none}</style><iframe src="https://evil.example"></iframe>`, ""},
	{`javascript:document.title="owned" {{constructor}} ${document.title="owned"}`, ""},
	{"\x1b]8;;https://evil.example\x07link\x1b]8;;\x07", "⟨ESC⟩]8;;https://evil.example⟨BEL⟩link⟨ESC⟩]8;;⟨BEL⟩"},
	{"\x1b]0;a title\x07\x1b]52;c;YQ==\x07\x1bP\x1bc", "⟨ESC⟩]0;a title⟨BEL⟩⟨ESC⟩]52;c;YQ==⟨BEL⟩⟨ESC⟩P⟨ESC⟩c"},
	{"hidden\rshown\b\b\v\f\x7f\x00", "hidden⟨CR⟩shown⟨BS⟩⟨BS⟩⟨VT⟩⟨FF⟩⟨DEL⟩⟨NUL⟩"},
	{"user\u202enimda\u202c \u2066a\u2069 \u200f\u061c", "user⟨RLO⟩nimda⟨PDF⟩ ⟨LRI⟩a⟨PDI⟩ ⟨RLM⟩⟨ALM⟩"},
	{"zero\u200bwidth\u200d\u2060\ufeff\u00ad\u3164\u2028\U000e0041", "zero⟨ZWSP⟩width⟨ZWJ⟩⟨U+2060⟩⟨BOM⟩⟨SHY⟩⟨U+3164⟩⟨U+2028⟩⟨U+E0041⟩"},
	{"\u0085\u009b31m", "⟨U+0085⟩⟨U+009B⟩31m"},
	{"family 👩\u200d👩\u200d👧 heart ❤\ufe0f ünï", ""},
}

func showsHostileOutput(t *testing.T, chromium context.Context) {
	var printed, shown strings.Builder
	for _, h := range hostile {
		printed.WriteString(h.printed + "\n")
		if h.shown == "" {
			h.shown = h.printed
		}
		shown.WriteString(h.shown + "\n")
	}
	url, _ := serve(t, setup{output: 1 << 16, history: true, fake: printing(t, func(out sandbox.Output) {
		out.Stdout([]byte(printed.String()))
		out.Stderr([]byte(printed.String()))
	})})
	b := open(t, chromium, url)
	b.enter(hostile[0].printed + "\u202e")
	b.click()
	b.prints(shown.String() + shown.String())
	if elements := eval[int](b, `document.querySelectorAll(".log :not(div, span)").length`); elements != 0 {
		t.Errorf("the output became %d elements", elements)
	}
	b.reads("#status", "Finished")
	b.shoot("hostile")
	b.press("#tab-history")
	b.wait(`document.querySelector("#history-list code") !== null`)
	b.reads("#history-list code", hostile[0].printed+"⟨RLO⟩")
	b.wait(`document.title === "preheat"`)
}

func boundsOutput(t *testing.T, chromium context.Context) {
	lines := strings.Repeat("\x1b[31mx\x1b[0my\n", 1<<18/12)
	url, _ := serve(t, setup{output: 1 << 20, fake: printing(t, func(out sandbox.Output) {
		out.Stdout([]byte(lines))
		out.Stderr([]byte(strings.Repeat("x", 1<<20)))
	})})
	b := open(t, chromium, url)
	b.click()
	b.wait(`!document.querySelector(".more").hidden && /iB left/.test(document.querySelector(".more").textContent)`)
	if nodes := eval[int](b, `document.querySelectorAll(".log *").length`); nodes > 50_000 {
		t.Errorf("the output became %d elements", nodes)
	}
	b.shoot("flood")
	for range 4 {
		b.eval(`document.querySelector(".more").click()`)
	}
	b.wait(`document.querySelector(".more").hidden`)
	if got := eval[int](b, log+`.length`); got != 1<<20+len(lines)/12*3 {
		t.Errorf("%d characters are shown", got)
	}
}

func leadsToLine(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{fake: printing(t, func(out sandbox.Output) {
		out.Stderr([]byte("Traceback (most recent call last):\n  File \"/work/main.py\", line 3, in <module>\n"))
		out.Stderr([]byte("  File \"/usr/lib/python3/x.py\", line 9\n    at /work/helper.js:2:5\nValueError: main.py:1\n"))
	})})
	b := open(t, chromium, url)
	b.press("#add-file")
	b.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)), chromedp.KeyEvent("helper.js"), pressEnter)
	b.enter("a\nbcdefgh\n")
	b.press("#tabs [role=tab]:first-child")
	b.enter("one\ntwo\nthree\nfour")
	b.click()
	b.wait(`document.querySelectorAll(".place").length === 3`)
	const active = `document.querySelector("#editor").shadowRoot.querySelector(".cm-activeLine").textContent`
	b.press(".place")
	b.wait(active + ` === "three"`)
	b.focused("editor")
	b.eval(`document.querySelectorAll(".place")[1].click()`)
	b.wait(tabNames + ` === "main.py helper.js*" && ` + active + ` === "bcdefgh"`)
	b.shoot("traceback")
}

func showsFiles(t *testing.T, chromium context.Context) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 40, 20))); err != nil {
		t.Fatal(err)
	}
	const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="30" height="10" onload="document.title='owned'"><script>document.title='owned'; fetch('/healthz?owned')</script><rect width="9" height="9"/></svg>`
	fake := sandboxtest.NewFake(t)
	fake.OnRun = func(_ context.Context, p sandbox.Program, _ sandbox.Output) (sandbox.Result, error) {
		if !slices.Contains(p.Collect.Patterns, "*.png") {
			t.Errorf("the page asked for %v", p.Collect.Patterns)
		}
		return sandbox.Result{Status: sandbox.OK, FilesOmitted: 2, Files: []sandbox.File{
			p.Files[0], // which the page has already
			{Name: "a.png", Content: picture.Bytes()}, {Name: "b.svg", Content: []byte(svg)}, {Name: "evil\u202e.html", Content: []byte("<script>1</script>")},
		}}, nil
	}
	url, _ := serve(t, setup{fake: fake})
	b := open(t, chromium, url)
	b.click()
	b.wait(`[...document.querySelectorAll("#made img")].map((i) => i.complete && i.naturalWidth).join() === "40,30"`)
	b.reads("#made li:last-child", "2 more, too many or too large")
	b.reads("#made li:nth-child(3) a", "evil⟨RLO⟩.html")
	const third = `document.querySelector("#made li:nth-child(3) a")`
	if got := eval[string](b, third+`.href.slice(0, 5) + `+third+`.hasAttribute("download")`); got != "blob:true" {
		t.Errorf("the third file is offered as %q", got)
	}
	if eval[bool](b, `performance.getEntriesByType("resource").some((r) => r.name.includes("owned"))`) || eval[string](b, `document.title`) != "preheat" {
		t.Error("a script in an image ran")
	}
	b.shoot("files")
}

func showsTimes(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	b.run("#!fake\nsleep 20ms")
	for _, part := range []string{"queue", "hand-over", "run", "total"} {
		if got := b.text("#time-words"); !strings.Contains(got, part+" ") {
			t.Errorf("the times read %q, without %s", got, part)
		}
	}
	if wide := eval[float64](b, `document.querySelector("#time-bar .run").offsetWidth / document.querySelector("#time-bar").offsetWidth`); wide < 0.5 {
		t.Errorf("20 ms of run take %.2f of the bar", wide)
	}
	b.wait(`/^sandbox destroyed after ≤ .* ms, replaced after ≤ .* ms$/.test(document.querySelector("#fate").textContent)`)
	b.reads("#earlier", "")
	b.click()
	b.wait(`document.querySelector("#earlier").textContent.startsWith("1 earlier run: median ")`)
	b.click()
	b.wait(fmt.Sprintf(`document.querySelector("#earlier").textContent.startsWith(%q)`, "2 earlier runs: median "))
}

func runsCases(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	b.enter("#!fake\nstdin")
	b.press("#tests summary")
	b.press("#add-case")
	b.do(chromedp.SendKeys(chromedp.CSS("#cases li:nth-child(1) .stdin"), "a"), chromedp.SendKeys(chromedp.CSS("#cases li:nth-child(1) .expected"), "a"),
		chromedp.SendKeys(chromedp.CSS("#cases li:nth-child(2) .stdin"), "b"), chromedp.SendKeys(chromedp.CSS("#cases li:nth-child(2) .expected"), "c"))
	b.press("#run-cases")
	b.wait(`document.querySelector("#cases-status").textContent === "1 of 2 passed"`)
	b.reads("#cases li:nth-child(1) .answer", "passed")
	b.reads("#cases li:nth-child(2) .answer", "failed: The output is not the expected one; first: b")
	b.shoot("cases")
}
