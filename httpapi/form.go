package httpapi

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"

	"github.com/preheat/preheat/sandbox"
)

// readForm makes a request of a form with files. Its parts are
//
//	request   at most one: the JSON object that would be the body
//	file      a file of the program, under its file name
//	zip       at most one: an archive whose files are the program's
//
// Its errors are *Error.
func readForm(body []byte, boundary string, limits archiveLimits) (request, error) {
	var r *request
	var files []requestFile
	unzipped := false
	form := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := form.NextPart()
		if err == io.EOF { //nolint:errorlint // one that is wrapped is of a form that is cut short
			if r == nil {
				r = new(request)
			}
			r.Files = append(r.Files, files...)
			return *r, nil
		}
		var name string
		var file sandbox.File
		if err == nil {
			name, file, err = readPart(part)
		}
		switch {
		case err != nil:
			return request{}, refuse(CodeBadForm, "The request body is not a form: %.200s", err) // which may quote the body
		case name == "request" && r == nil:
			r = new(request)
			err = decode(file.Content, r)
		case name == "file":
			files = append(files, requestFile{Name: file.Name, raw: file.Content})
		case name == "zip" && !unzipped:
			unzipped = true
			var unpacked []sandbox.File
			unpacked, err = unzip(file.Content, limits)
			for _, f := range unpacked {
				files = append(files, requestFile{Name: f.Name, raw: f.Content})
			}
		case name == "request", name == "zip":
			err = refuse(CodeBadForm, "The form has two parts named %s", name)
		default:
			err = refuse(CodeBadForm, "The form has a part named %s; there is request, file and zip", quote(name))
		}
		if err != nil {
			return request{}, err
		}
		if len(files) > sandbox.MaxFiles {
			return request{}, refuse(CodeInvalidField, "The form has more than %d files", sandbox.MaxFiles)
		}
	}
}

// readPart reads one part of a form that is in memory.
func readPart(part *multipart.Part) (name string, f sandbox.File, err error) {
	// Not part.FileName, which leaves out the folders.
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil {
		return "", f, err
	}
	f.Name = params["filename"]
	f.Content, err = io.ReadAll(part)
	return part.FormName(), f, err
}
