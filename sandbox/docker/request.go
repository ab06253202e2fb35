package docker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/docker/docker/api/types/container"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/profile"
)

// baseEnv is how many variables package profile sets before the language's.
const baseEnv = 5

var errRequest = errors.New("docker: the request is not what the driver asks for")

// CreateRequest is what the driver asks the Engine to create for a sandbox, as JSON.
func CreateRequest(lang sandbox.Language, instance string, uid int) ([]byte, error) {
	config, host := render(lang, instance, uid)
	return json.Marshal(container.CreateRequest{Config: config, HostConfig: host})
}

// ParseCreate reads a request to create a container, and returns the sandbox
// that it is for. It refuses what the driver would not ask for, for any language
// and limits. The request that it returns says the same, in the driver's words.
func ParseCreate(body []byte) (lang sandbox.Language, request []byte, err error) {
	var asked container.CreateRequest
	if err := json.Unmarshal(body, &asked); err != nil {
		return lang, nil, fmt.Errorf("docker: a request to create: %w", err)
	}
	lang, uid, err := askedFor(asked)
	if err != nil {
		return lang, nil, err
	}
	request, err = CreateRequest(lang, asked.Labels[LabelInstance], uid)
	if err != nil {
		return lang, nil, err
	}
	return lang, request, same(asked, request)
}

// askedFor is what render must be given to make the request, if it can.
func askedFor(asked container.CreateRequest) (lang sandbox.Language, uid int, err error) {
	config, host := asked.Config, asked.HostConfig
	if config == nil || host == nil || host.PidsLimit == nil || len(config.Env) < baseEnv || config.Labels[LabelInstance] == "" {
		return lang, 0, errRequest
	}
	l := sandbox.DefaultLimits()
	l.MemoryBytes, l.Pids = host.Memory, *host.PidsLimit
	for _, limit := range host.Ulimits {
		if limit != nil && limit.Name == "nofile" {
			l.OpenFiles = limit.Soft
		}
	}
	l.CPUs = (float64(host.NanoCPUs) + 0.5) / 1e9 // it was rounded down
	for _, read := range []struct {
		text, format string
		into         []any
	}{
		{config.User, "%d:", []any{&uid}},
		{host.Tmpfs[profile.WorkFolder], "rw,exec,nosuid,nodev,size=%d,nr_inodes=%d", []any{&l.WorkBytes, &l.WorkFiles}},
		{host.Tmpfs["/dev/shm"], "rw,noexec,nosuid,nodev,size=%d", []any{&l.ShmBytes}},
	} {
		if _, err := fmt.Sscanf(read.text, read.format, read.into...); err != nil {
			return lang, 0, errRequest
		}
	}
	if uid < profile.FirstUser || uid >= profile.FirstUser+profile.UserCount {
		return lang, 0, fmt.Errorf("%w: the user is %d", errRequest, uid)
	}
	return sandbox.Language{
		Name: config.Labels[LabelLanguage], Image: config.Image, Command: config.Cmd, Env: config.Env[baseEnv:],
		Runtime: host.Runtime, Limits: l,
	}, uid, l.Validate()
}

// ParseUpdate is ParseCreate for a request to update a container: only the
// memory limit may be changed.
func ParseUpdate(body []byte) (request []byte, err error) {
	var asked container.UpdateConfig
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, fmt.Errorf("docker: a request to update: %w", err)
	}
	if asked.Memory <= 0 {
		return nil, errRequest
	}
	request, err = json.Marshal(container.UpdateConfig{Resources: container.Resources{Memory: asked.Memory, MemorySwap: asked.Memory}})
	if err != nil {
		return nil, err
	}
	return request, same(asked, request)
}

// same reports where theirs, as JSON, is not ours.
func same(theirs any, ours []byte) error {
	text, err := json.Marshal(theirs)
	if err != nil {
		return err
	}
	if !bytes.Equal(text, ours) {
		return fmt.Errorf("%w from %.60q on", errRequest, text[common(text, ours):])
	}
	return nil
}

// common is the length of what a and b begin with alike.
func common(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
