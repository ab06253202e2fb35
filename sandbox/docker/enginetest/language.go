package enginetest

import (
	"context"
	"slices"
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
