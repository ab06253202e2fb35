package docker

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

// memoryCases are the ways in which a program comes to its end near the memory
// limit, and what each is.
var memoryCases = []struct {
	name, language, source string
	want                   sandbox.Status
	code                   int
}{
	{"one block", "python", "b = bytearray(10**9)", sandbox.OutOfMemory, 137},
	{"page by page", "python", "b = []\nwhile True: b.append(bytearray(1 << 16))", sandbox.OutOfMemory, 137},
	{"buffers of node", "node", "const b = []; for (;;) b.push(Buffer.alloc(1 << 20, 1))", sandbox.OutOfMemory, 137},
	{"the work folder filled", "python", fill("/work/x"), sandbox.OutOfMemory, 137},
	{"/dev/shm filled", "python", fill("/dev/shm/x"), sandbox.OutOfMemory, 137},
	{"a child, and the parent fails", "python", inChild + "sys.exit(p.returncode != 0)", sandbox.OutOfMemory, 1},
	{"a child, and the parent fails for another reason", "python", inChild + "import time; time.sleep(0.2)\nsys.exit(3)", sandbox.OutOfMemory, 3},
	{"a child, and the parent goes on", "python", inChild + "print(p.returncode)", sandbox.OK, 0},
	{theAgent, "python", hitAgent, sandbox.OutOfMemory, 137},
	{"SIGKILL of itself", "python", "import os\nos.kill(os.getpid(), 9)", sandbox.Error, 137},
	{"SIGKILL of itself, nearly out of memory", "python", "import os\nb = bytearray(20 << 20)\nos.kill(os.getpid(), 9)", sandbox.Error, 137},
	{"SIGKILL of a child", "python", "import subprocess, sys\nsys.exit(-subprocess.run(['sh', '-c', 'kill -9 $$']).returncode)", sandbox.Error, 9},
	{"MemoryError", "python", "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))\nb = bytearray(10**9)", sandbox.Error, 1},
}

// theAgent is the case in which nobody is left to report.
const theAgent = "the agent itself"

const inChild = "import subprocess, sys\np = subprocess.run([sys.executable, '-c', 'b = bytearray(10**9)'])\n"

// fill takes the memory away by a file in a tmpfs, with a block beside it: the
// tmpfs alone is smaller than the limit.
func fill(path string) string {
	return fmt.Sprintf("b = bytearray(28 << 20)\nf = open('%s', 'wb', 0)\nwhile True: f.write(bytes(1 << 16))", path)
}

// hitAgent makes the agent the largest process and no better protected than the
// others: it fills both tmpfs from a shell that is smaller.
const hitAgent = `import os
os.execv('/bin/sh', ['sh', '-c', '''
echo 500 >/proc/self/oom_score_adj
b=0123456789abcdef
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do b=$b$b; done
while :; do printf %s "$b" >>x || break; done
while :; do printf %s "$b" >>/dev/shm/x || break; done
'''])`

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
	for _, test := range memoryCases {
		t.Run(strings.ReplaceAll(test.name, "/", ""), func(t *testing.T) {
			lang := enginetest.Language(t, cli, test.language)
			if test.language == "python" {
				lang.Limits.MemoryBytes, lang.Limits.WorkBytes, lang.Limits.ShmBytes = 48<<20, 32<<20, 32<<20
			}
			start := time.Now()
			wrong := repeatRuns(t, d, lang, test.source, repeat, func(res sandbox.Result) bool {
				agentLost := res.Usage == sandbox.Usage{}
				return res.Status == test.want && res.ExitCode == test.code && agentLost == (test.name == theAgent)
			})
			for _, res := range wrong {
				t.Errorf("got %+v; want %s, exit code %d", res, test.want, test.code)
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
