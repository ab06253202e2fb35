package rootfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox/images"
)

var wide = bounds{images.MaxRootBytes, images.MaxRootEntries}

func TestAHostileTarCannotLeaveItsTree(t *testing.T) {
	for name, c := range map[string]struct {
		entries []entry
		want    string // of the error
	}{
		"a name that climbs":           {[]entry{file("../x", "bad", 0o644)}, "out of the tree"},
		"a name that climbs on a path": {[]entry{file("a/../../x", "bad", 0o644)}, "out of the tree"},
		"an absolute name":             {[]entry{file("/x", "bad", 0o644)}, "out of the tree"},
		"a folder that climbs":         {[]entry{folder("../x", 0o755)}, "out of the tree"},
		"through a link up":            {[]entry{link(tar.TypeSymlink, "a", ".."), file("a/x", "bad", 0o644)}, "not a folder"},
		"through an absolute link":     {[]entry{link(tar.TypeSymlink, "a", "/tmp"), file("a/x", "bad", 0o644)}, "not a folder"},
		"through a link inside":        {[]entry{folder("b", 0o755), link(tar.TypeSymlink, "a", "b"), file("a/x", "bad", 0o644)}, "not a folder"},
		"a folder through a link":      {[]entry{link(tar.TypeSymlink, "a", ".."), folder("a/x", 0o755)}, "not a folder"},
		"a folder that is a link":      {[]entry{link(tar.TypeSymlink, "a", ".."), folder("a", 0o777)}, "not a folder"},
		"a folder that becomes a link": {[]entry{file("a/y", "good", 0o644), link(tar.TypeSymlink, "a", ".."), file("a/x", "bad", 0o644)}, "not empty"},
		"a hard link out":              {[]entry{link(tar.TypeLink, "a", "../outside")}, "out of the tree"},
		"an absolute hard link":        {[]entry{link(tar.TypeLink, "a", "/etc/passwd")}, "out of the tree"},
		"a hard link to a link":        {[]entry{link(tar.TypeSymlink, "a", "../outside"), link(tar.TypeLink, "b", "a"), file("b", "bad", 0o644)}, "no file"},
		"a hard link through a link":   {[]entry{link(tar.TypeSymlink, "a", ".."), link(tar.TypeLink, "b", "a/outside")}, "not a folder"},
		"a hard link to a folder":      {[]entry{folder("a", 0o755), link(tar.TypeLink, "b", "a")}, "no file"},
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			dir := filepath.Join(outside, "tree")
			if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(outside, "outside"), []byte("good"), 0o600)); err != nil {
				t.Fatal(err)
			}
			_, err := unpack(t.Context(), dir, bytes.NewReader(tarOf(t, c.entries...)), wide)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			left, err := os.ReadDir(outside)
			content, readErr := os.ReadFile(filepath.Join(outside, "outside"))
			if err != nil || readErr != nil || len(left) != 2 || string(content) != "good" {
				t.Errorf("outside there are now %v; the file there is %q", left, content)
			}
		})
	}
}

func TestALinkIsReplacedNotWrittenThrough(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	dir := t.TempDir()
	if err := os.WriteFile(outside, []byte("good"), 0o600); err != nil {
		t.Fatal(err)
	}
	content := tarOf(t, link(tar.TypeSymlink, "a", outside), file("a", "new", 0o644))
	if _, err := unpack(t.Context(), dir, bytes.NewReader(content), wide); err != nil {
		t.Fatal(err)
	}
	inside, _ := os.ReadFile(filepath.Join(dir, "a"))
	there, _ := os.ReadFile(outside)
	if string(inside) != "new" || string(there) != "good" {
		t.Errorf("inside %q, outside %q", inside, there)
	}
}

func TestATarIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		most    bounds
		entries []entry
	}{
		"too many entries": {bounds{100, 2}, []entry{folder("a", 0o755), folder("b", 0o755), folder("c", 0o755)}},
		"a huge file":      {bounds{100, 9}, []entry{file("a", strings.Repeat("x", 101), 0o644)}},
		"many files":       {bounds{100, 9}, []entry{file("a", strings.Repeat("x", 60), 0o644), file("b", strings.Repeat("x", 60), 0o644)}},
	} {
		dir := t.TempDir()
		if _, err := unpack(t.Context(), dir, bytes.NewReader(tarOf(t, c.entries...)), c.most); !errors.Is(err, errTooLarge) {
			t.Errorf("%s: error %v, want errTooLarge", name, err)
		}
	}
	cut := tarOf(t, file("a", strings.Repeat("x", 2000), 0o644))[:1000]
	if _, err := unpack(t.Context(), t.TempDir(), bytes.NewReader(cut), wide); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v for a tar that ends in mid-file", err)
	}
}

func TestAFolderIsPackedAsItWasUnpacked(t *testing.T) {
	needsRoot(t)
	owned := file("d/owned", "x", 0o4711)
	owned.Uid, owned.Gid = 7, 8
	content := tarOf(t, folder("d", 0o2700), owned, link(tar.TypeLink, "d/same", "d/owned"), link(tar.TypeSymlink, "l", "/anywhere"),
		entry{tar.Header{Typeflag: tar.TypeChar, Name: "null", Mode: 0o666}, ""}, folder("d", 0o1750))
	dir := t.TempDir()
	if size, err := unpack(t.Context(), dir, bytes.NewReader(content), wide); err != nil || size != 1 {
		t.Fatalf("%d bytes, %v", size, err)
	}
	var packed bytes.Buffer
	if err := pack(t.Context(), dir, &packed); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]tar.Header)
	for in := tar.NewReader(&packed); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = *h
	}
	if len(got) != 4 {
		t.Errorf("packed %v", got)
	}
	if h := got["d"]; h.Typeflag != tar.TypeDir || h.Mode != 0o1750 {
		t.Errorf("the folder is %+v", h)
	}
	if h := got["d/owned"]; h.Mode != 0o4711 || h.Uid != 7 || h.Gid != 8 || h.Size != 1 || h.Uname != "" {
		t.Errorf("the file is %+v", h)
	}
	if h := got["d/same"]; h.Typeflag != tar.TypeLink || h.Linkname != "d/owned" {
		t.Errorf("the hard link is %+v", h)
	}
	if h := got["l"]; h.Typeflag != tar.TypeSymlink || h.Linkname != "/anywhere" {
		t.Errorf("the link is %+v", h)
	}
}

// FuzzUnpack looks for a tar that writes outside of its tree.
func FuzzUnpack(f *testing.F) {
	add := func(name, target string, kind byte) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		_ = w.WriteHeader(&tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777})
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name + "/x", Mode: 0o644})
		_ = w.Close()
		f.Add(b.Bytes())
	}
	add("a", "..", tar.TypeSymlink)
	add("a", "../outside", tar.TypeLink)
	add("../a", "", tar.TypeDir)
	add("a/./b/../c", "", tar.TypeReg)
	f.Fuzz(func(t *testing.T, content []byte) {
		outside := t.TempDir()
		dir := filepath.Join(outside, "tree")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		_, _ = unpack(t.Context(), dir, bytes.NewReader(content), bounds{1 << 20, 100})
		left, err := os.ReadDir(outside)
		if err != nil || len(left) != 1 {
			t.Errorf("outside there are now %v, %v", left, err)
		}
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if d != nil && d.Type()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0 {
				t.Errorf("%s is %v", path, d.Type())
			}
			return err
		})
		if err != nil && os.Geteuid() == 0 {
			t.Error(err)
		}
	})
}
