// Package languages holds the languages as data: each directory below it is
// one, with a manifest (how programs are named and started), a recipe (how the
// image is made) and the files of its app folder, which go into the image.
//
// Start at [All], or at [AllWith] for those that an operator adds. Adding a
// language is adding a directory. What every image leaves out is in common.json.
//
// How it fails: a folder that is not as described is an error that names the
// file; nothing is guessed and an unknown field is refused.
package languages

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

//go:embed common.json all:*/*
var embedded embed.FS

// Bounds of what is read.
const (
	maxFolders   = 64      // in one directory
	maxAppFiles  = 256     // in one app folder
	maxFileBytes = 1 << 20 // of any file
)

// Folder is one language.
type Folder struct {
	Manifest Manifest
	Recipe   Recipe
	App      []File // sorted by name; the image has them in /app/<language>
}

// File is a file of an app folder.
type File struct {
	Name    string // a slash-separated path below the app folder
	Content []byte
}

// All returns the embedded languages, sorted by name.
func All() ([]Folder, error) { return Load(embedded) }

// AllWith returns the embedded languages and those in the directory dir, sorted
// by name. A folder in dir takes the place of an embedded one of its name. No
// link is followed out of dir, and an empty dir adds nothing.
func AllWith(dir string) ([]Folder, error) {
	all, err := All()
	if err != nil || dir == "" {
		return all, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("languages: %w", err)
	}
	defer root.Close()
	own, err := loadFolders(root.FS(), embedded)
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, dir)
	}
	all = slices.DeleteFunc(all, func(f Folder) bool {
		return slices.ContainsFunc(own, func(o Folder) bool { return o.Manifest.Name == f.Manifest.Name })
	})
	all = append(all, own...)
	slices.SortFunc(all, func(a, b Folder) int { return strings.Compare(a.Manifest.Name, b.Manifest.Name) })
	return all, uniqueNames(all)
}

// Load reads the languages in fsys, which is laid out as this package's
// directory is, and returns them sorted by name.
func Load(fsys fs.FS) ([]Folder, error) {
	folders, err := loadFolders(fsys, fsys)
	if err != nil {
		return nil, err
	}
	return folders, uniqueNames(folders)
}

// loadFolders reads the languages in fsys; common has the common.json. Files
// beside the folders, and hidden folders, are passed over.
func loadFolders(fsys, common fs.FS) ([]Folder, error) {
	var c struct {
		Remove []string `json:"remove"`
	}
	if err := readJSON(common, "common.json", &c); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("languages: %w", err)
	}
	var folders []Folder
	for _, e := range entries {
		switch {
		case e.Type().IsRegular(), strings.HasPrefix(e.Name(), "."):
			continue
		case !e.IsDir():
			return nil, fmt.Errorf("languages: %s is neither a folder nor a regular file", e.Name())
		case len(folders) == maxFolders:
			return nil, fmt.Errorf("languages: more than %d folders", maxFolders)
		}
		f, err := load(fsys, e.Name(), c.Remove)
		if err != nil {
			return nil, err
		}
		folders = append(folders, f)
	}
	return folders, nil
}

func load(fsys fs.FS, dir string, remove []string) (Folder, error) {
	var f Folder
	if err := readJSON(fsys, path.Join(dir, "manifest.json"), &f.Manifest); err != nil {
		return Folder{}, err
	}
	if err := readJSON(fsys, path.Join(dir, "recipe.json"), &f.Recipe); err != nil {
		return Folder{}, err
	}
	if f.Manifest.Name != dir {
		return Folder{}, fmt.Errorf("languages: %s/manifest.json: the name is %q, not the folder's", dir, f.Manifest.Name)
	}
	if err := f.Manifest.validate(); err != nil {
		return Folder{}, fmt.Errorf("languages: %s/manifest.json: %w", dir, err)
	}
	if err := errors.Join(f.Recipe.leaveOut(remove), f.Recipe.validate()); err != nil {
		return Folder{}, fmt.Errorf("languages: %s/recipe.json: %w", dir, err)
	}
	var err error
	if f.App, err = readApp(fsys, path.Join(dir, "app")); err != nil {
		return Folder{}, fmt.Errorf("languages: %s/app: %w", dir, err)
	}
	return f, nil
}

// readApp reads the app folder; one that is not there is empty. Python's byte
// code caches and hidden files are leftovers of people's tools, so they are
// passed over.
func readApp(fsys fs.FS, dir string) ([]File, error) {
	var files []File
	err := fs.WalkDir(fsys, dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == dir:
			return nil
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "__pycache__":
			return fs.SkipDir
		case d.IsDir(), strings.HasPrefix(d.Name(), "."):
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is not a regular file", name)
		case len(files) == maxAppFiles:
			return fmt.Errorf("more than %d files", maxAppFiles)
		}
		content, err := readFile(fsys, name)
		if err != nil {
			return err
		}
		files = append(files, File{Name: strings.TrimPrefix(name, dir+"/"), Content: content})
		return nil
	})
	return files, err
}

// readFile reads a small regular file. It does not open anything else: a pipe
// would never end.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxFileBytes)
	}
	return content, nil
}

// readJSON decodes one document and refuses unknown fields and trailing data.
func readJSON(fsys fs.FS, name string, into any) error {
	data, err := readFile(fsys, name)
	if err != nil {
		return fmt.Errorf("languages: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("languages: %s: %w", name, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("languages: %s: more than one JSON document", name)
	}
	return nil
}

// uniqueNames makes sure that every name and alias means one language.
func uniqueNames(folders []Folder) error {
	owner := make(map[string]string)
	for _, f := range folders {
		for _, name := range append([]string{f.Manifest.Name}, f.Manifest.Aliases...) {
			if other, taken := owner[name]; taken {
				return fmt.Errorf("languages: %s and %s are both called %q", other, f.Manifest.Name, name)
			}
			owner[name] = f.Manifest.Name
		}
	}
	return nil
}
