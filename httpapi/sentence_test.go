package httpapi

import (
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
)

func TestErrorSentenceSaysWhyARunWasNotOK(t *testing.T) {
	tests := []struct {
		status  sandbox.Status
		code    int
		timeout time.Duration
		want    string
	}{
		{sandbox.Timeout, 137, 10 * time.Second, "Execution timed out after 10 seconds"},
		{sandbox.Timeout, 137, time.Second, "Execution timed out after 1 second"},
		{sandbox.Timeout, 137, 1500 * time.Millisecond, "Execution timed out after 1.5 seconds"},
		{sandbox.Timeout, 137, 250 * time.Millisecond, "Execution timed out after 250 milliseconds"},
		{sandbox.Timeout, 137, time.Millisecond, "Execution timed out after 1 millisecond"},
		{sandbox.OutOfMemory, 137, time.Second, "Out of memory: the limit is 128 MiB"},
		{sandbox.OutputLimit, 137, time.Second, "Too much output: the limit is 1536 KiB"},
		{sandbox.Error, 3, time.Second, "Exited with code 3"},
		{sandbox.Error, 139, time.Second, "Killed by SIGSEGV"},
		{sandbox.Error, 137, time.Second, "Killed by SIGKILL"},
		{sandbox.Error, 128, time.Second, "Exited with code 128"},
		{sandbox.Error, 255, time.Second, "Exited with code 255"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			p := sandbox.Program{Timeout: tt.timeout, FloodBytes: 1536 << 10}
			got := errorSentence(sandbox.Result{Status: tt.status, ExitCode: tt.code}, p, sandbox.DefaultLimits())
			if got == nil || *got != tt.want {
				t.Errorf("got %v, want %q", got, tt.want)
			}
		})
	}
	if got := errorSentence(sandbox.Result{Status: sandbox.OK}, sandbox.Program{}, sandbox.Limits{}); got != nil {
		t.Errorf("a run that was ok has the error %q", *got)
	}
}

func TestSizeWordsTakeTheLargestWholeUnit(t *testing.T) {
	for n, want := range map[int64]string{128 << 20: "128 MiB", 65 << 10: "65 KiB", 1000: "1000 bytes"} {
		if got := sizeWords(n); got != want {
			t.Errorf("sizeWords(%d) is %q, want %q", n, got, want)
		}
	}
}
