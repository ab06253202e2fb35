package docker

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

// TestOutOfMemoryIsToldApart runs every case PREHEAT_OOM_REPEAT times, once by
// default, and logs how often it was told right.
func TestOutOfMemoryIsToldApart(t *testing.T) {
	repeat := 1
	if text, ok := os.LookupEnv("PREHEAT_OOM_REPEAT"); ok {
		var err error
		if repeat, err = strconv.Atoi(text); err != nil || repeat < 1 {
			t.Fatalf("PREHEAT_OOM_REPEAT is %q, want a positive number", text)
		}
	}
	d, cli := newDriver(t)
	for _, test := range sandboxtest.MemoryCases {
		t.Run(strings.ReplaceAll(test.Name, "/", ""), func(t *testing.T) {
			lang := enginetest.Language(t, cli, test.Language)
			test.Limit(&lang)
			start := time.Now()
			wrong := repeatRuns(t, d, lang, test.Source, repeat, func(res sandbox.Result) bool {
				agentLost := res.Usage == sandbox.Usage{}
				return res.Status == test.Want && res.ExitCode == test.Code && agentLost == (test.Name == sandboxtest.TheAgent)
			})
			for _, res := range wrong {
				t.Errorf("got %+v; want %s, exit code %d", res, test.Want, test.Code)
			}
			t.Logf("%d of %d right in %s", repeat-len(wrong), repeat, time.Since(start).Round(time.Second))
		})
	}
}

// repeatRuns runs source n times, each in a sandbox of its own and a few at a
// time, and returns the results that are not right.
func repeatRuns(t *testing.T, d *Driver, lang sandbox.Language, source string, n int, right func(sandbox.Result) bool) []sandbox.Result {
	var (
		workers sync.WaitGroup
		turns   = make(chan struct{}, n)
		wrong   = make(chan sandbox.Result, n)
	)
	for range n {
		turns <- struct{}{}
	}
	close(turns)
	for range min(n, 4) {
		workers.Go(func() {
			for range turns {
				s, err := d.Launch(t.Context(), lang)
				if err != nil {
					t.Error(err)
					return
				}
				res, err := s.Run(t.Context(), program(lang, source), new(sandbox.Capture))
				if err != nil {
					t.Error(err)
				} else if !right(res) {
					wrong <- res
				}
				if err := s.Destroy(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	close(wrong)
	var all []sandbox.Result
	for res := range wrong {
		all = append(all, res)
	}
	return all
}
