// Package languages holds the languages as data: each directory below it is
// one, with a manifest (how programs are named and started), a recipe (how the
// image is made) and the files of its app folder, which go into the image.
//
// Start at [All]. Adding a language is adding a directory. What every image
// leaves out is in common.json.
//
// How it fails: a folder that is not as described is an error from All that
// names the file; nothing is guessed and an unknown field is refused.
package languages

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed common.json all:*/*
var embedded embed.FS

// maxAppFileBytes bounds one file of an app folder.
const maxAppFileBytes = 1 << 20

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

// Load reads the languages in fsys, which is laid out as this package's
// directory is, and returns them sorted by name.
func Load(fsys fs.FS) ([]Folder, error) {
	var common struct {
		Remove []string `json:"remove"`
	}
	if err := readJSON(fsys, "common.json", &common); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("languages: %w", err)
	}
	var folders []Folder
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		f, err := load(fsys, e.Name(), common.Remove)
		if err != nil {
			return nil, err
		}
		folders = append(folders, f)
	}
	return folders, uniqueNames(folders)
}

func load(fsys fs.FS, dir string, remove []string) (Folder, error) {
	var f Folder
	if err := readJSON(fsys, path.Join(dir, "manifest.json"), &f.Manifest); err != nil {
		return Folder{}, err
	}
	if err := readJSON(fsys, path.Join(dir, "recipe.json"), &f.Recipe); err != nil {
		return Folder{}, err
	}
	f.Recipe.Remove = append(slices.Clip(remove), f.Recipe.Remove...)
	if f.Manifest.Name != dir {
		return Folder{}, fmt.Errorf("languages: %s/manifest.json: the name is %q, not the folder's", dir, f.Manifest.Name)
	}
	if err := f.Manifest.validate(); err != nil {
		return Folder{}, fmt.Errorf("languages: %s/manifest.json: %w", dir, err)
	}
	if err := f.Recipe.validate(); err != nil {
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
		}
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if len(content) > maxAppFileBytes {
			return fmt.Errorf("%s has more than %d bytes", name, maxAppFileBytes)
		}
		files = append(files, File{Name: strings.TrimPrefix(name, dir+"/"), Content: content})
		return nil
	})
	return files, err
}

// readJSON decodes one document and refuses unknown fields and trailing data.
func readJSON(fsys fs.FS, name string, into any) error {
	data, err := fs.ReadFile(fsys, name)
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
