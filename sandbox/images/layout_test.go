package images

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox/languages"
)

func testLayout() layout {
	return newLayout(languages.Folder{
		Manifest: languages.Manifest{Name: "lua"},
		Recipe:   languages.Recipe{Remove: []string{"usr/share/doc", "usr/bin/apt*", "var/*/*"}},
		App:      []languages.File{{Name: "warm.lua", Content: []byte("-- warm")}, {Name: "lib/a.lua"}},
	}, []byte("agent"))
}

func TestTheFilterKeepsOnlyWhatTheLayoutPromises(t *testing.T) {
	reg := func(name string, mode int64) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Uid: 7, Gid: 8, Uname: "u", Gname: "g"}
	}
	link := func(kind byte, name, target string) tar.Header {
		return tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777}
	}
	cases := []struct {
		name string
		in   tar.Header
		want string // name and mode; empty when it is left out
	}{
		{"a plain file", reg("usr/bin/env", 0o755), "usr/bin/env 755"},
		{"a name with a leading dot", reg("./usr/bin/env", 0o755), "usr/bin/env 755"},
		{"setuid and setgid", reg("usr/bin/su", 0o6755), "usr/bin/su 755"},
		{"writable by all", reg("etc/x", 0o666), "etc/x 644"},
		{"a sticky directory", tar.Header{Typeflag: tar.TypeDir, Name: "srv/", Mode: 0o1777}, "srv/ 755"},
		{"a symbolic link", link(tar.TypeSymlink, "bin", "usr/bin"), "bin 777"},
		{"a hard link", link(tar.TypeLink, "usr/bin/b", "usr/bin/a"), "usr/bin/b 755"},
		{"a removed directory", reg("usr/share/doc/", 0o755), ""},
		{"what is below a removed directory", reg("usr/share/doc/a/b", 0o644), ""},
		{"a name that only begins like one", reg("usr/share/docs", 0o644), "usr/share/docs 644"},
		{"a star matches within one name", reg("usr/bin/apt-get", 0o755), ""},
		{"a star does not reach down", reg("var/lib", 0o755), "var/lib 755"},
		{"two stars", reg("var/lib/dpkg/status", 0o644), ""},
		{"a device", tar.Header{Typeflag: tar.TypeChar, Name: "etc/null"}, ""},
		{"a pipe", tar.Header{Typeflag: tar.TypeFifo, Name: "etc/pipe"}, ""},
		{"the root", tar.Header{Typeflag: tar.TypeDir, Name: "./"}, ""},
		{"the base's work folder", link(tar.TypeSymlink, "work", "etc"), ""},
		{"what is below it", reg("work/x", 0o644), ""},
		{"the base's app folder", link(tar.TypeSymlink, "app", "etc"), ""},
		{"a link in place of our directory", link(tar.TypeSymlink, "tmp", "work"), ""},
		{"a planted agent", reg("app/preheat-agent", 0o755), ""},
		{"another language's app", reg("app/perl/x", 0o644), ""},
		{"our own file again", reg("app/lua/warm.lua", 0o644), ""},
		{"our own directory again", tar.Header{Typeflag: tar.TypeDir, Name: "app/lua/lib/"}, ""},
		{"what setup made there", reg("app/lua/warm.luac", 0o600), "app/lua/warm.luac 444"},
		{"a link that setup made there", link(tar.TypeSymlink, "app/lua/l", "/etc"), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, err := testLayout().filter(&c.in)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if out != nil {
				got = out.Name + " " + octal(out.Mode)
				if out.Uid != 0 || out.Gid != 0 || out.Uname != "" || out.Gname != "" {
					t.Errorf("it belongs to %d:%d %s:%s", out.Uid, out.Gid, out.Uname, out.Gname)
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func octal(mode int64) string {
	return string([]byte{'0' + byte(mode>>6&7), '0' + byte(mode>>3&7), '0' + byte(mode&7)})
}

func TestTheFilterRefusesBadNames(t *testing.T) {
	for _, name := range []string{"/etc/passwd", "../x", "a/../../x", "a/../b", "a//b", "..", "././/x", "a\x00b"} {
		if _, err := testLayout().filter(&tar.Header{Typeflag: tar.TypeReg, Name: name}); err == nil {
			t.Errorf("the name %q is accepted", name)
		}
		if _, err := testLayout().filter(&tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: name}); err == nil {
			t.Errorf("a hard link to %q is accepted", name)
		}
	}
}

func TestAHardLinkToARemovedFileIsAnError(t *testing.T) {
	for _, target := range []string{"usr/bin/apt", "app/preheat-agent", "work/x"} {
		if _, err := testLayout().filter(&tar.Header{Typeflag: tar.TypeLink, Name: "usr/bin/x", Linkname: target}); err == nil {
			t.Errorf("a hard link to %s is accepted", target)
		}
	}
}

func TestFlattenDropsFileCapabilities(t *testing.T) {
	var root, flat bytes.Buffer
	w := tar.NewWriter(&root)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "usr/bin/ping", Mode: 0o755,
		PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02"}})
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if err := testLayout().flatten(&root, &flat); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]*tar.Header)
	var order []string
	for r := tar.NewReader(&flat); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name], order = h, append(order, h.Name)
	}
	want := []string{"work/", "tmp/", "tmp/.read-only", "app/", "app/preheat-agent", "app/lua/", "app/lua/warm.lua", "app/lua/lib/", "app/lua/lib/a.lua", "usr/bin/ping"}
	if !slices.Equal(order, want) {
		t.Errorf("entries %q, want %q", order, want)
	}
	for key := range maps.Keys(got["usr/bin/ping"].PAXRecords) {
		if strings.Contains(key, "xattr") {
			t.Errorf("%s is kept", key)
		}
	}
}

