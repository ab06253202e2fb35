package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/preheat/preheat/sandbox/languages"
	"github.com/preheat/preheat/sandbox/profile"
)

// Bounds of a root. They are far above any base's and keep a broken engine or
// registry from filling the disk.
const (
	MaxRootBytes   = 4 << 30
	MaxRootEntries = 1 << 20
)

// agentPath is where the image has the agent.
const agentPath = "app/preheat-agent"

// tmpNote is in /tmp, which is thus not empty: over an empty one, gVisor mounts
// a file system that programs can write and no limit bounds.
const tmpNote = "/tmp cannot be written here. TMPDIR names a folder that can.\n"

// layout decides what an image is made of. Its methods are pure.
type layout struct {
	language string
	own      []*ownFile // what preheat adds, parents first
	remove   []string   // path globs; see languages.Recipe
}

// ownFile is an entry that preheat writes itself.
type ownFile struct {
	header  tar.Header
	content []byte
}

// newLayout returns the layout of f's image with this agent.
func newLayout(f languages.Folder, agent []byte) layout {
	l := layout{language: f.Manifest.Name, remove: f.Recipe.Remove}
	l.addDir("work", 0o755)
	l.addDir("tmp", 0o755)
	l.addFile("tmp/.read-only", 0o444, []byte(tmpNote))
	l.addFile(agentPath, 0o555, agent)
	l.addDir(path.Join("app", l.language), 0o555)
	for _, file := range f.App {
		l.addFile(path.Join("app", l.language, file.Name), 0o444, file.Content)
	}
	return l
}

// withNames adds what an Engine puts over an image's files, and nobody else does:
// the host's name, and names of other hosts, of which there are none.
func (l layout) withNames() layout {
	l.addDir("etc", 0o755)
	l.addFile("etc/hostname", 0o444, []byte(profile.Hostname+"\n"))
	l.addFile("etc/hosts", 0o444, []byte("127.0.0.1\tlocalhost\n::1\tlocalhost\n"))
	l.addFile("etc/resolv.conf", 0o444, nil)
	return l
}

func (l *layout) addFile(name string, mode int64, content []byte) {
	l.addDir(path.Dir(name), 0o555)
	l.own = append(l.own, &ownFile{
		header:  tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content)), ModTime: epoch},
		content: content,
	})
}

// addDir adds a directory and its parents, unless they are there.
func (l *layout) addDir(name string, mode int64) {
	if name == "." || l.owns(name) {
		return
	}
	l.addDir(path.Dir(name), 0o555)
	l.own = append(l.own, &ownFile{
		header: tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, ModTime: epoch},
	})
}

// epoch is the time of what preheat adds: a fixed one, so that the same parts
// make the same image.
var epoch = time.Unix(0, 0)

func (l layout) owns(name string) bool {
	return slices.ContainsFunc(l.own, func(o *ownFile) bool {
		return strings.TrimSuffix(o.header.Name, "/") == name
	})
}

// filter returns the image's header for an entry of the exported root, or nil
// when the image leaves it out. Everything that stays belongs to root, can be
// written by nobody else, and has no setuid, setgid or sticky bit and no
// extended attribute, so no file capability either.
func (l layout) filter(h *tar.Header) (*tar.Header, error) {
	name, err := cleanName(h.Name)
	if err != nil {
		return nil, err
	}
	if l.leavesOut(name) {
		return nil, nil
	}
	out := &tar.Header{Typeflag: h.Typeflag, Name: name, Mode: h.Mode & 0o755, ModTime: h.ModTime.Truncate(time.Second)}
	switch h.Typeflag {
	case tar.TypeReg:
		out.Size = h.Size
	case tar.TypeDir:
		out.Name += "/"
	case tar.TypeSymlink:
		out.Linkname, out.Mode = h.Linkname, 0o777
	case tar.TypeLink:
		if out.Linkname, err = cleanName(h.Linkname); err != nil {
			return nil, err
		}
		if l.leavesOut(out.Linkname) {
			return nil, fmt.Errorf("%s stays but is a hard link to %s, which is removed", name, out.Linkname)
		}
	default: // devices, pipes, and what tar does not name
		return nil, nil
	}
	if !isBelow(name, "app") {
		return out, nil
	}
	switch out.Typeflag { // made by the recipe's setup from the app files
	case tar.TypeReg:
		out.Mode = 0o444
	case tar.TypeDir:
		out.Mode = 0o555
	default:
		return nil, nil
	}
	return out, nil
}

// leavesOut reports whether the entry called name is not taken over: because
// it is removed, or because preheat writes it itself. Of /app only what setup
// made in the language's own directory is taken.
func (l layout) leavesOut(name string) bool {
	switch {
	case name == "", l.owns(name), isBelow(name, "work"):
		return true
	case isBelow(name, "app"):
		return !isBelow(name, path.Join("app", l.language))
	}
	return slices.ContainsFunc(l.remove, func(glob string) bool { return globCovers(glob, name) })
}

// globCovers reports whether the glob matches name or a directory above it.
func globCovers(glob, name string) bool {
	parts, depth := strings.Split(name, "/"), strings.Count(glob, "/")+1
	if len(parts) < depth {
		return false
	}
	ok, _ := path.Match(glob, strings.Join(parts[:depth], "/")) // the loader has checked the glob
	return ok
}

func isBelow(name, dir string) bool { return strings.HasPrefix(name, dir+"/") }

// cleanName returns the entry's path without a leading "./" and a trailing
// slash; the root itself is empty. Anything else that is not a plain path
// below the root is an error: engines do not write such names.
func cleanName(name string) (string, error) {
	clean := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if clean == "" || clean == "." {
		return "", nil
	}
	if strings.HasPrefix(clean, "/") || path.Clean(clean) != clean || clean == ".." ||
		strings.HasPrefix(clean, "../") || strings.ContainsRune(clean, 0) {
		return "", fmt.Errorf("the root's tar has an entry with the bad name %q", name)
	}
	return clean, nil
}

// flatten writes the image's tar to w: preheat's own entries, then what the
// layout keeps of root, the tar of a container's file system.
func (l layout) flatten(root io.Reader, w io.Writer) error {
	out := tar.NewWriter(w)
	if err := l.writeOwn(out); err != nil {
		return err
	}
	in := tar.NewReader(io.LimitReader(root, MaxRootBytes))
	var total int64 // a sparse file is larger than what it is in the tar
	for range MaxRootEntries {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err != nil {
			return fmt.Errorf("reading the exported root: %w", err)
		}
		keep, err := l.filter(h)
		if err != nil {
			return err
		}
		if keep == nil {
			continue
		}
		if total += keep.Size; total > MaxRootBytes {
			return fmt.Errorf("the exported root is larger than %d bytes", MaxRootBytes)
		}
		if err := copyEntry(out, keep, in); err != nil {
			return err
		}
	}
	return fmt.Errorf("the exported root has more than %d entries", MaxRootEntries)
}

func (l layout) writeOwn(out *tar.Writer) error {
	for _, o := range l.own {
		if err := copyEntry(out, &o.header, bytes.NewReader(o.content)); err != nil {
			return err
		}
	}
	return nil
}

// copyEntry writes one entry whose content, if it has any, is next in r.
func copyEntry(out *tar.Writer, h *tar.Header, r io.Reader) error {
	if err := out.WriteHeader(h); err != nil {
		return fmt.Errorf("writing the image's tar: %s: %w", h.Name, err)
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	if _, err := io.CopyN(out, r, h.Size); err != nil {
		return fmt.Errorf("writing the image's tar: %s: %w", h.Name, err)
	}
	return nil
}
