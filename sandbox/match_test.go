package sandbox

import (
	"regexp"
	"strings"
	"testing"
)

func TestPatternsMatchWholeNames(t *testing.T) {
	for _, test := range []struct {
		pattern  string
		yes, not []string
	}{
		{"a.txt", []string{"a.txt"}, []string{"a.txt2", "xa.txt", "d/a.txt", "a.txt/b"}},
		{"*.txt", []string{"a.txt", ".txt", "ü.txt"}, []string{"d/a.txt", "a.png"}},
		{"?.txt", []string{"a.txt", "ü.txt"}, []string{".txt", "ab.txt"}},
		{"[a-c]x", []string{"ax", "cx"}, []string{"dx", "x"}},
		{"[^a]x", []string{"bx"}, []string{"ax"}},
		{"**", []string{"a", "a/b", "a/b/c"}, nil},
		{"**/*.png", []string{"a.png", "d/a.png", "d/e/a.png"}, []string{"a.txt", "a.png/b"}},
		{"out/**", []string{"out/a", "out/a/b"}, []string{"a", "out2/a", "x/out/a"}},
		{"a/**/z", []string{"a/z", "a/b/z", "a/b/z/z"}, []string{"a/b", "z", "a/z/b"}},
		{"**/a/**/b", []string{"a/b", "x/a/y/b", "a/a/b/b"}, []string{"b/a", "a/b/c"}},
		{"a**", []string{"a", "ab"}, []string{"a/b"}},
		{"*/*", []string{"a/b"}, []string{"a", "a/b/c"}},
	} {
		if err := ValidatePattern(test.pattern); err != nil {
			t.Error(err)
		}
		for _, name := range test.yes {
			if !Match(test.pattern, name) {
				t.Errorf("%q does not match %q", test.pattern, name)
			}
		}
		for _, name := range test.not {
			if Match(test.pattern, name) {
				t.Errorf("%q matches %q", test.pattern, name)
			}
		}
	}
}

func TestPatternsThatAreNoneAreRefused(t *testing.T) {
	for _, pattern := range []string{
		"", "/etc/*", "../*", "a//b", "a/", ".", "a\x00", `a\*`, "[", "[a", "[]", "a/[b/c]", "{a,b}", "\xff", strings.Repeat("*", MaxNameBytes+1),
	} {
		if ValidatePattern(pattern) == nil {
			t.Errorf("%q is accepted", pattern)
		}
		p := valid()
		p.Collect = Collect{Patterns: []string{"*", pattern}, MaxFiles: 1, MaxBytes: 1}
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "collect[1]: ") {
			t.Errorf("a program that collects %q: %v", pattern, err)
		}
	}
}

func TestMorePatternsNeedLimits(t *testing.T) {
	if c := (Collect{}).With([]string{"*"}); c.Match("a") {
		t.Error("without limits there is a pattern")
	}
	own := make([]string, 1, 2)
	own[0] = "a"
	c := Collect{Patterns: own, MaxFiles: 1, MaxBytes: 1}.With([]string{"b"})
	if !c.Match("a") || !c.Match("b") || c.Match("c") || own[:2][1] != "" {
		t.Errorf("the patterns are %q", c.Patterns)
	}
}

// expression is a pattern as a regular expression; Go's take linear time.
func expression(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)^`) // of a name that ends with a slash
	for segment := range strings.SplitSeq(pattern, "/") {
		if segment == anyFolders {
			b.WriteString(`([^/]*/)*`)
			continue
		}
		for _, r := range segment {
			switch r {
			case '*':
				b.WriteString(`[^/]*`)
			case '?':
				b.WriteString(`[^/]`)
			default:
				b.WriteString(regexp.QuoteMeta(string(r)))
			}
		}
		b.WriteString(`/`)
	}
	b.WriteString(`$`)
	return regexp.MustCompile(b.String())
}

// FuzzMatch holds Match against regular expressions, and ends in time only if
// Match does.
func FuzzMatch(f *testing.F) {
	f.Add("**/a/**/*.png", "x/a/y/b.png")
	f.Add("?*/**", "ü/b")
	f.Add(strings.Repeat("**/a/", 50)+"b", strings.Repeat("a/", 120)+"c")
	f.Add(strings.Repeat("*a", 120)+"b", strings.Repeat("a", 255))
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if ValidatePattern(pattern) != nil || ValidateName(name) != nil {
			return
		}
		got := Match(pattern, name)
		if strings.ContainsAny(pattern, "[]") {
			return
		}
		if want := expression(pattern).MatchString(name + "/"); got != want {
			t.Errorf("Match(%q, %q) is %v", pattern, name, got)
		}
	})
}
