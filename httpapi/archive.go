package httpapi

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/preheat/preheat/sandbox"
)

const (
	// maxRatio is how many times larger than the archive what is in it may be.
	// Text seldom gets below a twentieth.
	maxRatio = 100

	// maxDepth bounds the folders above a file.
	maxDepth = 16
)

// archiveLimits bound what an archive unpacks to.
type archiveLimits struct {
	files int
	bytes int64
}

// unzip returns the files of a ZIP archive. What is not allowed is refused
// before anything is unpacked, by what the archive says of itself, and what
// turns out otherwise is refused then. Its errors are *Error.
func unzip(archive []byte, limits archiveLimits) ([]sandbox.File, error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are checked below
		return nil, refuse(CodeBadArchive, "The ZIP archive cannot be read: %v", err)
	}
	entries, err := checkArchive(r, int64(len(archive)), limits)
	if err != nil {
		return nil, refuse(CodeBadArchive, "The ZIP archive %v", err)
	}
	files := make([]sandbox.File, 0, len(entries))
	for _, e := range entries {
		content, err := unpack(e)
		if err != nil {
			return nil, refuse(CodeBadArchive, "The file %s of the ZIP archive cannot be unpacked: %v", quote(e.Name), err)
		}
		files = append(files, sandbox.File{Name: strings.TrimPrefix(e.Name, "./"), Content: content})
	}
	return files, nil
}

// checkArchive returns the entries that are files.
func checkArchive(r *zip.Reader, size int64, limits archiveLimits) ([]*zip.File, error) {
	var files []*zip.File
	var total uint64
	names := map[string]bool{}
	for _, e := range r.File {
		if e.Name == "./" { // some archivers begin every name so
			continue
		}
		name, folder := strings.CutSuffix(strings.TrimPrefix(e.Name, "./"), "/")
		if err := sandbox.ValidateName(name); err != nil {
			return nil, fmt.Errorf("is not allowed: %w", err)
		}
		switch {
		case strings.Count(name, "/") > maxDepth:
			return nil, fmt.Errorf("has a file below more than %d folders: %s", maxDepth, quote(name))
		case folder || e.Mode().IsDir():
			continue
		case e.Mode()&fs.ModeType != 0:
			return nil, fmt.Errorf("has what is no regular file: %s", quote(name))
		case e.Flags&1 != 0:
			return nil, fmt.Errorf("has an encrypted file: %s", quote(name))
		case names[name]:
			return nil, fmt.Errorf("has the file %s twice", quote(name))
		case len(files) == limits.files:
			return nil, fmt.Errorf("has more than %d files", limits.files)
		case e.UncompressedSize64 > uint64(limits.bytes):
			return nil, fmt.Errorf("unpacks to more than %s", sizeWords(limits.bytes))
		}
		names[name] = true
		files = append(files, e)
		total += e.UncompressedSize64
	}
	switch {
	case len(files) == 0:
		return nil, errors.New("has no files")
	case total > uint64(limits.bytes):
		return nil, fmt.Errorf("unpacks to more than %s", sizeWords(limits.bytes))
	case total > uint64(size)*maxRatio:
		return nil, fmt.Errorf("unpacks to more than %d times its size", maxRatio)
	}
	return files, nil
}

// unpack reads no more than the entry says that there is.
func unpack(e *zip.File) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	content := make([]byte, e.UncompressedSize64)
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, err
	}
	// The end of the stream is where its checksum is verified.
	switch n, err := r.Read(make([]byte, 1)); {
	case n > 0 || err == nil:
		return nil, errors.New("it is longer than it says")
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return content, nil
}
