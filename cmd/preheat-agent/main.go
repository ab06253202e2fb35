//go:build linux

// Command preheat-agent is the first process of every sandbox. See package
// guest.
package main

import (
	"os"

	"github.com/preheat/preheat/sandbox/agent/guest"
)

func main() { os.Exit(guest.Main(os.Args[1:])) }
