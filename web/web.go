// Package web is the page of preheat: three embedded files that a browser gets
// from the same server whose API they call.
//
// Start at [Mount]. The page loads nothing from elsewhere and its policy forbids
// it; what a program prints is shown as text, never as markup.
package web

import (
	"crypto/sha256"
	"embed"
	"fmt"

	"github.com/gofiber/fiber/v2"
)

//go:embed assets
var assets embed.FS

// pages says which file answers which path.
var pages = []struct{ path, file, contentType string }{
	{"/", "index.html", "text/html; charset=utf-8"},
	{"/app.js", "app.js", "text/javascript; charset=utf-8"},
	{"/style.css", "style.css", "text/css; charset=utf-8"},
}

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Mount adds the page at "/" and its files beside it to r.
func Mount(r fiber.Router) {
	for _, p := range pages {
		content, err := assets.ReadFile("assets/" + p.file)
		if err != nil {
			panic(err) // the table and the embedded files differ
		}
		r.Get(p.path, serve(content, p.contentType))
	}
}

func serve(content []byte, contentType string) fiber.Handler {
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
