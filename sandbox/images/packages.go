package images

import (
	"archive/tar"
	"context"
	_ "embed"
	"fmt"
	"path"
	"strings"

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

// withPackages makes sure that the store has base with f's packages in it.
//
// They are installed in a container of their own, the only one with a network:
// it has the machine's, so that the registries are reached as from there. The
// result is kept under a tag that says what it was made from, so that a new
// agent or warm-up takes no network.
func (b *Builder) withPackages(ctx context.Context, f languages.Folder, base baseRoot, renew bool, say sayFunc) (baseRoot, error) {
	p := f.Recipe.Packages
	if base.kind == Debian {
		p.Apt = nil // they are in the root
	}
	repository := "preheat-packages-" + f.Manifest.Name
	lines := installLines(p)
	if len(lines) == 0 {
		return base, b.store.RemoveOthers(ctx, repository)
	}
	ref := repository + ":" + p.Hash(base.Stamp, packagesScript, npmTool.Version)[:12]
	root, err := b.store.Root(ctx, ref)
	if err != nil || root.ID != "" && !renew {
		return baseRoot{root, base.kind}, err
	}
	var npm *npmPackage
	if len(p.NPM) > 0 {
		if npm, err = b.fetchNPM(ctx, npmTool, say); err != nil {
			return baseRoot{}, err
		}
		defer npm.remove()
	}
	say("installing packages: %s", strings.Join(lines, "; "))
	install := Step{
		What:     "installing the packages",
		Language: f.Manifest.Name,
		Root:     base.ID,
		Network:  true,
		Script:   packagesScript + strings.Join(lines, "\n") + "\nrm -rf /" + toolsDir,
		Command:  []string{"true"},
		Write:    func(out *tar.Writer) error { return b.writeTools(out, npm) },
	}
	err = b.store.Run(ctx, install, func(ctx context.Context, done Changed) error {
		root, err = done.Keep(ctx, ref)
		return err
	})
	if err != nil {
		return baseRoot{}, err
	}
	return baseRoot{root, base.kind}, b.store.RemoveOthers(ctx, ref)
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
