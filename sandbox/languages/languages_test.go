package languages

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

// tree returns a valid language directory that a test may then spoil.
func tree() fstest.MapFS {
	return fstest.MapFS{
		"common.json":  {Data: []byte(`{"remove": ["usr/share/doc"]}`)},
		"languages.go": {Data: []byte("package languages")},
		"lua/manifest.json": {Data: []byte(`{"name": "lua", "aliases": ["luajit"], "entry": "main.lua", "suffixes": [".lua"],
			"command": ["lua", "main.lua"], "env": ["LUA_INIT=@/app/lua/warm.lua"], "version_command": ["lua", "-v"]}`)},
		"lua/recipe.json":                  {Data: []byte(`{"base": {"debian": {"suite": "bookworm", "packages": ["lua5.4"]}}, "setup": ["true"], "remove": ["usr/share/lua"]}`)},
		"lua/app/warm.lua":                 {Data: []byte("-- warm")},
		"lua/app/lib/_init.lua":            {Data: []byte("-- lib")},
		"lua/app/.warm.lua.swp":            {Data: []byte("x")},
		"lua/app/__pycache__/warm.cpython": {Data: []byte("x")},
	}
}

func TestTheEmbeddedLanguagesAreValid(t *testing.T) {
	folders, err := All()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"bash": "main.sh", "lua": "main.lua", "node": "main.js", "python": "main.py"}
	got := map[string]string{}
	for _, f := range folders {
		got[f.Manifest.Name] = f.Manifest.Entry
		if f.Manifest.OnDemand != (len(f.App) == 0) {
			t.Errorf("%s has %d app files, and on_demand is %v", f.Manifest.Name, len(f.App), f.Manifest.OnDemand)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("languages and entries %v, want %v", got, want)
	}
}

func TestAFolderAloneMakesALanguage(t *testing.T) {
	folders, err := Load(tree())
	if err != nil || len(folders) != 1 {
		t.Fatalf("%d folders, %v", len(folders), err)
	}
	f := folders[0]
	if got := strings.Join(f.Recipe.Remove, " "); got != "usr/share/doc usr/share/lua" {
		t.Errorf("remove is %q, want the common globs and then its own", got)
	}
	if len(f.App) != 2 || f.App[0].Name != "lib/_init.lua" || f.App[1].Name != "warm.lua" {
		t.Errorf("app files %v, want lib/_init.lua and warm.lua", f.App)
	}
}

