package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/preheat/preheat/sandbox"
)

// maxInputBytes bounds a job's files together, and its standard input.
const maxInputBytes = 32 << 20

// read takes the program, the files beside it and standard input.
func (j *job) read(ctx context.Context, program string, others []string) error {
	in := intake{left: maxInputBytes}
	content, err := standardInput(ctx, program == "-")
	if err != nil {
		return err
	}
	if program == "-" {
		in.files = append(in.files, sandbox.File{Name: j.program.Entry, Content: content})
	} else {
		j.program.Stdin = content
		err = in.file(j.program.Entry, program)
	}
	for _, other := range others {
		if err == nil {
			err = in.named(other)
		}
	}
	j.program.Files = in.files
	return err
}

// standardInput reads all of it, unless it is a terminal and not asked for.
func standardInput(ctx context.Context, asked bool) ([]byte, error) {
	info, err := os.Stdin.Stat()
	if !asked && (err != nil || info.Mode()&os.ModeCharDevice != 0) {
		return nil, nil
	}
	type input struct {
		content []byte
		err     error
	}
	read := make(chan input, 1)
	go func() { // nothing can interrupt it: it ends with its input or the process
		content, err := readAll(os.Stdin, maxInputBytes)
		read <- input{content, err}
	}()
	select {
	case in := <-read:
		if in.err != nil {
			return nil, fmt.Errorf("standard input: %w", in.err)
		}
		return in.content, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func readAll(r io.Reader, most int64) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, most+1))
	if err == nil && n > most {
		err = fmt.Errorf("there is more than %d bytes", most)
	}
	return b.Bytes(), err
}

// intake gathers files of the host for a program.
type intake struct {
	files []sandbox.File
	left  int64 // bytes
}

// named takes what --file names.
func (in *intake) named(word string) error {
	name, from, ok := strings.Cut(word, "=")
	if !ok {
		from = name
	}
	if err := sandbox.ValidateName(name); err != nil {
		return usageError{fmt.Errorf("--file %s: %w; NAME=PATH gives it another", word, err)}
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return in.folder(name, from)
	}
	return in.file(name, from)
}

// file takes a file under a name.
func (in *intake) file(name, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return in.add(name, from, f)
}

func (in *intake) add(name, from string, r io.Reader) error {
	content, err := readAll(r, in.left)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	in.left -= int64(len(content))
	in.files = append(in.files, sandbox.File{Name: name, Content: content})
	if len(in.files) > sandbox.MaxFiles {
		return fmt.Errorf("%s: a program may have at most %d files", from, sandbox.MaxFiles)
	}
	return nil
}

// folder takes all of a folder, which may hold folders and regular files.
func (in *intake) folder(name, from string) error {
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(below string, d fs.DirEntry, err error) error {
		shown := filepath.Join(from, below)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is neither a folder nor a regular file", shown)
		}
		f, err := root.Open(below)
		if err != nil {
			return err
		}
		defer f.Close()
		return in.add(path.Join(name, below), shown, f)
	})
}

// keep writes files into dir, which it makes. Files that are there are replaced;
// a link is never followed.
func keep(dir string, files []sandbox.File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range files {
		if err := keepFile(root, f); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

func keepFile(root *os.Root, f sandbox.File) error {
	if err := sandbox.ValidateName(f.Name); err != nil {
		return err
	}
	for dir := range parents(f.Name) {
		if err := root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if info, err := root.Lstat(dir); err != nil || !info.IsDir() {
			return errors.Join(fmt.Errorf("%q is in the way: it is no folder", dir), err)
		}
	}
	if info, err := root.Lstat(f.Name); err == nil && !info.IsDir() {
		if err := root.Remove(f.Name); err != nil {
			return err
		}
	}
	w, err := root.OpenFile(f.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = w.Write(f.Content)
	return errors.Join(err, w.Close())
}

// parents yields the folders above name, outermost first.
func parents(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i, r := range name {
			if r == '/' && !yield(name[:i]) {
				return
			}
		}
	}
}
