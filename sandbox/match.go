package sandbox

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// anyFolders is the segment of a pattern that stands for any number of folders,
// none included.
const anyFolders = "**"

// ValidatePattern reports why pattern cannot be one of Collect's. Its message
// is for the client.
func ValidatePattern(pattern string) error {
	if ValidateName(pattern) != nil || strings.Contains(pattern, "{") {
		return fmt.Errorf("%q is not a pattern of 1 to %d bytes for files below the work folder", pattern, MaxNameBytes)
	}
	for segment := range strings.SplitSeq(pattern, "/") {
		if _, err := path.Match(segment, ""); err != nil {
			return fmt.Errorf("%q is not a pattern: a class such as [a-z] is not complete", pattern)
		}
	}
	return nil
}

// Match reports whether name matches a pattern that ValidatePattern accepts.
// Its time is bounded by the product of their lengths.
func Match(pattern, name string) bool {
	segments, parts := strings.Split(pattern, "/"), strings.Split(name, "/")
	// As with * in a word, only the last ** can need another try, with one part
	// more.
	i, j, last, tried := 0, 0, -1, 0
	for j < len(parts) {
		switch {
		case i < len(segments) && segments[i] == anyFolders:
			last, tried = i, j
			i++
		case i < len(segments) && matches(segments[i], parts[j]):
			i++
			j++
		case last >= 0:
			tried++
			i, j = last+1, tried
		default:
			return false
		}
	}
	return !slices.ContainsFunc(segments[i:], func(s string) bool { return s != anyFolders })
}

func matches(segment, part string) bool {
	ok, err := path.Match(segment, part)
	return ok && err == nil
}

// Match reports whether name matches one of c's patterns.
func (c Collect) Match(name string) bool {
	return slices.ContainsFunc(c.Patterns, func(pattern string) bool { return Match(pattern, name) })
}

// With returns c with more patterns. Where c has no limits nothing is
// collected, so it gets none.
func (c Collect) With(patterns []string) Collect {
	if c.MaxFiles > 0 && c.MaxBytes > 0 {
		c.Patterns = slices.Concat(c.Patterns, patterns)
	}
	return c
}
