package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
)

func TestABuildTakesItsRegistriesFromTheEnvironment(t *testing.T) {
	certs := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(certs, []byte("PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"PIP_INDEX_URL": "http://pip", "npm_config_registry": "http://npm", "SSL_CERT_FILE": certs, "SECRET": "x"}
	cfg, err := buildConfig(func(name string) string { return env[name] })
	if err != nil || cfg.NPMRegistry != "http://npm" || string(cfg.CACerts) != "PEM" {
		t.Errorf("got %+v, %v", cfg, err)
	}
	if want := []string{"PIP_INDEX_URL=http://pip", "npm_config_registry=http://npm"}; !slices.Equal(cfg.PackageEnv, want) {
		t.Errorf("the packages' environment is %q, want %q", cfg.PackageEnv, want)
	}
	env["SSL_CERT_FILE"] = certs + ".absent"
	if _, err := buildConfig(func(name string) string { return env[name] }); err == nil || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("error %v, want one that names the variable", err)
	}
}

func TestALanguageIsWhatItsManifestSays(t *testing.T) {
	f := languages.Folder{Manifest: languages.Manifest{Name: "lua", OnDemand: true, Collect: []string{"*.png"}}}
	got := language(f, images.Image{ID: "sha256:abc", Version: "5.4"}, "runsc", sandbox.DefaultLimits())
	if got.Name != "lua" || !got.OnDemand || !slices.Equal(got.Collect, []string{"*.png"}) || got.Image != "sha256:abc" || got.Runtime != "runsc" {
		t.Errorf("got %+v", got)
	}
}
