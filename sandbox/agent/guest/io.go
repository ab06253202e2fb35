//go:build linux

package guest

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// tell writes to the host, which reads as long as it is there.
func tell(frame []byte) error {
	if writeAll(1, frame) != nil {
		return errHostGone
	}
	return nil
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && err != unix.EINTR {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

func poll(fds []unix.PollFd) error {
	for {
		_, err := unix.Poll(fds, -1)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
	}
}

func closeFd(fd *int) {
	if *fd >= 0 {
		unix.Close(*fd)
		*fd = -1
	}
}
