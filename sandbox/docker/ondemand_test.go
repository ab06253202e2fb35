package docker

import (
	"testing"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

// onDemandCases are programs of the languages that are folders only. Between
// them they use what a script may need of the kernel, so that the filter lets
// it through.
var onDemandCases = map[string][]struct {
	name, source   string
	stdout, stderr string
	exit           int
}{
	"bash": {
		{name: "its name, arguments and input", source: `echo "$0 $# $1 $2"; read -r line; echo "$line"`, stdout: "main.sh 2 a b c\nline one\n"},
		{name: "exit code and standard error", source: `echo gone >&2; exit 3`, stderr: "gone\n", exit: 3},
		{name: "an error", source: "nosuch\n", stderr: "main.sh: line 1: nosuch: command not found\n", exit: 127},
		{name: "a signal of its own", source: `kill -TERM $$`, exit: 143},
		{name: "environment", source: `echo "$GREETING $HOME $TMPDIR $PWD"`, stdout: "hello /work /work /work\n"},
		{name: "pipes", source: `seq 5 | sort -r | tr '\n' ' ' | sed 's/ $//'; echo " ${PIPESTATUS[*]}"`, stdout: "5 4 3 2 1 0 0 0 0\n"},
		{name: "here-documents", source: "cat <<END\n$((6 * 7))\nEND\ncat <<<short\nhead -c 5 <<END | wc -c\n$(seq 30000)\nEND", stdout: "42\nshort\n5\n"},
		{name: "process substitution", source: `diff <(seq 3) <(seq 4); tee >(cat >copy) <<<x >/dev/null; wait $!; cat copy`, stdout: "3a4\n> 4\nx\n"},
		{name: "a coprocess", source: `coproc cat; echo hi >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"; echo "$line"`, stdout: "hi\n"},
		{name: "job control", source: `set -m; sleep 30 & jobs -r | wc -l; kill %1; wait %1; echo $?; (exit 4) & wait $!; echo $?`, stdout: "1\n143\n4\n", stderr: "[1]+  Terminated              sleep 30\n"},
		{name: "stopped jobs", source: `sleep 30 & kill -STOP $!; until grep -q '^State:.T' /proc/$!/status; do :; done; kill -CONT $!; kill $!; wait $!; echo $?`, stdout: "143\n"},
		{name: "traps", source: `trap 'echo usr' USR1; trap 'echo bye' EXIT; kill -USR1 $$`, stdout: "usr\nbye\n"},
		{name: "timeout and nice", source: `timeout 0.1 sleep 5; echo $?; nice -n 5 nice`, stdout: "124\n5\n"},
		{name: "threads of sort", source: `seq 200000 -1 1 | sort -n --parallel=4 -S 1M | sed -n '1p;$p'`, stdout: "1\n200000\n"},
		{name: "find and xargs", source: `mkdir -p a/b; touch a/b/{1,2,3}; find a -type f -print0 | xargs -0 -n1 -P4 basename | sort | tr '\n' ' '; find a -delete; ls -d a* | wc -l`, stdout: "1 2 3 0\n", stderr: "ls: cannot access 'a*': No such file or directory\n"},
		{name: "temporary files", source: `f=$(mktemp); d=$(mktemp -d); echo x >"$f"; cat "$f"; [[ $f$d == /work/*/work/* ]]`, stdout: "x\n"},
		{name: "/tmp", source: `echo x >/tmp/x`, stderr: "main.sh: line 1: /tmp/x: Read-only file system\n", exit: 1},
		{name: "files and links", source: `ln -s main.sh l; readlink l; cp -a main.sh c; mv c d; echo x >e; sed -i s/x/y/ e; cat e; chmod 600 d; stat -c %a d; truncate -s 10 d; touch -d @0 d; date -u -r d +%F; mkfifo p; (echo f >p) & cat p; flock d true; dd if=/dev/zero bs=1k count=1 status=none | sha256sum | cut -c 1-8; tar -cf t.tar l; tar -tf t.tar; split -n 2 d; cat xa? | wc -c`, stdout: "main.sh\ny\n600\n1970-01-01\nf\n5f70bf18\nl\n10\n"},
		{name: "tools", source: `echo '2^70' | bc; jq -c .a <<<'{"a": [1]}'; gawk 'BEGIN {print toupper("x")}'; printf 'a b\n' | column -t; xxd -p <<<x; ps -o comm= $$; TZ=Europe/Paris date -d @0 +%H`, stdout: "1180591620717411303424\n[1]\nX\na  b\n780a\nbash\n01\n"},
		{name: "a file beside it", source: `. ./lib.sh; greet`, stdout: "from the library\n"},
		{name: "random and time", source: `head -c 4 /dev/urandom | wc -c; ((RANDOM >= 0)); TIMEFORMAT=x; time true`, stdout: "4\n", stderr: "x\n"},
	},
	"lua": {
		{name: "its name, arguments and input", source: `print(arg[0], #arg, arg[1], arg[2]); print(io.read())`, stdout: "main.lua\t2\ta\tb c\nline one\n"},
		{name: "exit code and standard error", source: `io.stderr:write("gone\n"); os.exit(3)`, stderr: "gone\n", exit: 3},
		{name: "an error", source: `error("no")`, stderr: "lua: main.lua:1: no\nstack traceback:\n\t[C]: in function 'error'\n\tmain.lua:1: in main chunk\n\t[C]: in ?\n", exit: 1},
		{name: "environment", source: `print(os.getenv("GREETING"))`, stdout: "hello\n"},
		{name: "a pipe", source: `local p = io.popen("echo piped; exit 4"); print(p:read("a")); print(p:close())`, stdout: "piped\n\nnil\texit\t4\n"},
		{name: "a command", source: `print(os.execute("exit 5")); print(os.execute())`, stdout: "nil\texit\t5\ntrue\n"},
		{name: "os.tmpname", source: `print(pcall(os.tmpname))`, stdout: "false\tunable to generate a unique filename\n"},
		{name: "io.tmpfile", source: `print(io.tmpfile())`, stdout: "nil\tRead-only file system\t30\n"},
		{name: "files", source: `local f = io.open("x", "w"); f:write("y"); f:close(); os.rename("x", "z"); for l in io.lines("z") do print(l) end; print(os.remove("z"))`, stdout: "y\ntrue\n"},
		{name: "a file beside it", source: `print(require("lib"))`, stdout: "from the library\t./lib.lua\n"},
		{name: "time", source: `print(os.time() > 0, os.clock() >= 0, os.date("!%Y", 0), math.random(1, 1))`, stdout: "true\ttrue\t1970\t1\n"},
	},
}

func TestLanguagesWithoutWarmUpCodeRunTheirPrograms(t *testing.T) {
	d, cli := newDriver(t)
	for language, cases := range onDemandCases {
		lang := enginetest.Language(t, cli, language)
		for _, c := range cases {
			t.Run(language+"/"+c.name, func(t *testing.T) {
				p := program(lang, c.source)
				p.Files = append(p.Files,
					sandbox.File{Name: "lib.sh", Content: []byte("greet() { echo from the library; }\n")},
					sandbox.File{Name: "lib.lua", Content: []byte(`return "from the library"`)})
				p.Args, p.Env, p.Stdin = []string{"a", "b c"}, []string{"GREETING=hello"}, []byte("line one\n")
				var out sandbox.Capture
				res, err := launch(t, d, lang).Run(t.Context(), p, &out)
				stdout, stderr := out.Strings()
				if err != nil || res.ExitCode != c.exit || stdout != c.stdout || stderr != c.stderr {
					t.Errorf("exit code %d, %v\nstdout %q\n  want %q\nstderr %q\n  want %q", res.ExitCode, err, stdout, c.stdout, stderr, c.stderr)
				}
			})
		}
	}
}
