package main

import (
	"testing"

	"github.com/preheat/preheat/internal/doctest"
)

func TestTheExperimentsOfTheSecurityPageComeOutAsItSays(t *testing.T) {
	s := startServer(t, "test-security-page")
	doctest.Run(t, "../../SECURITY.md", "http://127.0.0.1:5000", s.url)
}
