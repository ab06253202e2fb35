//go:build linux

package guest

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
)

const (
	// maxWalked bounds how many entries of the work folder are looked at.
	maxWalked = 20_000

	// walkedAtOnce bounds how many of them are in memory.
	walkedAtOnce = 256
)

// errOmitted says that a file is not sent.
var errOmitted = errors.New("file omitted")

// collect sends the files of the work folder that match, sorted by name, and
// counts those that are too many, too large or cannot be read. Nothing else
// runs by now, so no name means another file than a moment before.
func (g *guest) collect() error {
	if os.Getpid() == 1 {
		g.child.endOthers()
	}
	files, room := g.header.CollectFiles, g.header.CollectBytes
	for _, name := range find(sandbox.Collect{Patterns: g.header.Collect}.Match, maxWalked) {
		if files == 0 {
			g.report.Omitted++
			continue
		}
		sent, err := g.sendFile(name, room)
		switch {
		case errors.Is(err, errOmitted):
			g.report.Omitted++
		case err != nil:
			return err
		default:
			files--
			room -= sent
		}
	}
	return nil
}

// find returns the names of the regular files below the current folder that
// match, sorted; it looks at limit entries at most. It follows no symbolic link,
// and has one folder open at a time, because descriptors may be few.
func find(match func(name string) bool, limit int) []string {
	var names []string
	for folders := []string{"."}; len(folders) > 0 && limit > 0; {
		fd, err := unix.Open(folders[0], unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		dir := folders[0]
		folders = folders[1:]
		if err != nil {
			continue
		}
		f := os.NewFile(uintptr(fd), dir)
		for err == nil && limit > 0 {
			var entries []fs.DirEntry
			entries, err = f.ReadDir(min(limit, walkedAtOnce))
			limit -= len(entries)
			for _, e := range entries {
				name := path.Join(dir, e.Name())
				switch {
				case sandbox.ValidateName(name) != nil: // and nothing below it is valid either
				case e.IsDir():
					folders = append(folders, name)
				case e.Type().IsRegular() && match(name):
					names = append(names, name)
				}
			}
		}
		f.Close()
	}
	slices.Sort(names)
	return names
}

// sendFile sends a file of at most room bytes and returns how many it has.
func (g *guest) sendFile(name string, room int64) (int64, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, errOmitted
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > room {
		return 0, errOmitted
	}
	start := agent.HeaderBytes + len(agent.AppendFileName(g.buf[agent.HeaderBytes:agent.HeaderBytes], name))
	for sent := int64(0); ; {
		n, err := unix.Read(fd, g.buf[start:][:min(int64(len(g.buf)-start), st.Size-sent)])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil && sent == 0:
			return 0, errOmitted
		case err != nil: // what has been sent cannot be taken back
			return 0, err
		}
		if n > 0 || sent == 0 {
			agent.PutHeader(g.buf, agent.File, start-agent.HeaderBytes+n)
			if err := tell(g.buf[:start+n]); err != nil {
				return 0, err
			}
		}
		sent += int64(n)
		if n == 0 || sent == st.Size {
			return sent, nil
		}
	}
}