func TestAFolderThatIsNotAsDescribedIsRefused(t *testing.T) {
	cases := []struct{ name, file, old, new, want string }{
		{"unknown field", "lua/manifest.json", `"entry"`, `"entri": "", "entry"`, "entri"},
		{"trailing data", "lua/recipe.json", `["usr/share/lua"]}`, `["usr/share/lua"]} {}`, "more than one"},
		{"unknown field in the common file", "common.json", "remove", "removed", "removed"},
		{"another name", "lua/manifest.json", `"lua", "aliases"`, `"lau", "aliases"`, "not the folder's"},
		{"bad alias", "lua/manifest.json", "luajit", "Lua Jit", "alias"},
		{"alias taken", "lua/manifest.json", "luajit", "lua", "both called"},
		{"entry outside", "lua/manifest.json", "main.lua", "../main.lua", "entry"},
		{"entry without suffix", "lua/manifest.json", `[".lua"]`, `[".moon"]`, "suffixes"},
		{"suffix without dot", "lua/manifest.json", `[".lua"]`, `["lua"]`, "suffix"},
		{"command without entry", "lua/manifest.json", `["lua", "main.lua"]`, `["lua", "x"]`, "command"},
		{"bad env", "lua/manifest.json", "LUA_INIT=", "LUA INIT=", "env"},
		{"no version command", "lua/manifest.json", `["lua", "-v"]`, `[]`, "version_command"},
		{"no base", "lua/recipe.json", `"debian": {"suite": "bookworm", "packages": ["lua5.4"]}`, "", "base"},
		{"option for a suite", "lua/recipe.json", "bookworm", "--hook", "suite"},
		{"two packages in one", "lua/recipe.json", "lua5.4", "lua5.4,ssh", "package"},
		{"absolute glob", "lua/recipe.json", "usr/share/lua", "/usr/share/lua", "glob"},
		{"climbing glob", "lua/recipe.json", "usr/share/lua", "usr/../../lua", "glob"},
		{"bad glob", "lua/recipe.json", "usr/share/lua", "usr/[", "glob"},
		{"package that is taken away", "lua/recipe.json", "lua5.4", "lua5.4-", "package"},
		{"apt package with an option", "lua/recipe.json", `"setup"`, `"packages": {"apt": ["-y"]}, "setup"`, "apt"},
		{"pip package without a version", "lua/recipe.json", `"setup"`, `"packages": {"pip": ["requests"]}, "setup"`, "pip"},
		{"pip package from elsewhere", "lua/recipe.json", `"setup"`, `"packages": {"pip": ["a==1 @ file:///a"]}, "setup"`, "pip"},
		{"npm package with a range", "lua/recipe.json", `"setup"`, `"packages": {"npm": ["left-pad@^1.3.0"]}, "setup"`, "npm"},
		{"npm package with a quote", "lua/recipe.json", `"setup"`, `"packages": {"npm": ["left-pad@1.3.0';id'"]}, "setup"`, "npm"},
		{"kept but not removed", "lua/recipe.json", `"setup"`, `"keep": ["usr/share/man"], "setup"`, "common.json"},
		{"collect pattern outside", "lua/manifest.json", `"entry"`, `"collect": ["../*"], "entry"`, "collect"},
		{"integrity too short", "lua/recipe.json", `}}, "setup"`,
			`}, "npm": {"amd64": {"package": "lua", "version": "1.0.0", "integrity": "sha512-AAAA", "files": {"package/lua": "usr/bin/lua"}}}}, "setup"`, "integrity"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fsys := tree()
			before := string(fsys[c.file].Data)
			fsys[c.file].Data = []byte(strings.Replace(before, c.old, c.new, 1))
			if string(fsys[c.file].Data) == before {
				t.Fatal("the case changes nothing")
			}
			if _, err := Load(fsys); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestAGlobThatIsKeptIsNotRemoved(t *testing.T) {
	fsys := tree()
	fsys["lua/recipe.json"].Data = []byte(`{"base": {"image": "lua:5"}, "keep": ["usr/share/doc"], "remove": ["usr/share/lua"]}`)
	folders, err := Load(fsys)
	if err != nil || !slices.Equal(folders[0].Recipe.Remove, []string{"usr/share/lua"}) {
		t.Errorf("%v, %v; want only its own glob", folders, err)
	}
}

func TestAptPackagesAreInTheDebianRoot(t *testing.T) {
	r := Recipe{Base: Base{Debian: &Debian{Suite: "bookworm", Packages: []string{"lua5.4"}}}, Packages: Packages{Apt: []string{"jq"}}}
	if got := r.Root().Debian.Packages; !slices.Equal(got, []string{"lua5.4", "jq"}) || len(r.Base.Debian.Packages) != 1 {
		t.Errorf("packages %v of a root whose base has %v", got, r.Base.Debian.Packages)
	}
	if r.Root().Hash("amd64") == r.Base.Hash("amd64") {
		t.Error("the root's hash is the same without them")
	}
}

// operator writes files into a new directory and returns it.
func operator(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	luaRecipe   = `{"base": {"image": "lua:5"}}`
	luaManifest = `{"name": "lua", "entry": "main.lua", "suffixes": [".lua"], "command": ["luajit", "main.lua"], "version_command": ["x"]}`
)

func TestAnOperatorsFoldersLieOverTheEmbeddedOnes(t *testing.T) {
	dir := operator(t, map[string]string{
		"README.md": "ours", ".git/config": "",
		"lua/manifest.json": luaManifest, "lua/recipe.json": luaRecipe, "lua/app/warm.lua": "-- warm",
		"awk/manifest.json": strings.NewReplacer("luajit", "awk", "lua", "awk").Replace(luaManifest), "awk/recipe.json": luaRecipe,
	})
	folders, err := AllWith(dir)
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]string{}
	for _, f := range folders {
		commands[f.Manifest.Name] = f.Manifest.Command[0]
	}
	want := map[string]string{"awk": "awk", "bash": "bash", "lua": "luajit", "node": "node", "python": "python3"}
	if !maps.Equal(commands, want) || folders[0].Manifest.Name != "awk" {
		t.Errorf("got %v, the first %s; want %v", commands, folders[0].Manifest.Name, want)
	}
	if len(folders[0].Recipe.Remove) < 10 {
		t.Error("the common globs are not removed from an operator's image")
	}
	if all, err := AllWith(""); err != nil || len(all) != len(want)-1 {
		t.Errorf("%d folders, %v, without a directory", len(all), err)
	}
}

func TestAnOperatorsFolderThatIsNotAsDescribedIsRefusedByName(t *testing.T) {
	valid := map[string]string{"lua/manifest.json": luaManifest, "lua/recipe.json": luaRecipe}
	secret := filepath.Join(operator(t, map[string]string{"secret": luaRecipe}), "secret")
	for want, change := range map[string]func(dir string) error{
		"lua/manifest.json":       func(dir string) error { return os.Remove(filepath.Join(dir, "lua/manifest.json")) },
		"lua/recipe.json":         func(dir string) error { return os.WriteFile(filepath.Join(dir, "lua/recipe.json"), []byte("{"), 0o600) },
		"more than 1048576 bytes": func(dir string) error { return os.Truncate(filepath.Join(dir, "lua/recipe.json"), maxFileBytes+1) },
		"not a regular file": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "lua/recipe.json")), syscall.Mkfifo(filepath.Join(dir, "lua/recipe.json"), 0o600))
		},
		"escapes": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "lua/recipe.json")), os.Symlink(secret, filepath.Join(dir, "lua/recipe.json")))
		},
		"perl is neither": func(dir string) error { return os.Symlink("lua", filepath.Join(dir, "perl")) },
		"both called": func(dir string) error {
			manifest := strings.Replace(luaManifest, `"entry"`, `"aliases": ["js"], "entry"`, 1)
			return os.WriteFile(filepath.Join(dir, "lua/manifest.json"), []byte(manifest), 0o600)
		},
		"more than 64 folders": func(dir string) error {
			var all []error
			for i := range maxFolders {
				name := fmt.Sprintf("a%d", i)
				all = append(all, os.Mkdir(filepath.Join(dir, name), 0o700),
					os.WriteFile(filepath.Join(dir, name, "recipe.json"), []byte(luaRecipe), 0o600),
					os.WriteFile(filepath.Join(dir, name, "manifest.json"), []byte(strings.Replace(luaManifest, `"lua"`, `"`+name+`"`, 1)), 0o600))
			}
			return errors.Join(all...)
		},
		"more than 256 files": func(dir string) error {
			all := []error{os.Mkdir(filepath.Join(dir, "lua/app"), 0o700)}
			for i := range maxAppFiles + 1 {
				all = append(all, os.WriteFile(filepath.Join(dir, "lua/app", fmt.Sprint(i)), nil, 0o600))
			}
			return errors.Join(all...)
		},
		"no such file": os.RemoveAll,
	} {
		dir := operator(t, valid)
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := AllWith(dir); err == nil || !strings.Contains(err.Error(), want) || want != "both called" && !strings.Contains(err.Error(), dir) {
			t.Errorf("error %v, want one with %q and the directory", err, want)
		}
	}
}

