package rootfs

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox/docker/enginetest"
	dockerimages "github.com/preheat/preheat/sandbox/docker/images"
	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
)

// TestTheEnginesImageOfPythonBecomesATree needs a Docker Engine with the image
// that `make images` makes.
func TestTheEnginesImageOfPythonBecomesATree(t *testing.T) {
	cli := enginetest.Client(t)
	agent, err := os.ReadFile("../../../cmd/preheat/embedded/preheat-agent")
	if err != nil {
		t.Fatalf("%v; run `make images`", err)
	}
	folders, err := languages.All()
	if err != nil {
		t.Fatal(err)
	}
	f := folders[slices.IndexFunc(folders, func(f languages.Folder) bool { return f.Manifest.Name == "python" })]
	engine := dockerimages.New(cli, dockerimages.DefaultPrefix)
	there, err := engine.Image(t.Context(), "python", f.Hash(agent))
	if err != nil || there.Freshness != images.Fresh {
		t.Fatalf("the engine's image is %+v, %v; run `make images`", there, err)
	}
	s := storeIn(t, t.TempDir(), "/no/runtime") // there is no step to run
	img, err := images.New(s, images.Config{Finished: engine.Export}).Build(t.Context(), f, agent, images.Options{}, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	if img.Version != there.Version || img.Hash != there.Hash || img.Base != there.Base {
		t.Errorf("the tree is %+v, the engine's image %+v", img, there)
	}
	if os.Geteuid() == 0 {
		checkTree(t, img)
	}
	checkNothingLeft(t, s)
	needsRoot(t)
	cmd := exec.CommandContext(t.Context(), "chroot", "--userspec=65534:65534", img.ID, "/usr/bin/python3", "-c", "import json, sys; print(json.dumps(sys.version_info[:2]))")
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "[3, 11") {
		t.Errorf("python printed %s, %v", out, err)
	}
}
