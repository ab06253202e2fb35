package images

import (
	"archive/tar"
	"context"
	_ "embed"
	"fmt"
	"path"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/preheat/preheat/sandbox/languages"
)

//go:embed packages.sh
var packagesScript string

// toolsDir is where the container that installs packages has what that takes.
const toolsDir = "tmp/preheat"

// npmTool is the npm that installs packages; the bases have none, or any.
var npmTool = languages.NPM{
	Package:   "npm",
	Version:   "11.21.2",
	Integrity: "sha512-7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==",
}

// withPackages makes sure that the engine has base with f's packages in it.
//
// They are installed in a container of their own, the only one with a network:
// it has the machine's, so that the registries are reached as from there. The
// result is kept under a tag that says what it was made from, so that a new
// agent or warm-up takes no network.
func (b *Builder) withPackages(ctx context.Context, f languages.Folder, base baseImage, renew bool, say sayFunc) (baseImage, error) {
	p := f.Recipe.Packages
	if base.kind == Debian {
		p.Apt = nil // they are in the root
	}
	repository := packagesRepository(f.Manifest.Name)
	lines := installLines(p)
	if len(lines) == 0 {
		return base, b.removeOtherTags(ctx, repository, "")
	}
	ref := repository + ":" + p.Hash(base.id, packagesScript, npmTool.Version)[:12]
	old, err := b.localImage(ctx, ref)
	if err != nil {
		return baseImage{}, err
	}
	if old != "" && !renew {
		return baseImage{old, base.kind}, nil
	}
	var npm *npmPackage
	if len(p.NPM) > 0 {
		if npm, err = b.fetchNPM(ctx, npmTool, say); err != nil {
			return baseImage{}, err
		}
		defer npm.remove()
	}
	say("installing packages: %s", strings.Join(lines, "; "))
	install := step{
		what:     "installing the packages",
		language: f.Manifest.Name,
		image:    base.id,
		network:  "host",
		script:   packagesScript + strings.Join(lines, "\n") + "\nrm -rf /" + toolsDir,
		command:  []string{"true"},
		write:    func(out *tar.Writer) error { return b.writeTools(out, npm) },
	}
	var made string
	err = b.run(ctx, install, func(ctx context.Context, id, _ string) error {
		committed, err := b.cli.ContainerCommit(ctx, id, container.CommitOptions{})
		made = committed.ID
		return err
	})
	if err != nil {
		return baseImage{}, err
	}
	if err := b.retag(ctx, made, ref); err != nil {
		return baseImage{}, err
	}
	return baseImage{made, base.kind}, b.removeOtherTags(ctx, repository, ref)
}

// writeTools writes what the script needs: the environment, in a file because
// it may have passwords and the container's own would stay in the image; the
// certificates; and npm, if it is wanted.
func (b *Builder) writeTools(out *tar.Writer, npm *npmPackage) error {
	var env strings.Builder
	for _, kv := range b.cfg.PackageEnv {
		name, value, _ := strings.Cut(kv, "=")
		fmt.Fprintf(&env, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	for name, content := range map[string]string{"env": env.String(), "ca.pem": string(b.cfg.CACerts)} {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(toolsDir, name), Mode: 0o600, Size: int64(len(content)), ModTime: epoch}
		if err := copyEntry(out, h, strings.NewReader(content)); err != nil {
			return err
		}
	}
	if npm == nil {
		return nil
	}
	return npm.writeBelow(out, path.Join(toolsDir, "npm"))
}

// packagesRepository names the base of a language with its packages in it.
func packagesRepository(language string) string { return "preheat-packages-" + language }

// installLines are the script's lines that install p. The recipe's rules leave
// nothing in a name that could end the quotes.
func installLines(p languages.Packages) []string {
	var lines []string
	for _, l := range []struct {
		tool  string
		names []string
	}{{"apt", p.Apt}, {"pip", p.Pip}, {"npm", p.NPM}} {
		if len(l.names) > 0 {
			lines = append(lines, l.tool+" '"+strings.Join(l.names, "' '")+"'")
		}
	}
	return lines
}