func TestAnAppFolderHoldsOnlySmallRegularFiles(t *testing.T) {
	for name, file := range map[string]*fstest.MapFile{
		"link": {Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink},
		"big":  {Data: make([]byte, maxFileBytes+1)},
	} {
		fsys := tree()
		fsys["lua/app/"+name] = file
		if _, err := Load(fsys); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one that names it", name, err)
		}
	}
}

func TestTheHashChangesWithEachPart(t *testing.T) {
	load := func(change func(fstest.MapFS)) Folder {
		fsys := tree()
		change(fsys)
		folders, err := Load(fsys)
		if err != nil {
			t.Fatal(err)
		}
		return folders[0]
	}
	edit := func(file, old, new string) Folder {
		return load(func(fsys fstest.MapFS) {
			fsys[file].Data = []byte(strings.Replace(string(fsys[file].Data), old, new, 1))
		})
	}
	plain := load(func(fstest.MapFS) {})
	agent := []byte("agent")
	seen := map[string]string{plain.Hash(agent): "the plain one"}
	for name, hash := range map[string]string{
		"manifest":    edit("lua/manifest.json", "luajit", "luau").Hash(agent),
		"packages":    edit("lua/recipe.json", `"setup"`, `"packages": {"pip": ["a==1"]}, "setup"`).Hash(agent),
		"recipe":      edit("lua/recipe.json", "lua5.4", "lua5.3").Hash(agent),
		"common":      edit("common.json", "doc", "man").Hash(agent),
		"app content": edit("lua/app/warm.lua", "warm", "hot").Hash(agent),
		"app name": load(func(fsys fstest.MapFS) {
			fsys["lua/app/b"] = fsys["lua/app/warm.lua"]
			delete(fsys, "lua/app/warm.lua")
		}).Hash(agent),
		"agent":  plain.Hash([]byte("another agent")),
		"layout": plain.hash(agent, layoutVersion+1),
	} {
		if other, taken := seen[hash]; taken {
			t.Errorf("the hash is the same for %s and %s", name, other)
		}
		seen[hash] = name
	}
	if load(func(fstest.MapFS) {}).Hash(agent) != plain.Hash(agent) {
		t.Error("the hash of the same parts differs")
	}
	if edit("lua/recipe.json", `"setup": ["true"]`, `"setup":  [ "true" ]`).Hash(agent) != plain.Hash(agent) {
		t.Error("the hash changes with white space")
	}
}

func TestABasesHashChangesOnlyWithTheBase(t *testing.T) {
	base := Base{Debian: &Debian{Suite: "bookworm"}, NPM: map[string]NPM{"amd64": {Version: "1"}, "arm64": {Version: "1"}}}
	before := base.Hash("amd64")
	base.NPM["arm64"] = NPM{Version: "2"}
	if base.Hash("amd64") != before {
		t.Error("it changes with another architecture's package")
	}
	base.NPM["amd64"] = NPM{Version: "2"}
	if base.Hash("amd64") == before {
		t.Error("it does not change with the package")
	}
}
