package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/preheat/preheat/sandbox/attacks"
)

// build makes the page of web/src and of the packages below modules.
func build(packages []pkg, modules string) ([]output, error) {
	plugin, err := catalogue("web/src/break.json")
	if err != nil {
		return nil, err
	}
	result := api.Build(api.BuildOptions{
		EntryPointsAdvanced: []api.EntryPoint{
			{InputPath: "web/src/main.js", OutputPath: "app"},
			{InputPath: "web/src/style.css", OutputPath: "style"},
		},
		NodePaths:         []string{modules},
		Plugins:           []api.Plugin{plugin},
		Bundle:            true,
		Format:            api.FormatESModule,
		Target:            api.ES2022,
		Charset:           api.CharsetUTF8,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		LegalComments:     api.LegalCommentsInline,
		Metafile:          true,
		Outdir:            "web/assets",
		LogLevel:          api.LogLevelError,
	})
	if len(result.Errors) > 0 {
		return nil, errors.New("esbuild failed")
	}
	var outputs []output
	for _, f := range result.OutputFiles {
		outputs = append(outputs, output{"web/assets/" + filepath.Base(f.Path), f.Contents})
	}
	licences, err := licencesOf(result.Metafile, packages, modules)
	if err != nil {
		return nil, err
	}
	outputs = append(outputs, output{"web/assets/licences.txt", licences})
	for _, copied := range []struct{ from, to string }{
		{"web/src/index.html", "web/assets/index.html"},
		{filepath.Join(modules, "axe-core", "axe.min.js"), "web/testdata/axe.min.js"},
	} {
		content, err := os.ReadFile(copied.from)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, output{copied.to, content})
	}
	return outputs, nil
}

// catalogue gives the sources a module, preheat:attacks, with the attacks that
// the file names, as the catalogue has them.
func catalogue(file string) (api.Plugin, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return api.Plugin{}, err
	}
	var wanted struct{ Attacks []string }
	if err := json.Unmarshal(text, &wanted); err != nil {
		return api.Plugin{}, fmt.Errorf("%s: %w", file, err)
	}
	all, err := attacks.Load()
	if err != nil {
		return api.Plugin{}, err
	}
	chosen, err := choose(all, wanted.Attacks)
	if err != nil {
		return api.Plugin{}, fmt.Errorf("%s: %w", file, err)
	}
	content, err := json.Marshal(chosen)
	if err != nil {
		return api.Plugin{}, err
	}
	module := string(content)
	return api.Plugin{Name: "catalogue", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `^preheat:attacks$`}, func(api.OnResolveArgs) (api.OnResolveResult, error) {
			return api.OnResolveResult{Path: "attacks", Namespace: "preheat"}, nil
		})
		b.OnLoad(api.OnLoadOptions{Filter: `^attacks$`, Namespace: "preheat"}, func(api.OnLoadArgs) (api.OnLoadResult, error) {
			return api.OnLoadResult{Contents: &module, Loader: api.LoaderJSON}, nil
		})
	}}, nil
}

type sample struct {
	Name     string       `json:"name"`
	Language string       `json:"language"`
	Tries    string       `json:"tries"`
	Files    []sampleFile `json:"files"` // the first is the program
}

type sampleFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// choose returns the attacks of these names, each in its first language, without
// the helper where the program does not use it.
func choose(all []attacks.Attack, names []string) ([]sample, error) {
	var chosen []sample
	for _, name := range names {
		i := slices.IndexFunc(all, func(a attacks.Attack) bool { return a.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no attack %q", name)
		}
		s := sample{Name: name, Language: all[i].Language, Tries: all[i].Tries}
		for j, f := range all[i].Files {
			if j == 0 || bytes.Contains(all[i].Files[0].Content, []byte("probe")) {
				s.Files = append(s.Files, sampleFile{f.Name, string(f.Content)})
			}
		}
		chosen = append(chosen, s)
	}
	return chosen, nil
}

// licencesOf returns the licence of each package that is in the bundle.
func licencesOf(metafile string, packages []pkg, modules string) ([]byte, error) {
	var meta struct{ Inputs map[string]struct{} }
	if err := json.Unmarshal([]byte(metafile), &meta); err != nil {
		return nil, err
	}
	inputs := slices.Sorted(maps.Keys(meta.Inputs))
	base := "/" + filepath.Base(modules) + "/"
	var b bytes.Buffer
	b.WriteString("The page contains these packages, under the licences below.\n")
	for _, p := range packages {
		if !slices.ContainsFunc(inputs, func(in string) bool { return strings.Contains(in, base+p.name+"/") }) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(modules, filepath.FromSlash(p.name), "LICENSE"))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "\n%s %s\n\n%s\n", p.name, p.version, bytes.TrimSpace(text))
	}
	return b.Bytes(), nil
}
