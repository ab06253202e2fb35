package languages

import (
	"io/fs"
	"maps"
	"strings"
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
	want := map[string]string{"node": "main.js", "python": "main.py"}
	got := map[string]string{}
	for _, f := range folders {
		got[f.Manifest.Name] = f.Manifest.Entry
		if len(f.App) == 0 {
			t.Errorf("%s has no app files", f.Manifest.Name)
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

func TestAnAppFolderHoldsOnlySmallRegularFiles(t *testing.T) {
	for name, file := range map[string]*fstest.MapFile{
		"link": {Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink},
		"big":  {Data: make([]byte, maxAppFileBytes+1)},
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
