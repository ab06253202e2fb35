// Package doctor looks at a Docker Engine the way an operator would before
// trusting it with hostile programs.
//
// [Gather] asks the Engine for [Facts]; [Judge] says what they mean, one
// [doctor.Check] for each. Only Gather has effects, and it changes nothing; it
// fails when the Engine does not answer.
package doctor

import (
	"context"
	"fmt"

	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox/doctor"
)

// Facts are what an Engine says of itself and its machine.
type Facts struct {
	Engine     doctor.Part // not known of engines other than Docker's
	Runc       doctor.Part
	APIVersion string // negotiated with this client
	Cgroup     string // version, "1" or "2"
	Storage    string // driver
	Security   []string
	Limits     doctor.Limits
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
		APIVersion: api.ClientVersion(),
		Cgroup:     info.CgroupVersion,
		Storage:    info.Driver,
		Limits:     doctor.Limits{Memory: info.MemoryLimit, Swap: info.SwapLimit, Pids: info.PidsLimit, CPU: info.CPUCfsQuota},
	}
	for _, c := range version.Components {
		switch c.Name {
		case "Engine":
			f.Engine = doctor.Part{Version: c.Version, Commit: version.GitCommit}
		case "runc":
			f.Runc = doctor.Part{Version: c.Version, Commit: c.Details["GitCommit"]}
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
