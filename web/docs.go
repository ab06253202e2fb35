package web

import (
	"bytes"
	"compress/gzip"
	"io"

	"github.com/gofiber/fiber/v2"
	"github.com/swaggest/swgui/v5/static"
)

// docsFiles are Swagger UI's, which reads /openapi.json; they come compressed.
var docsFiles = []struct{ path, file, contentType string }{
	{"/docs/swagger-ui.js", "swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8"},
	{"/docs/swagger-ui.css", "swagger-ui.css.gz", "text/css; charset=utf-8"},
}

func mountDocs(r fiber.Router) {
	for _, f := range docsFiles {
		content, err := static.FS.ReadFile(f.file)
		if err != nil {
			panic(err) // the table and the library differ
		}
		r.Get(f.path, compressed(content, serve(content, f.contentType, policy)))
	}
}

// compressed answers with content as it is, or unpacks it for a client that
// takes no gzip.
func compressed(content []byte, answer fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := answer(c); err != nil || c.Response().StatusCode() != fiber.StatusOK {
			return err
		}
		c.Vary(fiber.HeaderAcceptEncoding)
		if c.Request().Header.HasAcceptEncoding("gzip") {
			c.Set(fiber.HeaderContentEncoding, "gzip")
			return nil
		}
		r, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return err
		}
		plain, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return c.Send(plain)
	}
}
