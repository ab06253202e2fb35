// Package doctor looks at a Docker Engine the way an operator would before
// trusting it with hostile programs.
//
// [Gather] asks the Engine for [Facts]; [Judge] says what they mean, one [Check]
// for each. Only Gather has effects, and it changes nothing; it fails when the
// Engine does not answer.
package doctor

import (
	"context"
	"fmt"

	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
)

// Level is how grave the outcome of a check is.
type Level string

// The levels.
const (
	Pass Level = "pass" // as it should be
	Warn Level = "warn" // programs run, and a wall is missing, unknown or thin
	Fail Level = "fail" // programs do not run, or a wall that is promised is not there
)

// Check is the outcome of one check, written for people.
type Check struct {
	Name   string `json:"name"`
	Level  Level  `json:"level"`
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"` // what to do, a few lines; empty on Pass
}

// Part is a piece of software of the Engine.
type Part struct {
	Version string // empty is unknown
	Commit  string // what it was built from; distributions write the package's version here
}

// Facts are what an Engine says of itself and its machine.
type Facts struct {
	Engine     Part // not known of engines other than Docker's
	Runc       Part
	APIVersion string // negotiated with this client
	Cgroup     string // version, "1" or "2"
	Storage    string // driver
	Security   []string

	// Limits that the kernel and the Engine can enforce.
	MemoryLimit, SwapLimit, PidsLimit, CPULimit bool
}

// Gather asks the Engine.
func Gather(ctx context.Context, api *client.Client) (Facts, error) {
	info, err := api.Info(ctx)
	if err != nil {
		return Facts{}, fmt.Errorf("doctor: ask the engine: %w", err)
	}
	version, err := api.ServerVersion(ctx)
	if err != nil {
		return Facts{}, fmt.Errorf("doctor: ask the engine for its version: %w", err)
	}
	f := Facts{
		APIVersion:  api.ClientVersion(),
		Cgroup:      info.CgroupVersion,
		Storage:     info.Driver,
		MemoryLimit: info.MemoryLimit,
		SwapLimit:   info.SwapLimit,
		PidsLimit:   info.PidsLimit,
		CPULimit:    info.CPUCfsQuota,
	}
	for _, c := range version.Components {
		switch c.Name {
		case "Engine":
			f.Engine = Part{c.Version, version.GitCommit}
		case "runc":
			f.Runc = Part{c.Version, c.Details["GitCommit"]}
		}
	}
	options, err := system.DecodeSecurityOptions(info.SecurityOptions)
	if err != nil {
		return Facts{}, fmt.Errorf("doctor: read the engine's security options: %w", err)
	}
	for _, o := range options {
		f.Security = append(f.Security, o.Name)
	}
	return f, nil
}
