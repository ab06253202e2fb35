package httpapi

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox"
)

// zipped is a file of an archive. change is for what a well-behaved tool does
// not write.
type zipped struct {
	name, content string
	change        func(*zip.FileHeader)
}

func zipOf(t testing.TB, entries ...zipped) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, e := range entries {
		raw := deflated(t, e.content)
		h := &zip.FileHeader{
			Name: e.name, Method: zip.Deflate, CRC32: crc32.ChecksumIEEE([]byte(e.content)),
			CompressedSize64: uint64(len(raw)), UncompressedSize64: uint64(len(e.content)),
		}
		h.SetMode(0o644)
		if e.change != nil {
			e.change(h)
		}
		part, err := w.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(e.name, "/") {
			continue
		}
		if _, err := part.Write(raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func deflated(t testing.TB, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// overlapped makes every entry of an archive the data of its first.
func overlapped(archive []byte) []byte {
	const signature, offsetAt = "PK\x01\x02", 42 // of a header in the directory
	for i := 0; i+offsetAt+4 <= len(archive); i++ {
		if string(archive[i:i+4]) == signature {
			copy(archive[i+offsetAt:], "\x00\x00\x00\x00")
		}
	}
	return archive
}

// testArchive lets through four files of 1 MiB together.
var testArchive = archiveLimits{files: 4, bytes: 1 << 20}

// noise does not compress.
func noise(n int) string {
	b := make([]byte, n)
	state := uint32(1)
	for i := range b {
		state = state*1664525 + 1013904223
		b[i] = byte(state >> 24)
	}
	return string(b)
}

func mode(m fs.FileMode) func(*zip.FileHeader) {
	return func(h *zip.FileHeader) { h.SetMode(m) }
}

// badArchives are what unzip refuses, with the end of the sentence.
func badArchives(t testing.TB) map[string]struct {
	archive []byte
	reason  string
} {
	type row = struct {
		archive []byte
		reason  string
	}
	one := func(name, content string, change func(*zip.FileHeader)) []byte {
		return zipOf(t, zipped{name, content, change})
	}
	many := func(n int, content string) (entries []zipped) {
		for i := range n {
			entries = append(entries, zipped{name: fmt.Sprintf("f%d", i), content: content})
		}
		return entries
	}
	name := func(s string) []byte { return one(s, "x", nil) }
	size := func(n uint64) func(*zip.FileHeader) {
		return func(h *zip.FileHeader) { h.UncompressedSize64 = n }
	}
	good := one("a", noise(1000), nil)
	return map[string]row{
		"empty":                            {nil, "cannot be read: zip: not a valid zip file"},
		"not an archive":                   {[]byte("print(1)"), "cannot be read: zip: not a valid zip file"},
		"cut short":                        {good[:len(good)-30], "cannot be read: zip: not a valid zip file"},
		"only its end":                     {good[500:], "negative offset"},
		"without files":                    {zipOf(t), "has no files"},
		"with folders only":                {one("a/", "", mode(fs.ModeDir|0o755)), "has no files"},
		"an absolute name":                 {name("/etc/passwd"), `is not allowed: the file name "/etc/passwd" is not a plain path below the work folder`},
		"a name that leaves the folder":    {name("a/../../b"), `is not allowed: the file name "a/../../b" is not a plain path below the work folder`},
		"a folder that leaves the folder":  {one("../", "", nil), `is not allowed: the file name ".." is not a plain path below the work folder`},
		"a name with a backslash":          {name(`a\b`), `is not allowed: the file name "a\\b" has a control character or a backslash`},
		"a name with a control character":  {name("a\x1b[2J"), `is not allowed: the file name "a\x1b[2J" has a control character or a backslash`},
		"a name with a NUL":                {name("a\x00b"), `is not allowed: the file name "a\x00b" has a control character or a backslash`},
		"a name that is not UTF-8":         {name("\xff"), "is not allowed: a file name is not valid UTF-8"},
		"an empty name":                    {name(""), "is not allowed: a file name is empty"},
		"a long name":                      {name(strings.Repeat("x", 256)), "is not allowed: a file name is longer than 255 bytes"},
		"a name twice":                     {zipOf(t, zipped{name: "a"}, zipped{name: "b"}, zipped{name: "a"}), `has the file "a" twice`},
		"a symbolic link":                  {one("a", "/etc/passwd", mode(fs.ModeSymlink|0o777)), `has what is no regular file: "a"`},
		"a device":                         {one("a", "", mode(fs.ModeDevice|fs.ModeCharDevice|0o666)), `has what is no regular file: "a"`},
		"a pipe":                           {one("a", "", mode(fs.ModeNamedPipe|0o666)), `has what is no regular file: "a"`},
		"an encrypted file":                {one("a", "x", func(h *zip.FileHeader) { h.Flags |= 1 }), `has an encrypted file: "a"`},
		"folders too deep":                 {name(strings.Repeat("d/", 17) + "f"), `has a file below more than 16 folders: "d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/f"`},
		"too many files":                   {zipOf(t, many(5, "x")...), "has more than 4 files"},
		"a file too large by its header":   {one("a", "x", size(1<<20+1)), "unpacks to more than 1 MiB"},
		"a size beyond 32 bits":            {one("a", "x", size(1<<40)), "unpacks to more than 1 MiB"},
		"a size beyond 63 bits":            {one("a", "x", size(1<<64-1)), "unpacks to more than 1 MiB"},
		"files too large together":         {zipOf(t, many(2, noise(1<<19+1))...), "unpacks to more than 1 MiB"},
		"a bomb":                           {one("a", strings.Repeat("\x00", 1<<20), nil), "unpacks to more than 100 times its size"},
		"a bomb whose header lies":         {one("a", strings.Repeat("\x00", 1<<24), size(1000)), `The file "a" of the ZIP archive cannot be unpacked: zip: not a valid zip file`},
		"a bomb of one file under names":   {overlapped(zipOf(t, many(4, strings.Repeat("\x00", 1<<17))...)), "unpacks to more than 100 times its size"},
		"a file longer than it says":       {one("a", "four", size(3)), `The file "a" of the ZIP archive cannot be unpacked: zip: not a valid zip file`},
		"a file shorter than it says":      {one("a", "four", size(5)), `The file "a" of the ZIP archive cannot be unpacked: unexpected EOF`},
		"a file that says it is empty":     {one("a", "four", size(0)), `The file "a" of the ZIP archive cannot be unpacked: zip: not a valid zip file`},
		"a bad checksum":                   {one("a", "x", func(h *zip.FileHeader) { h.CRC32++ }), `The file "a" of the ZIP archive cannot be unpacked: zip: checksum error`},
		"broken data":                      {one("a", "x", func(h *zip.FileHeader) { h.CompressedSize64-- }), `The file "a" of the ZIP archive cannot be unpacked: unexpected EOF`},
		"an unknown compression":           {one("a", "x", func(h *zip.FileHeader) { h.Method = 99 }), `The file "a" of the ZIP archive cannot be unpacked: zip: unsupported compression algorithm`},
		"a bad file behind a good one":     {zipOf(t, zipped{name: "a", content: "x"}, zipped{name: "../b"}), `is not allowed: the file name "../b" is not a plain path below the work folder`},
		"a name that would be a long line": {name("/" + strings.Repeat("x", 100)), "is not a plain path below the work folder"},
	}
}

func TestBadArchiveIsRefusedWithASentence(t *testing.T) {
	for name, tt := range badArchives(t) {
		t.Run(name, func(t *testing.T) {
			files, err := unzip(tt.archive, testArchive)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != CodeBadArchive {
				t.Fatalf("got %d files and the error %v", len(files), err)
			}
			if !strings.HasSuffix(e.Sentence, tt.reason) || strings.Contains(e.Sentence, "\n") {
				t.Errorf("got  %q\nwant %q", e.Sentence, tt.reason)
			}
		})
	}
}

func TestAnArchiveBecomesFiles(t *testing.T) {
	inner := string(zipOf(t, zipped{name: "x", content: "y"}))
	tests := []struct {
		name    string
		archive []byte
		want    map[string]string
	}{
		{"files in folders", zipOf(t, zipped{name: "a/b.py", content: "1"}, zipped{name: "ü", content: ""}), map[string]string{"a/b.py": "1", "ü": ""}},
		{"a folder before what is in it", zipOf(t, zipped{"a/", "", mode(fs.ModeDir | 0o755)}, zipped{name: "a/b", content: "1"}), map[string]string{"a/b": "1"}},
		{"sixteen folders", zipOf(t, zipped{name: strings.Repeat("d/", 16) + "f", content: "1"}), map[string]string{strings.Repeat("d/", 16) + "f": "1"}},
		{"an archive in it is a file", zipOf(t, zipped{name: "a.zip", content: inner}), map[string]string{"a.zip": inner}},
		{"a program that may be executed", zipOf(t, zipped{"a", "x", mode(0o4755)}), map[string]string{"a": "x"}},
		{"written on Windows", zipOf(t, zipped{"a", "x", func(h *zip.FileHeader) { h.CreatorVersion, h.ExternalAttrs = 0, 0 }}), map[string]string{"a": "x"}},
		{"entries that share their data", overlapped(zipOf(t, zipped{name: "a", content: "x"}, zipped{name: "b", content: "x"})), map[string]string{"a": "x", "b": "x"}},
		{"data before it", append([]byte("#!/bin/sh\n"), zipOf(t, zipped{name: "a", content: "x"})...), map[string]string{"a": "x"}},
		{"as much as fits", zipOf(t, zipped{name: "a", content: noise(1 << 20)}), map[string]string{"a": noise(1 << 20)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files, err := unzip(tt.archive, testArchive)
			if err != nil {
				t.Fatal(err)
			}
			got := contents(files)
			if len(files) != len(tt.want) || fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// contents gives the files by their names.
func contents(files []sandbox.File) map[string]string {
	byName := map[string]string{}
	for _, f := range files {
		byName[f.Name] = string(f.Content)
	}
	return byName
}

func FuzzUnzip(f *testing.F) {
	for _, row := range badArchives(f) {
		if len(row.archive) < 64<<10 {
			f.Add(row.archive)
		}
	}
	f.Add(zipOf(f, zipped{name: "a/b.py", content: "print(1)"}, zipped{name: "c", content: noise(100)}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		files, err := unzip(archive, testArchive)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeBadArchive || files != nil {
				t.Fatalf("got %d files and the error %v", len(files), err)
			}
			return
		}
		var total int64
		for _, file := range files {
			total += int64(len(file.Content))
			if err := sandbox.ValidateName(file.Name); err != nil {
				t.Error(err)
			}
		}
		if len(files) == 0 || len(files) > testArchive.files || total > min(testArchive.bytes, int64(len(archive))*maxRatio) {
			t.Errorf("%d bytes became %d files of %d bytes", len(archive), len(files), total)
		}
		if len(contents(files)) != len(files) {
			t.Error("two files have the same name")
		}
	})
}
