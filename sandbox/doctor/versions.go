package doctor

import (
	"cmp"
	"math"
	"regexp"
	"strconv"
)

// Floor is where known holes were mended.
type Floor struct {
	CVEs  string
	Fixed []string // the first release of each branch that has the fix, ascending
}

// RuncFloors are the ways out of a container that runc had.
// https://github.com/opencontainers/runc/security/advisories
var RuncFloors = []Floor{
	{"CVE-2019-5736", []string{"1.0.0-rc7"}},
	{"CVE-2021-30465", []string{"1.0.0-rc95"}},
	{"CVE-2024-21626", []string{"1.1.12"}},
	{"CVE-2025-31133, CVE-2025-52565, CVE-2025-52881", []string{"1.2.8", "1.3.3", "1.4.0-rc.3"}},
}

// fixes reports whether v has the fix: it is not older than the first fixed
// release of its branch, or is of a branch after the last.
func (f Floor) fixes(v version) bool {
	for i, text := range f.Fixed {
		first, ok := parseVersion(Part{Version: text})
		sameBranch := v.major == first.major && v.minor == first.minor
		if ok && v.compare(first) >= 0 && (sameBranch || i == len(f.Fixed)-1) {
			return true
		}
	}
	return false
}

// version is a release, or a distribution's package of one.
type version struct {
	major, minor, patch int
	candidate           int  // of a release candidate; a release has the greatest
	packaged            bool // by a distribution, which may have added fixes
}

var (
	versionText   = regexp.MustCompile(`^v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-~]rc\.?(\d+))?(.*)$`)
	packageCommit = regexp.MustCompile(`^\d+\.\d`) // a package's version; projects write a hash or a tag
)

func parseVersion(p Part) (version, bool) {
	m := versionText.FindStringSubmatch(p.Version)
	if m == nil {
		return version{}, false
	}
	v := version{candidate: math.MaxInt, packaged: m[5] != "" || packageCommit.MatchString(p.Commit)}
	for i, field := range []*int{&v.major, &v.minor, &v.patch, &v.candidate} {
		if text := m[1+i]; text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return version{}, false
			}
			*field = n
		}
	}
	return v, true
}

func (v version) compare(w version) int {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor), cmp.Compare(v.patch, w.patch), cmp.Compare(v.candidate, w.candidate))
}
