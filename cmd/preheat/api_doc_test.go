package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/preheat/preheat/internal/doctest"
)

func TestTheCommandsOfTheAPIPagePrintWhatItSays(t *testing.T) {
	t.Setenv("PREHEAT_DATA", t.TempDir())
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nPREHEAT_TEST_COMMAND=1 GORACE=atexit_sleep_ms=0 exec %q \"$@\"\n", os.Args[0])
	if err := os.WriteFile(filepath.Join(bin, "preheat"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	s := startServer(t, "test-api-page")
	doctest.Run(t, "../../docs/api.md", "http://127.0.0.1:5000", s.url)
}
