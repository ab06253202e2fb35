package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/preheat/preheat/sandbox"
	dockerdriver "github.com/preheat/preheat/sandbox/docker"
	"github.com/preheat/preheat/sandbox/languages"
	"github.com/preheat/preheat/sandbox/oci"
)

// driver is one that bench calls itself.
type driver interface {
	sandbox.Driver
	Sandboxes(ctx context.Context) ([]string, error) // ids of the instance's
}

// kind is a kind of driver.
type kind struct {
	name   string
	rootfs string // folder of an image that sandboxes are given; "" where they are given its name
	open   func(instance string) (driver, error)
}

var kinds = []kind{
	{"docker", "", func(instance string) (driver, error) {
		api, err := dockerdriver.NewClient()
		if err != nil {
			return nil, err
		}
		return dockerdriver.New(api, dockerdriver.Config{Instance: instance})
	}},
	{"oci", "rootfs", func(instance string) (driver, error) {
		return oci.New(oci.Config{Instance: instance})
	}},
}

// direct follows the instance's name in that of the driver that bench calls.
const direct = "-direct"

// subject is a driver with a runtime, under measurement.
type subject struct {
	kind
	title    string // as -drivers has it
	runtime  string // "" is the driver's default
	instance string
	server   *server
	direct   driver                      // bench's own
	langs    map[string]sandbox.Language // as the server has them
	figures  driverFigures
	left     error // what was left behind
}

// everyDriver lists docker, and oci with each of the usual runtimes on PATH.
func everyDriver() string {
	list := []string{"docker"}
	for _, runtime := range []string{"crun", "runc"} {
		if _, err := exec.LookPath(runtime); err == nil {
			list = append(list, "oci:"+runtime)
		}
	}
	return strings.Join(list, ",")
}

// parseSubjects reads a list such as docker,oci:crun.
func parseSubjects(list string) ([]*subject, error) {
	var all []*subject
	for title := range strings.SplitSeq(list, ",") {
		name, runtime, _ := strings.Cut(title, ":")
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-drivers: %q is not docker or oci, with or without :RUNTIME", title)
		}
		all = append(all, &subject{kind: kinds[i], title: title, runtime: runtime, figures: driverFigures{Driver: title}})
	}
	return all, nil
}

// open prepares what the subject's measurements have in common. Its close must
// be called, also after an error.
func (s *subject) open(ctx context.Context, o options) error {
	s.instance = fmt.Sprintf("bench-%d-%s", os.Getpid(), strings.ReplaceAll(s.title, ":", "-"))
	d, err := s.kind.open(s.instance + direct)
	if err != nil {
		return err
	}
	s.direct = d
	info, err := d.Check(ctx)
	if err != nil {
		return err
	}
	if s.runtime == "" {
		s.runtime = info.Runtime
	}
	if s.rootfs != "" {
		info.Version = "" // that of the default runtime
	}
	s.figures.Engine, s.figures.Runtime = info, runtimeVersion(ctx, s.runtime)
	refs, err := s.images(ctx, o)
	if err != nil {
		return err
	}
	folders, err := languages.All()
	if err != nil {
		return err
	}
	s.langs = map[string]sandbox.Language{}
	for _, f := range folders {
		m := f.Manifest
		s.langs[m.Name] = sandbox.Language{
			Name: m.Name, Entry: m.Entry, Image: filepath.Join(refs[m.Name], s.rootfs), Command: m.Command, Env: m.Env,
			OnDemand: m.OnDemand, Collect: m.Collect, Runtime: s.runtime, Limits: sandbox.DefaultLimits(),
		}
	}
	return nil
}

