package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

const (
	fetchTimeout    = time.Minute // for one package
	maxArchiveBytes = 16 << 20
	maxPackageBytes = 64 << 20 // unpacked
)

var errIntegrity = errors.New("what came is not what the lock file names")

// install lays the packages down below folder, as node_modules would be.
func install(ctx context.Context, packages []pkg, folder string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	cache = filepath.Join(cache, "preheat", "npm")
	registry := cmp.Or(os.Getenv("npm_config_registry"), "https://registry.npmjs.org")
	for _, p := range packages {
		archive, err := p.archive(ctx, cache, registry)
		if err != nil {
			return fmt.Errorf("%s@%s: %w", p.name, p.version, err)
		}
		if err := unpack(archive, filepath.Join(folder, filepath.FromSlash(p.name))); err != nil {
			return fmt.Errorf("%s@%s: %w", p.name, p.version, err)
		}
	}
	return nil
}

// archive returns the package's archive, verified, from the cache or else from
// the registry.
func (p pkg) archive(ctx context.Context, cache, registry string) ([]byte, error) {
	kept := filepath.Join(cache, hex.EncodeToString(p.sha512)+".tgz")
	if content, err := os.ReadFile(kept); err == nil && p.verify(content) == nil {
		return content, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url(registry), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", req.URL, resp.Status)
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxArchiveBytes))
	if err != nil {
		return nil, err
	}
	if err := p.verify(content); err != nil {
		return nil, err
	}
	return content, keep(kept, content)
}

func (p pkg) verify(content []byte) error {
	sum := sha512.Sum512(content)
	if subtle.ConstantTimeCompare(sum[:], p.sha512) != 1 {
		return errIntegrity
	}
	return nil
}

func keep(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644) // half a file is not what verify takes
}

// unpack writes the regular files of an npm archive to folder, without their
// first directory, and nothing outside of it.
func unpack(archive []byte, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	files := tar.NewReader(io.LimitReader(unzipped, maxPackageBytes))
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, ok := strings.Cut(header.Name, "/")
		if !ok || header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
}
