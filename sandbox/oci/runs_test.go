package oci

import (
	"strings"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/oci/ocitest"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func program(lang sandbox.Language, source string) sandbox.Program {
	return sandbox.Program{
		Files:       []sandbox.File{{Name: lang.Entry, Content: []byte(source)}},
		Timeout:     30 * time.Second,
		OutputBytes: 64 << 10,
	}
}

func TestOutOfMemoryIsToldApart(t *testing.T) {
	d := newDriver(t)
	for _, test := range sandboxtest.MemoryCases {
		for _, name := range runtimes(t) {
			t.Run(strings.ReplaceAll(test.Name, "/", "")+"/"+name, func(t *testing.T) {
				lang := ocitest.Language(t, test.Language)
				lang.Runtime = name
				if name == "runsc" {
					t.Skip("gVisor has its own answers; see docs/gvisor.md")
				}
				test.Limit(&lang)
				res, err := launch(t, d, lang).Run(t.Context(), program(lang, test.Source), new(sandbox.Capture))
				if err != nil || res.Status != test.Want || res.ExitCode != test.Code {
					t.Errorf("got %+v, %v; want %s, exit code %d", res, err, test.Want, test.Code)
				}
			})
		}
	}
}

// The cgroup counts what a run costs, also of one that is killed, and not what
// the sandbox cost before.
func TestWhatARunCostsIsExact(t *testing.T) {
	d := newDriver(t)
	for name, source := range map[string]string{
		"ended":  "import time\nb = bytearray(40 << 20)\nwhile time.process_time() < 0.5: pass",
		"killed": "b = bytearray(40 << 20)\nwhile True: pass",
	} {
		t.Run(name, func(t *testing.T) {
			lang := ocitest.Language(t, "python")
			lang.Limits.CPUs = 1
			p := program(lang, source)
			p.Timeout = 2 * time.Second
			res, err := launch(t, d, lang).Run(t.Context(), p, new(sandbox.Capture))
			if err != nil {
				t.Fatal(err)
			}
			if res.Usage.CPU < 100*time.Millisecond || res.Usage.CPU > res.Duration+time.Second {
				t.Errorf("%s took %v of processor time in %v", name, res.Usage.CPU, res.Duration)
			}
			if m := res.Usage.MemoryBytes; m < 40<<20 || m > lang.Limits.MemoryBytes {
				t.Errorf("%d bytes of memory", m)
			}
			t.Logf("%+v", res)
		})
	}
}

func TestSandboxesThatLiveHaveUsersOfTheirOwn(t *testing.T) {
	d := newDriver(t)
	lang := ocitest.Language(t, "python")
	seen := map[string]bool{}
	for range 3 {
		var out sandbox.Capture
		s := launch(t, d, lang)
		if _, err := s.Run(t.Context(), program(lang, "print(open('/proc/self/uid_map').read(), open('/proc/self/gid_map').read(), end='')"), &out); err != nil {
			t.Fatal(err)
		}
		maps, _ := out.Strings()
		words := strings.Fields(maps)
		if len(words) != 6 || words[0] != "0" || words[1] == "0" || words[2] != "65536" || words[1] != words[4] || seen[maps] {
			t.Errorf("users are mapped %q", maps)
		}
		seen[maps] = true
	}
}
