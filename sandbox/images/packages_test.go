package images

import (
	"slices"
	"testing"

	"github.com/preheat/preheat/sandbox/languages"
)

func TestInstallLinesNameEachTool(t *testing.T) {
	got := installLines(languages.Packages{Pip: []string{"a==1", "b==2"}, NPM: []string{"c@1.0.0"}})
	if want := []string{"pip 'a==1' 'b==2'", "npm 'c@1.0.0'"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
