package web_test

import (
	"context"
	"os"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func (b *tab) scheme(name string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

func changesTheme(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	const back = `getComputedStyle(document.body).backgroundColor`
	b.scheme("light")
	light := eval[string](b, back)
	b.press("#theme")
	dark := eval[string](b, back)
	if light == dark {
		t.Fatalf("the page is %s in both", light)
	}
	b.do(chromedp.Reload())
	b.ready()
	if got := eval[string](b, back); got != dark {
		t.Errorf("after a reload it is %s, want %s", got, dark)
	}
	b.press("#theme")
	b.scheme("dark")
	if got := eval[string](b, back); got != dark {
		t.Errorf("without a choice, in a dark system, it is %s, want %s", got, dark)
	}
}

// findings are the serious and critical ones of axe.
const findings = `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations
	.filter(({ impact }) => impact === "serious" || impact === "critical")
	.map(({ id, nodes }) => id + ": " + nodes.slice(0, 3).map((n) => n.target.join(" ") + " " + (n.any[0]?.message ?? "")).join("; ")).join("\n"))`

func fits(t *testing.T, chromium context.Context) {
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	url, _ := serve(t, setup{history: true, output: 1 << 14})
	b := open(t, chromium, url)
	b.eval(string(axe))
	states := []struct {
		name string
		show func()
	}{
		{"start", func() {}},
		{"run", func() {
			b.press("#inputs summary")
			b.press("#tests summary")
			b.run("#!fake\nprint Hello \x1b[31mred\x1b[33;44mboth\x1b[0m\nrepeat 2000 wide-\neprint Traceback (most recent call last):\neprint   File \"/work/main.py\", line 2, in <module>\neprint ValueError: x\u202e\nexit 1")
		}},
		{"history", func() {
			b.press("#tab-history")
			b.wait(`document.querySelector("#history-list li") !== null`)
		}},
		{"break", func() { b.press("#tab-break") }},
	}
	for _, state := range states {
		state.show()
		for _, look := range []struct {
			name, scheme string
			width        int64
		}{
			{"light", "light", 1280}, {"dark", "dark", 1280}, {"small-light", "light", 360}, {"small-dark", "dark", 360}, {"wide", "light", 2560},
		} {
			b.do(chromedp.EmulateViewport(look.width, 800))
			b.scheme(look.scheme)
			b.shoot(state.name + "-" + look.name)
			if eval[bool](b, `document.documentElement.scrollWidth > document.documentElement.clientWidth`) {
				t.Errorf("%s: at %d pixels the page scrolls sideways", state.name, look.width)
			}
			if look.width == 2560 {
				continue
			}
			if found := b.await(findings); found != "" {
				t.Errorf("%s, %s: %s", state.name, look.name, found)
			}
		}
	}
}

// await returns what a promise of a text resolves to.
func (b *tab) await(js string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[string](js, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return value
}
