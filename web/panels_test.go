package web_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func keepsHistory(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{history: true})
	b := open(t, chromium, url)
	const rows = `document.querySelectorAll("#history-list li").length`
	first := "first\n" + strings.Repeat("common\n", 9)
	b.press("#tab-history")
	b.wait(`document.querySelector("#history-note").textContent.startsWith("No runs yet.")`)
	common := strings.Repeat("\nprint common", 9)
	b.run("#!fake\nprint first" + common + "\nexit 3")
	b.run("#!fake\nprint second" + common)
	b.press("#tab-history")
	b.wait(rows + ` === 2`)
	b.shoot("history")

	b.do(chromedp.SendKeys(chromedp.CSS("#history-search"), "first"))
	b.wait(rows + ` === 1`)
	b.press("#history-list [title^=Compare]")
	b.wait(`document.querySelector("#diff-view").open`)
	b.reads("#diff", "− first\n+ second"+strings.Repeat("\n  common", 3)+"\n… 6 lines alike")
	b.shoot("diff")
	b.press("#diff-close")

	b.press("#history-list .open")
	b.prints(first)
	b.reads("#status", "Exited with code 3")
	b.wait(code + ` === ` + quoted("#!fake\nprint first"+common+"\nexit 3"))
	b.shows("#guest", true)
	b.press("#link-run")
	b.wait(`location.hash.startsWith("#run=")`)
	b.do(chromedp.Reload())
	b.ready()
	b.prints(first)

	b.press("#guest-leave")
	b.wait(code + ` === ` + quoted("#!fake\nprint second"+common))
	b.press("#tab-history")
	b.wait(rows + ` === 2`)
	b.eval(status + ` = ""`)
	b.press("#history-list li:nth-child(2) [title^='Run this']")
	b.wait(settled)
	b.prints(first)
	b.press("#tab-history")
	b.wait(rows + ` === 3`)
	for left := 2; left >= 0; left-- {
		b.press("#history-list [title^=Delete]")
		b.wait(rows + ` === ` + string(rune('0'+left)))
	}
	b.wait(`document.querySelector("#history-note").textContent.startsWith("No runs yet.")`)
}

func saysNoHistory(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	b.press("#tab-history")
	b.wait(`document.querySelector("#history-note").textContent.startsWith("This server keeps no history.")`)
	b.shows("#history-tools", false)
	b.shoot("no-history")
}

func shares(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	const program = "#!fake\nprint 😀 shared"
	b.enter(program)
	b.press("#share")
	b.wait(`location.hash.startsWith("#code=")`)
	link := eval[string](b, `location.hash`)
	b.enter("mine")
	b.eval(`dispatchEvent(new Event("pagehide"))`)

	b = visit(t, chromium, url, "/"+link)
	b.ready()
	b.wait(code + ` === ` + quoted(program))
	b.reads("#guest-title", "Shared program")
	b.reads("#status", "")
	b.click()
	b.prints("😀 shared\n")
	b.press("#guest-leave")
	b.wait(code + ` === "mine" && location.hash === ""`)

	b = visit(t, chromium, url, "/#code=AAAA")
	b.wait(status + ` === "The link holds no program."`)
}

func quoted(s string) string { return "`" + s + "`" }

func triesToBreak(t *testing.T, chromium context.Context) {
	fake := sandboxtest.NewFake(t)
	fake.OnRun = func(_ context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		switch text := string(p.Files[0].Content); {
		case strings.Contains(text, "while (true)"):
			return sandbox.Result{Status: sandbox.Timeout, ExitCode: sandbox.ExitKilled}, nil
		case strings.Contains(text, "/etc/passwd"):
			out.Stdout([]byte("ESCAPED to the host\n"))
		default:
			out.Stdout([]byte("CONTAINED EPERM\n"))
		}
		return sandbox.Result{Status: sandbox.OK}, nil
	}
	url, _ := serve(t, setup{fake: fake})
	b := open(t, chromium, url)
	b.enter("mine")
	b.press("#tab-break")
	if got := eval[int](b, `document.querySelectorAll("#attacks li").length`); got < 12 {
		t.Errorf("there are %d attacks", got)
	}
	for _, sample := range []struct{ title, answer string }{
		{"Read the accounts", "ESCAPED to the host"},
		{"Mount", "Contained: EPERM"},
		{"Never end", "Contained: Execution timed out after 10 seconds"}, // in another language
	} {
		button := `[aria-label="Try: ` + sample.title + `"]`
		b.press(button)
		b.wait(`document.querySelector('` + button + `').parentNode.querySelector(".answer").textContent === "` + sample.answer + `"`)
		b.reads("#guest-title", sample.title)
	}
	b.shoot("break")
	b.press("#guest-leave")
	b.wait(code + ` === "mine"`)
}

func showsPool(t *testing.T, chromium context.Context) {
	fake := sandboxtest.NewFake(t)
	launch, finish := make(chan struct{}), make(chan struct{})
	fake.OnLaunch = func(ctx context.Context, _ sandbox.Language) error {
		select {
		case <-launch:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	fake.OnRun = func(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		<-finish
		return sandboxtest.Interpret(ctx, p, out)
	}
	url, _ := serve(t, setup{fake: fake})
	b := open(t, chromium, url)
	const squares = `[...document.querySelectorAll("#pool li:first-child i")].map((i) => i.className).join()`
	b.wait(squares + `.startsWith("launching")`)
	b.enter("#!fake\nprint served")
	b.press("#run")
	b.wait(status + ` === "Waiting for a sandbox: place 1 in the queue"`)
	b.wait(`document.querySelector("#pool").textContent.includes("1 waiting")`)
	b.shoot("queue")
	close(launch)
	b.wait(squares + `.includes("leased") && ` + status + ` === "Running"`)
	close(finish)
	b.wait(settled)
	b.prints("served\n")
	b.wait(squares + ` === "warm,warm"`)
	b.wait(`document.querySelector("#pool .squares").ariaLabel === "python: 2 warm, of 2"`)
	b.reads("#engine", "oci · crun, runsc")
	b.wait(`/^p50 .* ms · p99 .* ms$/.test(document.querySelector("#quantiles").textContent)`)

	// A page that nobody sees holds no connection.
	b.eval(`{
		window.followed = [];
		const ask = fetch;
		window.fetch = (path, options) => {
			if (path === "pool/stream") followed.push(options.signal);
			return ask(path, options);
		};
	}`)
	hide := func(hidden string) {
		b.eval(`Object.defineProperty(document, "hidden", { value: ` + hidden + `, configurable: true }); document.dispatchEvent(new Event("visibilitychange"))`)
	}
	hide("true")
	hide("false")
	b.wait(`followed.length === 1 && !followed[0].aborted`)
	hide("true")
	b.wait(`followed.length === 1 && followed[0].aborted`)
}
