package httpapi

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/preheat/preheat/sandbox"
)

// minMemory is the least memory, in bytes, that a request may ask for.
const minMemory = 16 << 20

// bounds are what an operator allows of a request.
type bounds struct {
	codeChars        int
	timeout          time.Duration // when the request names none
	maxTimeout       time.Duration
	maxMemory        int64 // bytes; zero is the language's own limit
	outputBytes      int   // when the request names none
	maxOutputBytes   int
	floodBytes       int64
	collectFiles     int
	collectBytes     int64
	archive          archiveLimits
	tests            int
	languages        map[string]sandbox.Language // by name and by alias
	languagesInWords string
}

func newBounds(cfg Config, languages []sandbox.Language) bounds {
	b := bounds{
		codeChars:      cfg.MaxCodeChars,
		timeout:        cfg.Timeout,
		maxTimeout:     cfg.MaxTimeout,
		maxMemory:      cfg.MaxMemoryBytes,
		outputBytes:    cfg.OutputBytes,
		maxOutputBytes: cfg.MaxOutputBytes,
		floodBytes:     cfg.FloodBytes,
		collectFiles:   cfg.MaxCollectFiles,
		collectBytes:   cfg.MaxCollectBytes,
		archive:        archiveLimits{sandbox.MaxFiles, cfg.MaxUnpackedBytes},
		tests:          cfg.MaxTests,
		languages:      map[string]sandbox.Language{},
	}
	var names []string
	for _, l := range languages {
		names = append(names, l.Name)
		for _, name := range append([]string{l.Name}, l.Aliases...) {
			b.languages[name] = l
		}
	}
	b.languagesInWords = strings.Join(names, ", ")
	return b
}

// memoryCeiling is the most memory, in bytes, that a program of lang may have.
func (b bounds) memoryCeiling(lang sandbox.Language) int64 {
	return max(b.maxMemory, lang.Limits.MemoryBytes)
}

// program checks r and makes of it what a sandbox of the language takes. Its
// errors are *Error.
func (b bounds) program(r request) (lang sandbox.Language, p sandbox.Program, err error) {
	if chars := utf8.RuneCountInString(r.Code); chars > b.codeChars {
		return lang, p, refuse(CodeCodeTooLong, "The code has %d characters; the limit is %d", chars, b.codeChars)
	}
	name := r.Language
	if name == "" {
		name = defaultLanguage
	}
	lang, ok := b.languages[name]
	if !ok {
		return lang, p, refuse(CodeUnknownLanguage, "There is no language %s; there is %s", quote(name), b.languagesInWords)
	}
	if p, err = b.limited(r, lang); err != nil {
		return lang, p, err
	}
	if p.Files, p.Entry, err = programFiles(r, lang.Entry); err != nil {
		return lang, p, err
	}
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		if strings.Contains(name, "=") {
			return lang, p, refuse(CodeInvalidField, "The field env has a name with = in it: %s", quote(name))
		}
		p.Env = append(p.Env, name+"="+r.Env[name])
	}
	if err := p.Validate(); err != nil {
		return lang, p, refuse(CodeInvalidField, "The program is not valid: %v", err)
	}
	return lang, p, nil
}

// limited gives the program's input and limits, within the operator's.
func (b bounds) limited(r request, lang sandbox.Language) (sandbox.Program, error) {
	p := sandbox.Program{
		Args:       r.Args,
		Stdin:      []byte(r.Stdin),
		FloodBytes: b.floodBytes,
		Collect:    sandbox.Collect{Patterns: r.Collect, MaxFiles: b.collectFiles, MaxBytes: b.collectBytes},
	}
	timeout, err := within("timeout_ms", r.TimeoutMS, b.timeout.Milliseconds(), 1, b.maxTimeout.Milliseconds())
	if err != nil {
		return p, err
	}
	p.Timeout = time.Duration(timeout) * time.Millisecond
	memory, err := within("memory_mb", r.MemoryMB, lang.Limits.MemoryBytes>>20, minMemory>>20, b.memoryCeiling(lang)>>20)
	if err != nil {
		return p, err
	}
	if r.MemoryMB != nil && memory<<20 != lang.Limits.MemoryBytes {
		p.MemoryBytes = memory << 20
	}
	output, err := within("output_bytes", r.OutputBytes, int64(b.outputBytes), 1, int64(b.maxOutputBytes))
	p.OutputBytes = int(output)
	return p, err
}

// within gives the value of a field, or what takes its place, and refuses one
// that is out of bounds.
func within(field string, value *int64, otherwise, least, most int64) (int64, error) {
	if value == nil {
		return otherwise, nil
	}
	if *value < least || *value > most {
		return 0, refuse(CodeInvalidField, "The field %s must be from %d to %d", field, least, most)
	}
	return *value, nil
}

// programFiles gives the files of r, the code among them, and the name of the
// one to run; empty where that is the language's own. Where r names none it is
// the language's, or the only file there is.
func programFiles(r request, own string) (files []sandbox.File, entry string, err error) {
	entry = r.Entry
	if entry == "" {
		entry = own
		if r.Code == "" && len(r.Files) == 1 {
			entry = r.Files[0].Name
		}
	}
	given := false
	files = make([]sandbox.File, 0, len(r.Files)+1)
	for i, f := range r.Files {
		content, err := f.bytes()
		if err != nil {
			return nil, "", refuse(CodeInvalidField, "The field files[%d] %v", i, err)
		}
		given = given || f.Name == entry
		files = append(files, sandbox.File{Name: f.Name, Content: content})
	}
	switch {
	case given && r.Code != "":
		return nil, "", refuse(CodeInvalidField, "The program is given twice: in the field code and as the file %s", quote(entry))
	case !given && r.Code == "":
		return nil, "", refuse(CodeInvalidField, "The field code is empty and no file is named %s", quote(entry))
	case !given:
		files = slices.Insert(files, 0, sandbox.File{Name: entry, Content: []byte(r.Code)})
	}
	if entry == own {
		entry = ""
	}
	return files, entry, nil
}
