package doctest

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestCommandsAreTakenFromConsoleBlocksOnly(t *testing.T) {
	got, err := parse("# Title\n```\n$ not this\n```\n```console\n$ a\none\n\n> two\n$ b \\\n> -c\n```\n$ nor this\n```console\n$ d\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []command{{6, "a", []string{"one", "", "> two"}}, {10, "b \\\n-c", nil}, {15, "d", nil}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestADocumentThatCannotBeMeantIsRefused(t *testing.T) {
	for want, document := range map[string]string{
		"no command":                   "# Title\n```\n$ a\n```\n",
		"line 2: a console block":      "```console\nprinted by nothing\n```\n",
		"line 5: a console block":      "```console\n$ a\n```\n```console\n> printed by nothing\n```\n",
		"its last console block has n": "```console\n$ a\n",
	} {
		if _, err := parse(document); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", document, err, want)
		}
	}
}

func TestWhatIsPrintedMustFit(t *testing.T) {
	for _, tt := range []struct {
		want, output string
		mismatch     int
	}{
		{"", "", -1},
		{"", "something", 0},
		{"a", "", 0},
		{"a", "a", -1},
		{"a", "b", 0},
		{"a", "a\nb", 1},
		{"a\nb", "a", 1},
		{"a\nb\nc", "a\nx\nc", 1},
		{"a…c", "a b c", -1},
		{"a…c", "ac", -1},
		{"a…c", "ab", 0},
		{"a…c", "a\nc", 0},
		{"a.c", "abc", 0},
		{"…", "", -1},
		{"a\n…\nz", "a\nb\nc\nz", -1},
		{"a\n…\nz", "a\nz", -1},
		{"a\n…\nz", "a\nb\nc", 2},
		{"a\n…", "b\nc", 0},
	} {
		var want []string
		if tt.want != "" {
			want = strings.Split(tt.want, "\n")
		}
		if got := mismatch(want, tt.output); got != tt.mismatch {
			t.Errorf("%q printed where %q is wanted: %d, want %d", tt.output, tt.want, got, tt.mismatch)
		}
	}
}

// complaints runs a document and returns what is wrong with it.
func complaints(t *testing.T, document string) []string {
	t.Helper()
	commands, err := parse(document)
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := execute(t.Context(), t.TempDir(), commands)
	found := compare(commands, outputs)
	if err != nil {
		found = append(found, err.Error())
	}
	return found
}

func TestCommandsShareOneBashAndItsFolder(t *testing.T) {
	got := complaints(t, "```console\n$ who=you; false\n$ echo \"$? $who\"\n1 you\n```\n```console\n$ printf x >file; cat file nothing; cat <<END\n> here\n> END\nxcat: nothing: …\nhere\n$ ls\nfile\n$ false\n```\n")
	if len(got) > 0 {
		t.Errorf("got %q", got)
	}
}

func TestADifferenceIsToldWithItsLine(t *testing.T) {
	got := complaints(t, "```console\n$ echo a\na\n$ echo b\nc\n$ echo d; echo e\nd\n$ exit 3\n$ echo f\n```\n")
	want := []string{"4: echo b\nprinted\nb\nand its output line 1 should be like\nc", "6: echo d; echo e\nprinted\nd\ne\nand its output line 2 should be no more",
		"bash ended in the command of line 8\nexit status 3"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestTheDocumentIsChangedBeforeItIsRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "example.md")
	if err := os.WriteFile(file, []byte("```console\n$ echo http://127.0.0.1:5000/run | tr -d /\nhttp:127.0.0.1:1234run\n```\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	Run(t, file, "http://127.0.0.1:5000", "http://127.0.0.1:1234")
}
