package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"github.com/preheat/preheat/sandbox/languages"
)

const (
	npmTimeout        = 5 * time.Minute
	maxNPMBytes       = 256 << 20 // of a package's tarball
	maxNPMMemberBytes = 512 << 20 // of one file in it
	maxNPMEntries     = 1 << 16
)

// npmPackage is a package whose content has been verified, in a temporary file.
type npmPackage struct {
	spec languages.NPM
	file string
}

// remove deletes the temporary file.
func (p *npmPackage) remove() { _ = os.Remove(p.file) }

// fetchNPM downloads the package and verifies its integrity.
func (b *Builder) fetchNPM(ctx context.Context, spec languages.NPM, say sayFunc) (_ *npmPackage, err error) {
	want, err := spec.SHA512()
	if err != nil {
		return nil, err
	}
	url := fmt.Sprintf("%s/%s/-/%s-%s.tgz", strings.TrimSuffix(b.cfg.NPMRegistry, "/"), spec.Package, path.Base(spec.Package), spec.Version)
	say("downloading %s %s from the npm registry", spec.Package, spec.Version)
	defer b.http.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("npm: %w", err)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("npm: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("npm: %s answered %s", url, resp.Status)
	}
	f, err := os.CreateTemp("", "preheat-npm-")
	if err != nil {
		return nil, fmt.Errorf("npm: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = fmt.Errorf("npm: %s: %w", url, errors.Join(err, os.Remove(f.Name())))
		}
	}()
	digest := sha512.New()
	n, err := io.Copy(io.MultiWriter(f, digest), io.LimitReader(resp.Body, maxNPMBytes+1))
	switch {
	case err != nil:
		return nil, err
	case n > maxNPMBytes:
		return nil, fmt.Errorf("larger than %d bytes", maxNPMBytes)
	case !bytes.Equal(digest.Sum(nil), want):
		return nil, errors.New("the content is not what the recipe pins")
	}
	return &npmPackage{spec: spec, file: f.Name()}, nil
}

// writeTo adds the package's wanted files to out. A wanted file that the
// package lacks is an error.
func (p *npmPackage) writeTo(out *tar.Writer) error {
	missing := len(p.spec.Files)
	err := p.each(func(h *tar.Header, r io.Reader) error {
		target, wanted := p.spec.Files[h.Name]
		if !wanted {
			return nil
		}
		if h.Typeflag != tar.TypeReg || h.Size > maxNPMMemberBytes {
			return fmt.Errorf("npm: %s: %s is not a file of at most %d bytes", p.spec.Package, h.Name, maxNPMMemberBytes)
		}
		missing--
		return copyMember(out, h, target, r)
	})
	if err == nil && missing > 0 {
		err = fmt.Errorf("npm: %s: %d of the wanted files are not in it", p.spec.Package, missing)
	}
	return err
}

// writeBelow adds all the package's files to out, below dir.
func (p *npmPackage) writeBelow(out *tar.Writer, dir string) error {
	return p.each(func(h *tar.Header, r io.Reader) error {
		name, err := cleanName(h.Name)
		if err != nil {
			return err
		}
		if _, below, ok := strings.Cut(name, "/"); ok && h.Typeflag == tar.TypeReg {
			return copyMember(out, h, path.Join(dir, below), r)
		}
		return nil
	})
}

// each calls take with the package's members.
func (p *npmPackage) each(take func(*tar.Header, io.Reader) error) error {
	f, err := os.Open(p.file)
	if err != nil {
		return fmt.Errorf("npm: %w", err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("npm: %s: %w", p.spec.Package, err)
	}
	in := tar.NewReader(unzipped)
	for range maxNPMEntries {
		h, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("npm: %s: %w", p.spec.Package, err)
		}
		if err := take(h, in); err != nil {
			return err
		}
	}
	return fmt.Errorf("npm: %s has more than %d entries", p.spec.Package, maxNPMEntries)
}

// copyMember adds a package's file to out as name, owned by root.
func copyMember(out *tar.Writer, h *tar.Header, name string, r io.Reader) error {
	mode := int64(0o644)
	if h.Mode&0o100 != 0 {
		mode = 0o755
	}
	return copyEntry(out, &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: h.Size, ModTime: epoch}, r)
}
