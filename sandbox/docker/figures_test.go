package docker

import (
	"slices"
	"testing"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

// pyplot stands in for matplotlib's: the image has none. It closes its figures at
// exit as the real one does, prints and warns as that may, and its third figure
// cannot be saved.
const pyplot = `
import atexit, warnings

class Figure:
    def __init__(self, number):
        self.number = number

    def savefig(self, path):
        print("saving")
        warnings.warn("no glyph")
        if self.number == 3:
            raise ValueError("cannot be saved")
        with open(path, "w") as f:
            f.write(f"figure {self.number}")

numbers = []
get_fignums = lambda: list(numbers)
figure = Figure
atexit.register(numbers.clear)
`

func TestFiguresLeftOpenComeBack(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	lang.Collect = []string{"figure-*.png"}
	for name, test := range map[string]struct {
		source string
		want   []string
	}{
		"none":                  {"import matplotlib.pyplot", nil},
		"two":                   {"import os, matplotlib.pyplot as plt\nplt.numbers += [4, 7]\nos.mkdir('d'); os.chdir('d')", []string{"figure-1.png figure 4", "figure-2.png figure 7"}},
		"one that fails":        {"import matplotlib.pyplot as plt\nplt.numbers += [1, 3, 4]", []string{"figure-1.png figure 1"}},
		"after an exception":    {"import matplotlib.pyplot as plt\nplt.numbers += [1]\nraise SystemExit(3)", []string{"figure-1.png figure 1"}},
		"made in a thread":      {"import threading, time, matplotlib.pyplot as plt\ndef draw():\n    time.sleep(0.1)\n    plt.numbers.append(1)\nthreading.Thread(target=draw).start()", []string{"figure-1.png figure 1"}},
		"drawn on after a fork": {"import os, matplotlib.pyplot as plt\nplt.numbers += [1]\nif os.fork():\n    os.wait()\n    plt.numbers[0] = 2", []string{"figure-1.png figure 2"}},
		"one of the same name":  {"import matplotlib.pyplot as plt\nplt.numbers += [1]\nopen('figure-1.png', 'w').write('mine')", []string{"figure-1.png mine"}},
		"without matplotlib":    {"print(end='')", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := program(lang, test.source)
			p.Files = append(p.Files, sandbox.File{Name: "matplotlib/__init__.py"}, sandbox.File{Name: "matplotlib/pyplot.py", Content: []byte(pyplot)})
			p.Collect = sandbox.Collect{MaxFiles: 9, MaxBytes: 1 << 20}
			var out sandbox.Capture
			res, err := launch(t, d, lang).Run(t.Context(), p, &out)
			if stdout, stderr := out.Strings(); err != nil || stdout+stderr != "" {
				t.Errorf("%+v, %v, printed %q and %q", res, err, stdout, stderr)
			}
			var got []string
			for _, f := range res.Files {
				got = append(got, f.Name+" "+string(f.Content))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
