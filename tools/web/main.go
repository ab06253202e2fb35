// Command web builds the page: it bundles web/src and the npm packages that
// web/package-lock.json names into web/assets, which is committed, so that
// building preheat needs neither this command nor Node.
//
// Run it from the root of the repository. What it writes is the same, byte for
// byte, on every machine. With -check it writes nothing and fails when what is
// committed differs. Packages come from the registry that npm_config_registry
// names, else from registry.npmjs.org; each is verified against the lock file,
// and kept in the user's cache folder. The lock file is made by
// `npm install --package-lock-only` in web, after a change of web/package.json.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	check := flag.Bool("check", false, "write nothing; fail when the files that are there differ")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *check)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

// output is a file of the page, or one that its tests need.
type output struct {
	path    string // below the root of the repository
	content []byte
}

func run(ctx context.Context, check bool) error {
	text, err := os.ReadFile("web/package-lock.json")
	if err != nil {
		return fmt.Errorf("%w (run this from the root of the repository)", err)
	}
	packages, err := parseLock(text)
	if err != nil {
		return err
	}
	modules, err := os.MkdirTemp("", "preheat-web-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(modules)
	if err := install(ctx, packages, modules); err != nil {
		return err
	}
	outputs, err := build(packages, modules)
	if err != nil {
		return err
	}
	for _, o := range outputs {
		if err := o.settle(check); err != nil {
			return err
		}
	}
	return nil
}

// settle writes the file, or checks that it has been written.
func (o output) settle(check bool) error {
	if !check {
		if err := os.MkdirAll(filepath.Dir(o.path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(o.path, o.content, 0o644)
	}
	found, err := os.ReadFile(o.path)
	if err != nil {
		return err
	}
	if !bytes.Equal(found, o.content) {
		return fmt.Errorf("%s is not what its sources make; run `go run ./tools/web` and commit", o.path)
	}
	return nil
}
