package languages

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Recipe says how a language's image is made.
type Recipe struct {
	Base Base `json:"base"`

	// Packages are added to the base, before the setup.
	Packages Packages `json:"packages"`

	// Setup is a shell script, line by line. It runs as root, without network,
	// in a container of the base that already has the app folder's files.
	Setup []string `json:"setup"`

	// Remove are path globs without a leading slash; what matches is left out
	// of the image with everything below it. A star does not match a slash.
	// Those of common.json come first.
	Remove []string `json:"remove"`

	// Keep are those of common.json's globs that this language does without.
	Keep []string `json:"keep"`
}

// Base is where the interpreter comes from: a registry's image, or a Debian
// root, or whichever of them can be had.
type Base struct {
	Image  string  `json:"image,omitempty"`
	Debian *Debian `json:"debian,omitempty"`

	// NPM adds files of one npm package to the Debian root; the key is the
	// architecture as Go calls it, such as "amd64".
	NPM map[string]NPM `json:"npm,omitempty"`
}

// Debian is a Debian root: the suite's essential packages and these.
type Debian struct {
	Suite    string   `json:"suite"`
	Packages []string `json:"packages"`
}

// NPM names one version of a package, pinned by its integrity.
type NPM struct {
	Package   string            `json:"package"`
	Version   string            `json:"version"`
	Integrity string            `json:"integrity"` // sha512-<base64>, as the npm registry states it
	Files     map[string]string `json:"files"`     // member of the package to path in the image
}

var (
	suiteRule   = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	debRule     = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*[a-z0-9+](=[0-9A-Za-z.+:~-]+)?$`) // a dash at the end would remove it
	npmRule     = regexp.MustCompile(`^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*$`)
	versionRule = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+-]*$`)
)

// Root is the base, with the apt packages in its Debian root.
func (r Recipe) Root() Base {
	b := r.Base
	if b.Debian != nil && len(r.Packages.Apt) > 0 {
		b.Debian = &Debian{Suite: b.Debian.Suite, Packages: slices.Concat(b.Debian.Packages, r.Packages.Apt)}
	}
	return b
}

// leaveOut puts the common globs, without those that are kept, before the
// recipe's own.
func (r *Recipe) leaveOut(common []string) error {
	remove := slices.Clone(common)
	for _, glob := range r.Keep {
		i := slices.Index(remove, glob)
		if i < 0 {
			return fmt.Errorf("keep: %q is not a glob of common.json", glob)
		}
		remove = slices.Delete(remove, i, i+1)
	}
	r.Remove = append(remove, r.Remove...)
	return nil
}

func (r Recipe) validate() error {
	if err := r.Base.validate(); err != nil {
		return fmt.Errorf("base: %w", err)
	}
	if err := r.Packages.validate(); err != nil {
		return fmt.Errorf("packages: %w", err)
	}
	for _, g := range r.Remove {
		if _, err := path.Match(g, ""); err != nil || !plainPath(g) {
			return fmt.Errorf("remove: %q is not a relative path glob", g)
		}
	}
	return nil
}

func (b Base) validate() error {
	if b.Image == "" && b.Debian == nil {
		return errors.New("it needs an image or debian")
	}
	if len(b.NPM) > 0 && b.Debian == nil {
		return errors.New("npm needs debian")
	}
	if b.Debian != nil {
		if !suiteRule.MatchString(b.Debian.Suite) {
			return fmt.Errorf("the suite %q must match %s", b.Debian.Suite, suiteRule)
		}
		for _, p := range b.Debian.Packages {
			if !debRule.MatchString(p) {
				return fmt.Errorf("the package %q must match %s", p, debRule)
			}
		}
	}
	for arch, n := range b.NPM {
		if err := n.validate(); err != nil {
			return fmt.Errorf("npm: %s: %w", arch, err)
		}
	}
	return nil
}

func (n NPM) validate() error {
	if !npmRule.MatchString(n.Package) || !versionRule.MatchString(n.Version) {
		return fmt.Errorf("%q is not a package, or %q not a version", n.Package, n.Version)
	}
	if _, err := n.SHA512(); err != nil {
		return err
	}
	if len(n.Files) == 0 {
		return errors.New("no files are taken")
	}
	for member, target := range n.Files {
		if !plainPath(member) || !plainPath(target) {
			return fmt.Errorf("%q or %q is not a relative path", member, target)
		}
	}
	return nil
}

// SHA512 returns the digest that the integrity states.
func (n NPM) SHA512() ([]byte, error) {
	encoded, ok := strings.CutPrefix(n.Integrity, "sha512-")
	digest, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(digest) != 64 {
		return nil, fmt.Errorf("the integrity %q is not sha512-<base64>", n.Integrity)
	}
	return digest, nil
}

// plainPath reports whether name is a clean path below the root.
func plainPath(name string) bool {
	return name != "" && name != "." && !path.IsAbs(name) && path.Clean(name) == name &&
		name != ".." && !strings.HasPrefix(name, "../")
}
