package main

import (
	"strings"
	"testing"
)

var someSum = "sha512-" + strings.Repeat("A", 86) + "=="

func lockOf(version, path, entry string) []byte {
	return []byte(`{"lockfileVersion": ` + version + `, "packages": {"": {"name": "web"}, "` + path + `": ` + entry + `}}`)
}

func TestLockFileNamesPackages(t *testing.T) {
	got, err := parseLock(lockOf("3", "node_modules/@codemirror/state", `{"version": "6.7.6", "integrity": "`+someSum+`", "license": "MIT"}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].name != "@codemirror/state" || got[0].version != "6.7.6" || len(got[0].sha512) != 64 {
		t.Errorf("got %+v", got)
	}
	const want = "https://example.test/npm/@codemirror/state/-/state-6.7.6.tgz"
	if url := got[0].url("https://example.test/npm/"); url != want {
		t.Errorf("its address is %s, want %s", url, want)
	}
}

func TestLockFileThatIsNotExactIsRefused(t *testing.T) {
	good := `{"version": "1.0.0", "integrity": "` + someSum + `"}`
	for name, lock := range map[string][]byte{
		"no JSON":             []byte("x"),
		"another version":     lockOf("2", "node_modules/a", good),
		"a nested package":    lockOf("3", "node_modules/a/node_modules/b", good),
		"a folder":            lockOf("3", "lib/a", good),
		"a climbing name":     lockOf("3", "node_modules/../a", good),
		"a link":              lockOf("3", "node_modules/a", `{"link": true, "version": "1.0.0", "integrity": "`+someSum+`"}`),
		"a range of versions": lockOf("3", "node_modules/a", `{"version": "^1.0.0", "integrity": "`+someSum+`"}`),
		"no integrity":        lockOf("3", "node_modules/a", `{"version": "1.0.0"}`),
		"another digest":      lockOf("3", "node_modules/a", `{"version": "1.0.0", "integrity": "sha1-AAAA"}`),
		"a short digest":      lockOf("3", "node_modules/a", `{"version": "1.0.0", "integrity": "sha512-AAAA"}`),
	} {
		if got, err := parseLock(lock); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
