// Package enginetest connects tests to a Docker Engine.
package enginetest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/docker/docker/client"
)

// Client returns a client of the Engine at DOCKER_HOST or the default socket.
// Where none answers, the test fails if PREHEAT_ENGINE=required is set, and is
// skipped otherwise.
func Client(t testing.TB) *client.Client {
	t.Helper()
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err = cli.Ping(ctx)
	}
	if err == nil {
		t.Cleanup(func() { _ = cli.Close() })
		return cli
	}
	if os.Getenv("PREHEAT_ENGINE") == "required" {
		t.Fatalf("PREHEAT_ENGINE=required, but no Docker Engine answers: %v", err)
	}
	t.Skip("needs a Docker Engine; `make test` starts one")
	return nil
}
