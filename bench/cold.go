package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/preheat/preheat/sandbox/languages"
)

// hello is the program that is measured: warm as it is, cold as the last
// argument of command.
type hello struct {
	language string
	command  []string
	code     string
	prints   string
}

var hellos = []hello{
	{"python", []string{"python3", "-c"}, "print(2 + 2)", "4\n"},
	{"node", []string{"node", "-e"}, "console.log(2 + 2)", "4\n"},
}

// argv is the whole cold command.
func (h hello) argv() []string { return append(slices.Clone(h.command), h.code) }

// cold runs a hello in containers made like one of the server's sandboxes.
type cold struct {
	hello
	label string   // of its containers
	flags []string // of docker run, up to the entry point
	image string
	idle  string // the running container's id
}

// newCold imitates model and starts the container that exec uses. Its close must
// be called.
func newCold(ctx context.Context, h hello, model inspected, label string) (*cold, error) {
	c := &cold{hello: h, label: label, image: model.Image}
	folders, err := languages.All()
	if err != nil {
		return c, err
	}
	var hooks []string
	for _, f := range folders {
		hooks = append(hooks, f.Manifest.Env...)
	}
	if c.flags, err = model.flags(hooks); err != nil {
		return c, err
	}
	c.flags = append(c.flags, "--label="+label)
	idle, err := docker(ctx, c.command([]string{"sleep", "infinity"}, "--detach")...)
	c.idle = strings.TrimSpace(idle)
	return c, err
}

// command returns the `docker run` that runs argv in a new container.
func (c *cold) command(argv []string, flags ...string) []string {
	return slices.Concat([]string{"run"}, flags, c.flags, []string{"--entrypoint", argv[0], c.image}, argv[1:])
}

// differences names the fields in which c's containers differ from model.
func (c *cold) differences(ctx context.Context, model inspected) ([]string, error) {
	made, err := inspect(ctx, c.idle)
	return differences(model.HostConfig, made.HostConfig), err
}

// run takes the time of one `docker run`, from the start of the command to its
// end. The container is removed afterwards, not on that time.
func (c *cold) run(ctx context.Context) (time.Duration, error) {
	name := strings.ReplaceAll(c.label, "=", "-")
	took, err := c.measure(ctx, c.command(c.argv(), "--name", name))
	if err != nil {
		return 0, err
	}
	_, err = docker(ctx, "rm", "--force", "--volumes", name)
	return took, err
}

// exec takes the time of one `docker exec` into the idle container.
func (c *cold) exec(ctx context.Context) (time.Duration, error) {
	return c.measure(ctx, append([]string{"exec", c.idle}, c.argv()...))
}

// measure runs one docker command that prints what the hello prints.
func (c *cold) measure(ctx context.Context, args []string) (time.Duration, error) {
	start := time.Now()
	out, err := docker(ctx, args...)
	took := time.Since(start)
	if err == nil && out != c.prints {
		err = fmt.Errorf("docker %s printed %q, want %q", args[0], out, c.prints)
	}
	return took, err
}

// close removes what c made.
func (c *cold) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	out, err := docker(ctx, "ps", "-aq", "--filter", "label="+c.label)
	if ids := strings.Fields(out); len(ids) > 0 {
		_, err = docker(ctx, append([]string{"rm", "--force", "--volumes"}, ids...)...)
	}
	return err
}

// docker runs the docker command and returns what it printed.
func docker(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "docker", args...).Output()
	if errors.Is(err, exec.ErrNotFound) {
		err = errors.New("the docker command is not on PATH; on Debian, `apt-get install docker-cli` or `docker.io` makes /usr/bin/docker")
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("docker %s: %w", args[0], err)
	}
	return string(out), nil
}