func TestFlattenRefusesATruncatedRoot(t *testing.T) {
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: 10000}); err != nil {
		t.Fatal(err)
	}
	if err := testLayout().flatten(&root, io.Discard); err == nil {
		t.Error("a root that ends in mid-file is accepted")
	}
}

func TestFlattenRefusesARootThatIsTooLarge(t *testing.T) {
	var root bytes.Buffer
	w := tar.NewWriter(&root) // its end does not matter: a hole in a sparse file takes no room
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: MaxRootBytes + 1}); err != nil {
		t.Fatal(err)
	}
	if err := testLayout().flatten(&root, io.Discard); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("error %v, want that it is too large", err)
	}
}

func FuzzFilter(f *testing.F) {
	for _, name := range []string{"usr/bin/env", "./", "../x", "/app", "app/lua/x", "app/./preheat-agent", "app/lua/../preheat-agent", "work/", "./work", "usr/share/doc/x", "a\x00b", "app//x", "./app/preheat-agent/"} {
		f.Add(name, "usr/bin/a", byte(tar.TypeReg), int64(0o6777))
		f.Add("usr/bin/b", name, byte(tar.TypeLink), int64(0o777))
	}
	l := testLayout()
	f.Fuzz(func(t *testing.T, name, target string, kind byte, mode int64) {
		out, err := l.filter(&tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: mode})
		if err != nil || out == nil {
			return
		}
		kept := strings.TrimSuffix(out.Name, "/")
		if kept == "" || path.IsAbs(kept) || path.Clean(kept) != kept || strings.HasPrefix(kept, "..") && (kept == ".." || kept[2] == '/') {
			t.Errorf("%q is kept as %q", name, out.Name)
		}
		if top, _, _ := strings.Cut(kept, "/"); top == "work" || l.owns(kept) || top == "app" && !strings.HasPrefix(kept, "app/lua/") {
			t.Errorf("%q is kept as %q", name, out.Name)
		}
		if out.Mode&^0o777 != 0 || out.Mode&0o022 != 0 && out.Typeflag != tar.TypeSymlink {
			t.Errorf("%q has mode %o", name, out.Mode)
		}
		if out.Typeflag == tar.TypeLink && (path.IsAbs(out.Linkname) || path.Clean(out.Linkname) != out.Linkname) {
			t.Errorf("%q links to %q", name, out.Linkname)
		}
	})
}
