package languages

import (
	"fmt"
	"regexp"
)

// Packages are installed for all programs of a language.
type Packages struct {
	Apt []string `json:"apt"` // Debian packages: "jq", or "jq=1.6-2.1+deb12u1"
	Pip []string `json:"pip"` // Python packages that have a wheel: "requests==2.32.3"
	NPM []string `json:"npm"` // Node packages, whose scripts are not run: "left-pad@1.3.0"
}

var (
	pipPinRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._,-]+\])?==[0-9][0-9A-Za-z.+!_-]*$`)
	npmPinRule = regexp.MustCompile(`^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*@[0-9]+\.[0-9]+\.[0-9]+([.+-][0-9A-Za-z.+-]*)?$`)
)

func (p Packages) validate() error {
	for _, list := range []struct {
		kind  string
		names []string
		rule  *regexp.Regexp
		like  string
	}{
		{"apt", p.Apt, debRule, "jq or jq=1.6-2.1"},
		{"pip", p.Pip, pipPinRule, "requests==2.32.3"},
		{"npm", p.NPM, npmPinRule, "left-pad@1.3.0"},
	} {
		for _, name := range list.names {
			if !list.rule.MatchString(name) {
				return fmt.Errorf("%s: %q is not a package like %s", list.kind, name, list.like)
			}
		}
	}
	return nil
}
