package main

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	docker
	hello
	label       string   // of its containers
	flags       []string // of docker run, up to the entry point
	image       string
	seccompFile string
	idle        string // the running container's id
}

// newCold imitates model. Its close must be called.
func newCold(d docker, h hello, model inspected, label string) (*cold, error) {
	folders, err := languages.All()
	if err != nil {
		return nil, err
	}
	var hooks []string
	for _, f := range folders {
		hooks = append(hooks, f.Manifest.Env...)
	}
	file, err := os.CreateTemp("", "bench-seccomp-*.json")
	if err != nil {
		return nil, err
	}
	_, err = file.WriteString(model.seccomp())
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(file.Name()))
	}
	flags := append([]string{"--label", label}, model.flags(hooks, file.Name())...)
	return &cold{docker: d, hello: h, label: label, image: model.Image, flags: flags, seccompFile: file.Name()}, nil
}

// command returns the docker command line that runs argv in a new container.
func (c *cold) command(verb string, argv []string) []string {
	return slices.Concat([]string{verb}, c.flags, []string{"--entrypoint", argv[0], c.image}, argv[1:])
}

// differences names the fields in which c's containers differ from model.
func (c *cold) differences(ctx context.Context, model inspected) ([]string, error) {
	out, err := c.do(ctx, c.command("create", c.argv())...)
	if err != nil {
		return nil, err
	}
	made, err := c.inspect(ctx, strings.TrimSpace(out))
	return differences(model.HostConfig.all, made.HostConfig.all), err
}

// startIdle starts the container that exec uses.
func (c *cold) startIdle(ctx context.Context) error {
	out, err := c.do(ctx, c.command("create", []string{"sleep", "infinity"})...)
	if err != nil {
		return err
	}
	c.idle = strings.TrimSpace(out)
	_, err = c.do(ctx, "start", c.idle)
	return err
}

// run takes the time of one `docker run`, from the start of the command to its
// end. The container is removed afterwards, not on that time.
func (c *cold) run(ctx context.Context) (time.Duration, error) {
	name := strings.ReplaceAll(c.label, "=", "-")
	args := c.command("run", c.argv())
	took, err := c.measure(ctx, slices.Insert(args, 1, "--name", name))
	if err != nil {
		return 0, err
	}
	_, err = c.do(ctx, "rm", "--force", "--volumes", name)
	return took, err
}

// exec takes the time of one `docker exec` into the idle container.
func (c *cold) exec(ctx context.Context) (time.Duration, error) {
	return c.measure(ctx, append([]string{"exec", c.idle}, c.argv()...))
}

// measure runs one docker command that prints what the hello prints.
func (c *cold) measure(ctx context.Context, args []string) (time.Duration, error) {
	start := time.Now()
	out, err := c.do(ctx, args...)
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
	ids, err := c.labelled(ctx, c.label)
	if len(ids) > 0 {
		_, err = c.do(ctx, append([]string{"rm", "--force", "--volumes"}, ids...)...)
	}
	return errors.Join(err, os.Remove(c.seccompFile))
}
