package docker

import (
	"errors"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/profile"
)

func TestAnEngineWithoutSeccompIsRefused(t *testing.T) {
	for _, test := range []struct {
		options []string
		fits    bool
	}{
		{[]string{"name=seccomp,profile=default"}, true},
		{[]string{"name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"}, true},
		{[]string{"name=apparmor", "name=rootless"}, false},
		{nil, false},
	} {
		err := canFilter(test.options)
		if test.fits != (err == nil) || !test.fits && (!errors.Is(err, ErrFilter) || !strings.Contains(err.Error(), "CONFIG_SECCOMP_FILTER")) {
			t.Errorf("%q: %v", test.options, err)
		}
	}
}

func TestARefusedFilterIsToldApart(t *testing.T) {
	for said, filters := range map[string]bool{
		"Decoding seccomp profile failed: invalid character":                                              true,
		"seccomp is not enabled in your kernel, cannot run a custom seccomp profile":                      true,
		"OCI runtime create failed: unable to init seccomp: error adding seccomp filter rule for syscall": true,
		"OCI runtime create failed: exec: \"/app/preheat-agent\": no such file":                           false,
	} {
		err := explainFilter(errors.New(said))
		if errors.Is(err, ErrFilter) != filters || !strings.Contains(err.Error(), said) {
			t.Errorf("%q became %q", said, err)
		}
	}
	if err := explainFilter(nil); err != nil {
		t.Error(err)
	}
}

func TestAFilterThatTheEngineRefusesSaysWhatToDo(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	for name, broken := range map[string]string{
		"not a profile":     `{"defaultAction": 1}`,
		"an unknown action": `{"defaultAction": "SCMP_ACT_NO_SUCH"}`,
	} {
		t.Run(name, func(t *testing.T) {
			config, host := render(lang, d.cfg.Instance, profile.FirstUser)
			host.SecurityOpt = []string{"no-new-privileges", "seccomp=" + broken}
			s := &Sandbox{driver: d, name: containerName(lang.Name), oom: make(chan struct{})}
			err := s.launch(t.Context(), config, host)
			if !errors.Is(err, ErrFilter) || !strings.Contains(err.Error(), "20.10.10") {
				t.Errorf("got %v", err)
			}
			if err := d.remove(t.Context(), s.name); err != nil {
				t.Error(err)
			}
		})
	}
}
