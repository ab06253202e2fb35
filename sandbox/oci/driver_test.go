package oci

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/oci/ocitest"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newDriver returns a driver of an instance of its own, of which nothing may be
// left when the test ends.
func newDriver(t testing.TB) *Driver {
	t.Helper()
	d, err := New(Config{Instance: fmt.Sprintf("test-%s-%d", t.Name(), time.Now().UnixNano()), Folder: ocitest.Folder(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanUp)
		defer cancel()
		if left := live(t, d); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
		d.Reap(ctx)
		d.Close()
	})
	return d
}

func live(t testing.TB, d *Driver) []string {
	t.Helper()
	ids, err := d.Sandboxes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func launch(t *testing.T, d *Driver, lang sandbox.Language) *Sandbox {
	t.Helper()
	s, err := d.Launch(t.Context(), lang)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s.(*Sandbox)
}

// runtimes are those that the tests try.
func runtimes(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, name := range []string{"runc", "crun", "runsc"} {
		if _, err := Find(name); err == nil {
			names = append(names, name)
		} else if name == "runc" || name == "runsc" && os.Getenv("PREHEAT_RUNSC") == "required" {
			t.Fatal(err)
		}
	}
	return names
}

func TestDriverKeepsTheContract(t *testing.T) {
	for _, name := range runtimes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDriver(t)
			lang := ocitest.Language(t, "python")
			lang.Runtime = name
			sandboxtest.Suite(t, sandboxtest.Subject{
				Driver:   func(*testing.T) sandbox.Driver { return keptOpen{d} },
				Language: lang,
				Programs: sandboxtest.Python,
				Live:     func() int { return len(live(t, d)) },
				Resizes:  true,
				Kill: func(t *testing.T, id string) {
					s := &Sandbox{driver: d, cgroup: cgroup{d.h, d.parent + "/" + id}}
					if err := s.cgroup.kill(t.Context()); err != nil {
						t.Fatal(err)
					}
				},
			})
		})
	}
}

// keptOpen is a driver that the test closes, after the suite.
type keptOpen struct{ *Driver }

func (keptOpen) Close() error { return nil }
