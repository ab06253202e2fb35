package web_test

import (
	"archive/zip"
	"bytes"
	"context"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func highlights(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	const colours = `new Set([...document.querySelector("#editor").shadowRoot.querySelectorAll(".cm-line span")].map((s) => getComputedStyle(s).color)).size`
	for _, language := range []string{"python", "node"} {
		b.eval(`{ const l = document.querySelector("#language"); l.value = "` + language + `"; l.dispatchEvent(new Event("change")) }`)
		b.wait(colours + ` >= 3`)
	}
}

const tabNames = `[...document.querySelectorAll("#tabs [role=tab]")].map((t) => t.textContent + (t.ariaSelected === "true" ? "*" : "")).join(" ")`

func hasTabs(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	b.enter("#!fake\ncat data.txt")
	b.press("#add-file")
	b.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)), chromedp.KeyEvent("data.txt"), pressEnter)
	b.wait(tabNames + ` === "main.py data.txt*"`)
	b.enter("from the other file")
	b.click()
	b.prints("from the other file")
	b.press("#rename-file")
	b.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)), chromedp.KeyEvent("main.py"), pressEnter)
	b.wait(tabNames + ` === "main.py data.txt*"`)
	b.press("#rename-file")
	b.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)), chromedp.KeyEvent("other.txt"), pressEnter)
	b.wait(tabNames + ` === "main.py other.txt*"`)
	b.press("#tabs [role=tab]:first-child")
	b.wait(code + ` === "#!fake\ncat data.txt"`)
	b.do(chromedp.KeyEvent(kb.ArrowRight))
	b.wait(code + ` === "from the other file"`)
	b.press("#remove-file")
	b.wait(tabNames + ` === "main.py*"`)
	b.shows("#remove-file", false)
}

func takesDrops(t *testing.T, chromium context.Context) {
	url, _ := serve(t, setup{})
	b := open(t, chromium, url)
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for name, text := range map[string]string{"main.py": "#!fake\ncat in/data.txt", "in/data.txt": "zipped"} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	b.drop("program.zip", archive.Bytes())
	b.wait(`document.querySelector("#chips").textContent.startsWith("program.zip ")`)
	b.shoot("zip")
	b.click()
	b.prints("zipped")
	b.press("#chips button")
	b.wait(`document.querySelector("#chips li") === null`)

	b.drop("notes.txt", []byte("dropped text"))
	b.wait(tabNames + ` === "main.py notes.txt*"`)
	b.drop("data.bin", []byte{0xff, 0xfe, 0})
	b.wait(`document.querySelector("#chips").textContent.startsWith("data.bin ")`)
	b.press("#tabs [role=tab]:first-child")
	b.run("#!fake\ncat notes.txt\nprint\ncat data.bin")
	b.prints("dropped text\n\ufffd\ufffd⟨NUL⟩")
}
