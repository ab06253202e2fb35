package main

import (
	"testing"

	"github.com/preheat/preheat/internal/doctest"
)

func TestTheCommandsOfTheAPIPagePrintWhatItSays(t *testing.T) {
	t.Setenv("PREHEAT_DATA", t.TempDir())
	preheatOnPath(t)
	s := startServer(t, "test-api-page")
	doctest.Run(t, "../../docs/api.md", "http://127.0.0.1:5000", s.url)
}
