package metrics

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
)

// promtool is Prometheus's own checker. Where it is not installed, the test
// fails if PREHEAT_PROMETHEUS=required is set, and is skipped otherwise.
func TestPromtoolFindsNothing(t *testing.T) {
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("PREHEAT_PROMETHEUS") == "required" {
			t.Fatalf("PREHEAT_PROMETHEUS=required, but %v", err)
		}
		t.Skip("needs promtool, of Debian's package prometheus")
	}
	recorder := httptest.NewRecorder()
	used().Handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	check := exec.CommandContext(t.Context(), path, "check", "metrics")
	check.Stdin = recorder.Body
	if said, err := check.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("promtool: %v\n%s", err, said)
	}
}
