package images

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/preheat/preheat/sandbox/languages"
)

var either = languages.Base{Image: "lua:5", Debian: &languages.Debian{Suite: "bookworm"}}

func refuse(context.Context, func(string)) error { return errors.New("toomanyrequests") }

func TestASilentRegistryIsGivenUpAfterThePullWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFake()
		store.pull = func(ctx context.Context, _ func(string)) error {
			<-ctx.Done()
			return ctx.Err()
		}
		b := New(store, Config{})
		start := time.Now()
		_, err := b.base(t.Context(), folderOn(languages.Base{Image: "lua:5"}), Options{}, t.Logf)
		if err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("error %v, want that the registry does not answer", err)
		}
		if took := time.Since(start); took != b.cfg.PullWait {
			t.Errorf("it took %v, want %v", took, b.cfg.PullWait)
		}
	})
}

func TestAPullThatStallsInMidLayerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFake()
		store.pull = func(ctx context.Context, heard func(string)) error {
			heard("Pulling from library/lua")
			<-ctx.Done()
			return ctx.Err()
		}
		start := time.Now()
		_, err := New(store, Config{}).base(t.Context(), folderOn(languages.Base{Image: "lua:5"}), Options{}, t.Logf)
		if err == nil || time.Since(start) != pullStall {
			t.Errorf("error %v after %v, want one after %v", err, time.Since(start), pullStall)
		}
	})
}

func TestARegistryThatRefusesLeadsToDebian(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	store := newFake()
	store.pull = refuse
	var said []string
	_, err := New(store, Config{}).Build(t.Context(), folderOn(either), []byte("agent"), Options{}, func(line string) { said = append(said, line) })
	if err == nil || !strings.Contains(err.Error(), "apt-get install mmdebstrap") || !strings.Contains(err.Error(), "toomanyrequests") {
		t.Errorf("error %v, want both reasons and how to get mmdebstrap", err)
	}
	if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "taking Debian instead") }) {
		t.Errorf("progress %q does not say that Debian is taken", said)
	}
}

func TestTheBaseThatIsAskedForIsNotReplaced(t *testing.T) {
	store := newFake()
	store.pull = refuse
	b := New(store, Config{})
	if _, err := b.base(t.Context(), folderOn(either), Options{Base: Registry}, t.Logf); err == nil || !strings.Contains(err.Error(), "toomanyrequests") {
		t.Errorf("error %v, want the registry's", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := b.base(t.Context(), folderOn(either), Options{Base: Debian}, t.Logf); err == nil || store.pulls != 1 {
		t.Errorf("error %v and %d pulls, want mmdebstrap's and the one from before", err, store.pulls)
	}
	if _, err := b.base(t.Context(), folderOn(either), Options{Base: "alpine"}, t.Logf); err == nil {
		t.Error("an unknown base is accepted")
	}
}

func TestABuildPullsInstallsSetsUpAndFinishes(t *testing.T) {
	store := newFake()
	b := New(store, Config{})
	f := folderOn(either)
	f.Recipe.Setup = []string{"true"}
	f.Recipe.Packages.Apt = []string{"jq"}
	img, err := b.Build(t.Context(), f, []byte("agent"), Options{}, func(string) {})
	if err != nil || img.Freshness != Fresh || img.Version != "1.2.3" || img.Base != Registry {
		t.Fatalf("the image is %+v, %v", img, err)
	}
	if len(store.steps) != 2 || !store.steps[0].Network || store.steps[1].Network || store.steps[1].Root == store.steps[0].Root {
		t.Errorf("the steps are %+v, want the packages' with a network, and the setup's on what came out", store.steps)
	}
	if _, err := b.Build(t.Context(), f, []byte("agent"), Options{}, func(line string) { t.Errorf("a fresh image is made again: %s", line) }); err != nil {
		t.Error(err)
	}
	if _, err := b.Build(t.Context(), f, []byte("another"), Options{}, func(string) {}); err != nil || store.pulls != 1 || len(store.steps) != 3 {
		t.Errorf("error %v; %d pulls and %d steps for another agent, want one more step", err, store.pulls, len(store.steps))
	}
}

// another is a store that has finished f's image, or not.
func another(root []byte, img Image, err error) Config {
	return Config{Finished: func(context.Context, languages.Folder, []byte) (io.ReadCloser, Image, error) {
		if root == nil {
			return nil, img, err
		}
		return io.NopCloser(strings.NewReader(string(root))), img, err
	}}
}

func TestAnotherStoresFinishedImageIsTakenFirst(t *testing.T) {
	store := newFake()
	cfg := another(emptyTar(), Image{Version: "9", Base: Debian}, nil)
	img, err := New(store, cfg).Build(t.Context(), folderOn(either), []byte("agent"), Options{}, func(string) {})
	if err != nil || img.Version != "9" || img.Base != Debian || store.pulls != 0 || len(store.steps) != 0 {
		t.Errorf("the image is %+v, %v, after %d pulls and %d steps", img, err, store.pulls, len(store.steps))
	}
	if !slices.Contains(store.finished, "app/preheat-agent") {
		t.Errorf("it is not laid out: %q", store.finished)
	}
}

func TestWithoutAFinishedImageTheBaseIsMade(t *testing.T) {
	good := Image{Version: "9", Base: Debian}
	for name, c := range map[string]struct {
		cfg Config
		o   Options
	}{
		"none is there":        {another(nil, Image{}, nil), Options{}},
		"it cannot be had":     {another(nil, Image{}, errors.New("no engine")), Options{}},
		"its tar is bad":       {another([]byte("no tar"), good, nil), Options{}},
		"its version is bad":   {another(emptyTar(), Image{Version: "; rm", Base: Debian}, nil), Options{}},
		"its base is unknown":  {another(emptyTar(), Image{Version: "9", Base: "x"}, nil), Options{}},
		"a base is asked for":  {another(emptyTar(), good, nil), Options{Base: Registry}},
		"it is to be made new": {another(emptyTar(), good, nil), Options{Force: true}},
	} {
		store := newFake()
		img, err := New(store, c.cfg).Build(t.Context(), folderOn(either), []byte("agent"), c.o, func(string) {})
		if err != nil || img.Version != "1.2.3" || store.pulls != 1 {
			t.Errorf("%s: the image is %+v, %v", name, img, err)
		}
	}
}

func TestAVersionThatIsNoneIsRefused(t *testing.T) {
	store := newFake()
	err := New(store, Config{}).finish(t.Context(), folderOn(either), []byte("agent"), "not a version", Debian, strings.NewReader(""))
	if err == nil || !strings.Contains(err.Error(), "not a version") || store.image.ID != "" {
		t.Errorf("error %v, image %+v", err, store.image)
	}
}