// images asks the server's binary for the images that it would take.
func (s *subject) images(ctx context.Context, o options) (map[string]string, error) {
	out, err := exec.CommandContext(ctx, o.server, "images", "list", "--driver", s.name, "--data", o.data).Output()
	if err != nil {
		return nil, fmt.Errorf("%s images list: %w; `make build` makes it", o.server, err)
	}
	refs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if words := strings.Fields(line); len(words) > 3 && words[len(words)-1] == "fresh" {
			refs[words[0]] = words[2]
		}
	}
	for _, h := range hellos {
		if refs[h.language] == "" {
			return nil, fmt.Errorf("the image of %s is missing or stale; `%s images build --driver %s --data %s` makes it", h.language, o.server, s.name, o.data)
		}
	}
	return refs, nil
}

// runtimeVersion is what a runtime on PATH calls itself, or its name.
func runtimeVersion(ctx context.Context, name string) string {
	out, _ := exec.CommandContext(ctx, name, "--version").Output() // an Engine may have it elsewhere
	line, _, _ := strings.Cut(string(out), "\n")
	if words := strings.Fields(line); len(words) > 0 {
		return name + " " + words[len(words)-1]
	}
	return name
}

// serve starts the subject's server. It keeps no history: one server at a time
// can, of those that share a data folder.
func (s *subject) serve(ctx context.Context, o options, args ...string) (err error) {
	args = append([]string{"--instance", s.instance, "--driver", s.name, "--runtime", s.runtime, "--data", o.data, "--history=false"}, args...)
	s.server, err = startServer(ctx, o.server, args...)
	return err
}

// stop stops the server, if there is one.
func (s *subject) stop(ctx context.Context) error {
	if s.server == nil {
		return nil
	}
	err := s.server.stop()
	s.server = nil
	s.checkGone(ctx, s.instance)
	return err
}

// close ends everything.
func (s *subject) close(ctx context.Context) error {
	err := s.stop(ctx)
	if s.direct != nil {
		s.checkGone(ctx, s.instance+direct)
		err = errors.Join(err, s.direct.Close())
	}
	return err
}

// checkGone looks for sandboxes of an instance that has ended: containers,
// cgroups, folders. It notes them and removes them.
func (s *subject) checkGone(ctx context.Context, instance string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
	defer cancel()
	d, err := s.kind.open(instance)
	if err != nil {
		s.left = errors.Join(s.left, err)
		return
	}
	ids, err := d.Sandboxes(ctx)
	if len(ids) > 0 {
		_, err = d.Reap(ctx)
		err = errors.Join(fmt.Errorf("sandboxes of %s were left behind: %s", instance, ids), err)
	}
	s.left = errors.Join(s.left, err, d.Close())
}

// sandboxes are those of the server.
func (s *subject) sandboxes(ctx context.Context) ([]string, error) {
	d, err := s.kind.open(s.instance)
	if err != nil {
		return nil, err
	}
	ids, err := d.Sandboxes(ctx)
	return ids, errors.Join(err, d.Close())
}

// idle launches a sandbox, calls do beside it once it has come to rest, and
// destroys it.
func (s *subject) idle(ctx context.Context, language string, do func(id string) error) error {
	box, err := s.direct.Launch(ctx, s.langs[language])
	if err != nil {
		return err
	}
	time.Sleep(time.Second)
	return errors.Join(do(box.ID()), box.Destroy(context.WithoutCancel(ctx)))
}

// cycle launches a sandbox, runs h in it and destroys it.
func (s *subject) cycle(ctx context.Context, h hello) (time.Duration, error) {
	start := time.Now()
	lang := s.langs[h.language]
	box, err := s.direct.Launch(ctx, lang)
	if err != nil {
		return 0, err
	}
	var out sandbox.Capture
	_, err = box.Run(ctx, sandbox.Program{
		Files:   []sandbox.File{{Name: lang.Entry, Content: []byte(h.code)}},
		Timeout: 10 * time.Second, OutputBytes: 64 << 10,
	}, &out)
	if stdout, _ := out.Strings(); err == nil && stdout != h.prints {
		err = fmt.Errorf("a run printed %q, want %q", stdout, h.prints)
	}
	err = errors.Join(err, box.Destroy(context.WithoutCancel(ctx)))
	return time.Since(start), err
}
