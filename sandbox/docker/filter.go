package docker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/system"

	"github.com/preheat/preheat/sandbox/profile/seccomp"
)

// filter is the Engine's option for the system calls that a sandbox may make.
var filter = "seccomp=" + seccomp.JSON()

// ErrFilter marks errors that mean that the Engine, its runtime or its kernel
// cannot filter system calls as preheat has it. There is no way on without.
var ErrFilter = errors.New("docker: the engine cannot filter system calls")

// canFilter reports whether an Engine with these security options can.
func canFilter(options []string) error {
	decoded, err := system.DecodeSecurityOptions(options)
	if err != nil {
		return fmt.Errorf("docker: read the engine's security options: %w", err)
	}
	for _, o := range decoded {
		if o.Name == "seccomp" {
			return nil
		}
	}
	return fmt.Errorf("%w: it names no seccomp among its security options; "+
		"it needs a kernel with CONFIG_SECCOMP_FILTER=y and an engine built with seccomp", ErrFilter)
}

// explainFilter says what to do about an error of a create or start, if it is
// about the filter.
func explainFilter(err error) error {
	if err == nil || !strings.Contains(err.Error(), "seccomp") {
		return err
	}
	return fmt.Errorf("%w: it refuses sandbox/profile/seccomp/seccomp.json; "+
		"it needs Docker 20.10.10 or newer, libseccomp 2.4 or newer, and a kernel with CONFIG_SECCOMP_FILTER=y: %w", ErrFilter, err)
}
