// Package web is the page of preheat, and the description of its API: embedded
// files that a browser gets from the same server whose API they call.
//
// Start at [Mount]. The page loads nothing from elsewhere and its policy forbids
// it; what a program prints is shown as text, never as markup. What is in assets
// is made of src by the command tools/web; building preheat does not need it.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"

	"github.com/gofiber/fiber/v2"
)

//go:embed assets
var assets embed.FS

// pages says which file answers which path.
var pages = []struct{ path, file, contentType, policy string }{
	{"/", "index.html", "text/html; charset=utf-8", pagePolicy},
	{"/app.js", "app.js", "text/javascript; charset=utf-8", policy},
	{"/style.css", "style.css", "text/css; charset=utf-8", policy},
	{"/licences.txt", "licences.txt", "text/plain; charset=utf-8", policy},
	{"/docs", "docs.html", "text/html; charset=utf-8", policy},
	{"/docs.js", "docs.js", "text/javascript; charset=utf-8", policy},
}

const (
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
		"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

	// The browser itself refuses to make markup of text.
	pagePolicy = policy + "; require-trusted-types-for 'script'; trusted-types 'none'"
)

// Mount adds the page at "/", the API's description at "/docs", and their files
// to r.
func Mount(r fiber.Router) {
	for _, p := range pages {
		content, err := assets.ReadFile("assets/" + p.file)
		if err != nil {
			panic(err) // the table and the embedded files differ
		}
		packed := pack(content)
		r.Get(p.path, compressed(packed, serve(packed, p.contentType, p.policy)))
	}
	mountDocs(r)
}

func pack(content []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // there is no such level
	}
	w.Write(content)
	w.Close() // neither fails in memory
	return b.Bytes()
}

func serve(content []byte, contentType, policy string) fiber.Handler {
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(content))
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentSecurityPolicy, policy)
		c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
		c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
		c.Set(fiber.HeaderCacheControl, "no-cache") // kept, but asked for each time
		c.Set(fiber.HeaderETag, tag)
		if c.Get(fiber.HeaderIfNoneMatch) == tag {
			return c.SendStatus(fiber.StatusNotModified)
		}
		c.Set(fiber.HeaderContentType, contentType)
		return c.Send(content)
	}
}
