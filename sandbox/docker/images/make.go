package images

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/preheat/preheat/sandbox/languages"
)

const (
	setupTimeout  = 5 * time.Minute
	importTimeout = 10 * time.Minute

	// maxLogBytes bounds what is read of a setup's output.
	maxLogBytes = 64 << 10
)

// searchPath is the PATH of every image.
const searchPath = "/usr/local/bin:/usr/bin:/bin"

var versionRule = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}$`)

// make builds the image from base and returns the id of the untagged result.
func (b *Builder) make(ctx context.Context, f languages.Folder, agent []byte, base baseImage, say sayFunc) (_ string, err error) {
	l := newLayout(f, agent)
	id, err := b.createSetup(ctx, f, base.id)
	if err != nil {
		return "", err
	}
	defer func() {
		ctx, cancel := cleanupContext(ctx)
		defer cancel()
		if e := b.cli.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true}); e != nil {
			err = errors.Join(err, fmt.Errorf("removing the setup container: %w", e))
		}
	}()
	say("running the recipe's setup")
	version, err := b.runSetup(ctx, id, l)
	if err != nil {
		return "", err
	}
	say("flattening the root into one layer")
	ctx, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	root, err := b.cli.ContainerExport(ctx, id)
	if err != nil {
		return "", fmt.Errorf("exporting the setup container: %w", err)
	}
	defer root.Close()
	return b.importTar(ctx, changes(map[string]string{
		LabelLanguage: f.Manifest.Name,
		LabelVersion:  version,
		LabelHash:     f.Hash(agent),
		LabelBase:     string(base.kind),
	}), func(w io.Writer) error { return l.flatten(root, w) })
}

// changes are the Dockerfile lines that give an imported image its config.
func changes(labels map[string]string) []string {
	lines := []string{"ENV PATH=" + searchPath, "WORKDIR /work", "USER 65534:65534", "ENTRYPOINT []"}
	for name, value := range labels {
		lines = append(lines, fmt.Sprintf("LABEL %s=%q", name, value))
	}
	return lines
}

// createSetup makes the container that runs the recipe's setup and then, in the
// same shell, the version command, whose output alone goes to standard output.
func (b *Builder) createSetup(ctx context.Context, f languages.Folder, base string) (string, error) {
	script := "{ :\n" + strings.Join(f.Recipe.Setup, "\n") + "\n} >&2\nexec \"$@\""
	pids := int64(256)
	created, err := b.cli.ContainerCreate(ctx,
		&container.Config{
			Image:      base,
			User:       "0:0",
			WorkingDir: "/",
			Entrypoint: []string{"/bin/sh", "-ec", script, "sh"},
			Cmd:        f.Manifest.VersionCommand,
		},
		&container.HostConfig{
			NetworkMode: "none",
			SecurityOpt: []string{"no-new-privileges"},
			LogConfig:   container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m"}},
			Resources:   container.Resources{Memory: 1 << 30, PidsLimit: &pids},
		}, nil, nil, "")
	if err != nil {
		return "", fmt.Errorf("creating the setup container: %w", err)
	}
	return created.ID, nil
}

// runSetup gives the container preheat's files, runs it to its end, and returns
// the version that it printed.
func (b *Builder) runSetup(ctx context.Context, id string, l layout) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, setupTimeout, fmt.Errorf("the setup took longer than %s", setupTimeout))
	defer cancel()
	var own bytes.Buffer
	out := tar.NewWriter(&own)
	if err := errors.Join(l.writeOwn(out), out.Close()); err != nil {
		return "", err
	}
	if err := b.cli.CopyToContainer(ctx, id, "/", &own, container.CopyToContainerOptions{}); err != nil {
		return "", fmt.Errorf("copying the app files: %w", err)
	}
	if err := b.cli.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return "", fmt.Errorf("starting the setup container: %w", err)
	}
	done, failed := b.cli.ContainerWait(ctx, id, container.WaitConditionNotRunning)
	var status container.WaitResponse
	select {
	case status = <-done:
	case err := <-failed:
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return "", fmt.Errorf("waiting for the setup: %w", err)
	}
	stdout, stderr, err := b.logs(ctx, id)
	if err != nil {
		return "", err
	}
	if status.StatusCode != 0 {
		return "", fmt.Errorf("the setup or the version command ended with exit code %d:\n%s", status.StatusCode, stderr+stdout)
	}
	version := strings.TrimSpace(stdout)
	if !versionRule.MatchString(version) {
		return "", fmt.Errorf("the version command printed %q, not a version", version)
	}
	return version, nil
}

// logs returns the last lines of a container's output.
func (b *Builder) logs(ctx context.Context, id string) (stdout, stderr string, err error) {
	body, err := b.cli.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "30"})
	if err != nil {
		return "", "", fmt.Errorf("reading the setup's output: %w", err)
	}
	defer body.Close()
	var out, errs bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &errs, io.LimitReader(body, maxLogBytes)); err != nil {
		return "", "", fmt.Errorf("reading the setup's output: %w", err)
	}
	return out.String(), errs.String(), nil
}

// errImported ends a writer whose reader, the engine, needs no more.
var errImported = errors.New("images: the engine has stopped reading")

// importTar makes an untagged image of the tar that write produces and returns
// its id. When write fails, the engine is cut off in mid-tar and keeps nothing.
func (b *Builder) importTar(ctx context.Context, changes []string, write func(io.Writer) error) (string, error) {
	pr, pw := io.Pipe()
	var wg sync.WaitGroup
	var writeErr error
	wg.Go(func() {
		writeErr = write(pw)
		pw.CloseWithError(writeErr)
	})
	id, err := b.importFrom(ctx, pr, changes)
	pr.CloseWithError(errImported)
	wg.Wait()
	if writeErr != nil && !errors.Is(writeErr, errImported) && !errors.Is(writeErr, io.ErrClosedPipe) {
		err = writeErr // the engine's error is only its echo
	}
	if err == nil {
		return id, nil
	}
	if id != "" {
		err = errors.Join(err, b.removeImage(ctx, id))
	}
	return "", err
}

func (b *Builder) importFrom(ctx context.Context, r io.Reader, changes []string) (string, error) {
	body, err := b.cli.ImageImport(ctx, image.ImportSource{Source: r, SourceName: "-"}, "", image.ImportOptions{Changes: changes})
	if err != nil {
		return "", fmt.Errorf("importing the image: %w", err)
	}
	defer body.Close()
	var id string
	err = readMessages(body, func(m message) {
		if strings.HasPrefix(m.Status, "sha256:") {
			id = m.Status
		}
	})
	if err == nil && id == "" {
		err = errors.New("the engine named no image")
	}
	if err != nil {
		return id, fmt.Errorf("importing the image: %w", err)
	}
	return id, nil
}

// message is one line of the engine's answer to an import or a pull.
type message struct {
	ID             string `json:"id"`
	Status         string `json:"status"`
	Error          string `json:"error"`
	ProgressDetail struct {
		Total int64 `json:"total"`
	} `json:"progressDetail"`
}

// readMessages calls each for every message, and returns the error that the
// engine reports in one.
func readMessages(r io.Reader, each func(message)) error {
	dec := json.NewDecoder(r)
	for {
		var m message
		switch err := dec.Decode(&m); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case m.Error != "":
			return errors.New(m.Error)
		}
		each(m)
	}
}
