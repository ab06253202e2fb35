package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/preheat/preheat/internal/doctest"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

// preheatOnPath lets the commands of a document find preheat.
func preheatOnPath(t *testing.T) {
	t.Helper()
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nPREHEAT_TEST_COMMAND=1 GORACE=atexit_sleep_ms=0 exec %q \"$@\"\n", os.Args[0])
	if err := os.WriteFile(filepath.Join(bin, "preheat"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

func TestDeployPage(t *testing.T) {
	enginetest.Client(t)
	makeTrees(t, "python")
	preheatOnPath(t)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	doctest.Run(t, "../../docs/deploy.md", "127.0.0.1:5000", addr)
}
