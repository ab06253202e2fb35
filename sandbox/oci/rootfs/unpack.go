package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
)

// bounds of a tar that is unpacked.
type bounds struct {
	bytes   int64 // of all files, as large as they get
	entries int
}

var errTooLarge = errors.New("it is too large")

// unpacker writes entries below root. No entry is written through a link, so
// that none can get where its name does not say.
type unpacker struct {
	root *os.Root
	left bounds
	dirs map[string]*tar.Header // folders that are there; with what they are to be in the end
}

// unpack writes a tar's folders, files and links below dir, and returns the
// files' bytes. A later entry takes a file's place. Owners and modes are the
// tar's, as far as this process may; extended attributes are lost.
func unpack(ctx context.Context, dir string, r io.Reader, most bounds) (size int64, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, fmt.Errorf("unpacking: %w", err)
	}
	defer root.Close()
	u := unpacker{root: root, left: most, dirs: map[string]*tar.Header{".": nil}}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, fmt.Errorf("unpacking: %w", err)
		}
		if err := u.entry(h, in); err != nil {
			return 0, fmt.Errorf("unpacking %q: %w", h.Name, err)
		}
	}
	for name, h := range u.dirs {
		if h != nil {
			if err := errors.Join(u.own(name, h), root.Chmod(name, h.FileInfo().Mode())); err != nil {
				return 0, fmt.Errorf("unpacking %q: %w", name, err)
			}
		}
	}
	return most.bytes - u.left.bytes, nil
}

func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	u.left.entries--
	u.left.bytes -= h.Size
	if u.left.entries < 0 || u.left.bytes < 0 {
		return errTooLarge
	}
	name := path.Clean(h.Name)
	if !filepath.IsLocal(name) {
		return errors.New("its name leads out of the tree")
	}
	if name == "." {
		return nil
	}
	if h.Typeflag == tar.TypeDir {
		if err := u.folder(name); err != nil {
			return err
		}
		u.dirs[name] = h
		return nil
	}
	if err := u.folder(path.Dir(name)); err != nil {
		return err
	}
	if err := u.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(u.dirs, name) // an empty folder it was
	switch h.Typeflag {
	case tar.TypeReg:
		return u.file(name, h, r)
	case tar.TypeSymlink:
		return errors.Join(u.root.Symlink(h.Linkname, name), u.own(name, h))
	case tar.TypeLink:
		return u.link(path.Clean(h.Linkname), name)
	}
	return nil // devices, pipes, and what tar does not name
}

// folder makes sure that there is a folder called name, and no link to one.
func (u *unpacker) folder(name string) error {
	if _, there := u.dirs[name]; there {
		return nil
	}
	if err := u.folder(path.Dir(name)); err != nil {
		return err
	}
	info, err := u.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errors.Join(u.root.Mkdir(name, 0o755), u.root.Chmod(name, 0o755))
	case err == nil && !info.IsDir():
		err = fmt.Errorf("%s is not a folder", name)
	}
	if err == nil {
		u.dirs[name] = nil
	}
	return err
}

func (u *unpacker) file(name string, h *tar.Header, r io.Reader) (err error) {
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.CopyN(f, r, h.Size); err != nil {
		return err
	}
	if err := u.own(name, h); err != nil {
		return err
	}
	return errors.Join(f.Chmod(h.FileInfo().Mode()), u.root.Chtimes(name, h.ModTime, h.ModTime))
}

// link makes name another name of a file that is there.
func (u *unpacker) link(target, name string) error {
	if !filepath.IsLocal(target) {
		return errors.New("it links out of the tree")
	}
	if err := u.folder(path.Dir(target)); err != nil {
		return err
	}
	info, err := u.root.Lstat(target)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("it is a hard link to %s, which is no file", target)
	}
	return u.root.Link(target, name)
}

// own gives the entry its owner, before its mode: the kernel takes setuid away
// with a change of owner.
func (u *unpacker) own(name string, h *tar.Header) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return u.root.Lchown(name, h.Uid, h.Gid)
}

// pack writes the folders, files and links of the tree dir as a tar.
func pack(ctx context.Context, dir string, w io.Writer) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	defer root.Close()
	out := tar.NewWriter(w)
	first := make(map[uint64]string) // name of the file with this inode
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return packEntry(root, name, info, first, out)
	})
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	return nil
}

func packEntry(root *os.Root, name string, info fs.FileInfo, first map[uint64]string, out *tar.Writer) (err error) {
	target := ""
	switch info.Mode().Type() {
	case 0, fs.ModeDir:
	case fs.ModeSymlink:
		if target, err = root.Readlink(name); err != nil {
			return err
		}
	default:
		return nil
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name, h.Uname, h.Gname, h.Format = name, "", "", tar.FormatPAX
	if !info.Mode().IsRegular() {
		return out.WriteHeader(h)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		if there := first[stat.Ino]; there != "" {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, there, 0
			return out.WriteHeader(h)
		}
		first[stat.Ino] = name
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.CopyN(out, f, h.Size)
	return err
}
