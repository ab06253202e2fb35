package enginetest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/languages"
)

// Language returns the named language with its image and the default limits.
// The image must be there; `make images` makes it.
func Language(t testing.TB, cli *client.Client, name string) sandbox.Language {
	t.Helper()
	folders, err := languages.All()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(folders, func(f languages.Folder) bool { return f.Manifest.Name == name })
	if i < 0 {
		t.Fatalf("there is no language %q", name)
	}
	ref := "preheat-" + name + ":latest"
	if _, err := cli.ImageInspect(t.Context(), ref); err != nil {
		t.Fatalf("%v; run `make images`", err)
	}
	m := folders[i].Manifest
	return sandbox.Language{
		Name: m.Name, Aliases: m.Aliases, Entry: m.Entry,
		Image: ref, Command: m.Command, Env: m.Env, OnDemand: m.OnDemand, Collect: m.Collect,
		Limits: sandbox.DefaultLimits(),
	}
}

// Create makes a container of an instance that no driver knows, and that is not
// started. It is removed by remove, and at the test's end.
func Create(t testing.TB, cli *client.Client, image, instance string) (id string, remove func()) {
	t.Helper()
	made, err := cli.ContainerCreate(t.Context(), &container.Config{
		Image: image, Cmd: []string{"true"}, Labels: map[string]string{"preheat.instance": instance}}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	remove = sync.OnceFunc(func() {
		if err := cli.ContainerRemove(context.WithoutCancel(t.Context()), made.ID, container.RemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(remove)
	return made.ID, remove
}

// Containers returns the names of an instance's containers, dead or alive.
func Containers(t testing.TB, cli *client.Client, instance string) []string {
	t.Helper()
	list, err := cli.ContainerList(context.WithoutCancel(t.Context()), container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", "preheat.instance="+instance))})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range list {
		names = append(names, c.Names...)
	}
	return names
}
