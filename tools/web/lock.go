package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// pkg is one npm package at one version.
type pkg struct {
	name    string // with its scope, as "@codemirror/state"
	version string
	sha512  []byte // of its archive
}

var (
	validName    = regexp.MustCompile(`^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*$`)
	validVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$`)
)

// parseLock reads a package-lock.json of version 3, in which every package is
// there once, from the registry and with a SHA-512.
func parseLock(text []byte) ([]pkg, error) {
	var lock struct {
		Version  int `json:"lockfileVersion"`
		Packages map[string]struct {
			Version   string `json:"version"`
			Integrity string `json:"integrity"`
			Link      bool   `json:"link"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return nil, fmt.Errorf("the lock file: %w", err)
	}
	if lock.Version != 3 {
		return nil, fmt.Errorf("the lock file has version %d, not 3", lock.Version)
	}
	var all []pkg
	for _, path := range slices.Sorted(maps.Keys(lock.Packages)) {
		if path == "" {
			continue // the page itself
		}
		entry := lock.Packages[path]
		name, ok := strings.CutPrefix(path, "node_modules/")
		if !ok || entry.Link || !validName.MatchString(name) || !validVersion.MatchString(entry.Version) {
			return nil, fmt.Errorf("the lock file: %q is not one package of the registry", path)
		}
		sum, err := parseIntegrity(entry.Integrity)
		if err != nil {
			return nil, fmt.Errorf("the lock file: %s: %w", name, err)
		}
		all = append(all, pkg{name, entry.Version, sum})
	}
	return all, nil
}

func parseIntegrity(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, "sha512-")
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(sum) != 64 {
		return nil, errors.New("the integrity is not a SHA-512")
	}
	return sum, nil
}

// url is where the registry has the package's archive.
func (p pkg) url(registry string) string {
	base := p.name[strings.LastIndex(p.name, "/")+1:]
	return fmt.Sprintf("%s/%s/-/%s-%s.tgz", strings.TrimRight(registry, "/"), p.name, base, p.version)
}
