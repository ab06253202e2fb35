package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/docker/docker/api/types/image"
)

// searchPath is the PATH of every image.
const searchPath = "/usr/local/bin:/usr/bin:/bin"

// changes are the Dockerfile lines that give an imported image its config.
func changes(labels map[string]string) []string {
	lines := []string{"ENV PATH=" + searchPath, "WORKDIR /work", "USER 65534:65534", "ENTRYPOINT []"}
	for name, value := range labels {
		lines = append(lines, fmt.Sprintf("LABEL %s=%q", name, value))
	}
	return lines
}

// errImported ends a writer whose reader, the engine, needs no more.
var errImported = errors.New("images: the engine has stopped reading")

// importTar makes an untagged image of the tar that write produces and returns
// its id. When write fails, the engine is cut off in mid-tar and keeps nothing.
func (s *Store) importTar(ctx context.Context, changes []string, write func(io.Writer) error) (string, error) {
	pr, pw := io.Pipe()
	var wg sync.WaitGroup
	var writeErr error
	wg.Go(func() {
		writeErr = write(pw)
		pw.CloseWithError(writeErr)
	})
	id, err := s.importFrom(ctx, pr, changes)
	pr.CloseWithError(errImported)
	wg.Wait()
	if writeErr != nil && !errors.Is(writeErr, errImported) && !errors.Is(writeErr, io.ErrClosedPipe) {
		err = writeErr // the engine's error is only its echo
	}
	if err == nil {
		return id, nil
	}
	if id != "" {
		err = errors.Join(err, s.removeImage(ctx, id))
	}
	return "", err
}

func (s *Store) importFrom(ctx context.Context, r io.Reader, changes []string) (string, error) {
	body, err := s.cli.ImageImport(ctx, image.ImportSource{Source: r, SourceName: "-"}, "", image.ImportOptions{Changes: changes})
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
