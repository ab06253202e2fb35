package sandboxtest

// Programs are the source texts that [Suite] runs, each as the language's entry
// file. Where nothing else is said they end at once with exit code 0.
type Programs struct {
	Hello    string // prints "hello\n"
	Fail     string // prints "sorry\n" to stderr and exits with 3
	Echo     string // copies stdin to stdout
	Words    string // prints every argument, then the variable GREETING, a line each
	Note     string // prints the content of the file data/note.txt
	Both     string // prints "out\n" to stdout and "err\n" to stderr
	Big      string // prints "0123456789" 20,000 times
	Spin     string // prints "before\n", then computes for ever
	Sleep    string // prints "before\n", then sleeps for ten minutes
	Flood    string // prints for ever
	Children string // prints "parent\n" and leaves a child that goes on printing
	Mark     string // writes a file named mark wherever it may, then prints "marked\n"
	Look     string // prints "clean\n" if no folder has a file named mark
	Keep     string // writes "one" to out/1.txt and "two" to out/2.txt, then prints "kept\n"
	Hog      string // takes 200 MiB of memory, then prints "full\n"
}

// Python are the suite's programs for a language that is CPython.
var Python = Programs{
	Hello: `print("hello")`,
	Fail: `
import sys
print("sorry", file=sys.stderr)
sys.exit(3)
`,
	Echo: `import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())`,
	Words: `
import os, sys
print(*sys.argv[1:], os.environ["GREETING"], sep="\n")
`,
	Note: `print(open("data/note.txt").read(), end="")`,
	Both: `
import sys
print("out")
print("err", file=sys.stderr)
`,
	Big: `print("0123456789" * 20000, end="")`,
	Spin: `
print("before", flush=True)
while True:
    pass
`,
	Sleep: `
import time
print("before", flush=True)
time.sleep(600)
`,
	Flood: `
while True:
    print("0123456789" * 1000)
`,
	Children: `
import subprocess, sys
subprocess.Popen(["/bin/sh", "-c", "while :; do echo child; sleep 0.1; done"])
sys.stdout.write("parent\n")
`,
	Mark: `
for folder in ".", "/tmp", "/dev/shm":
    try:
        open(folder + "/mark", "w").write("x")
    except OSError:
        pass
print("marked")
`,
	Look: `
import os
found = [f for f in (".", "/tmp", "/dev/shm") if os.path.exists(f + "/mark")]
print(found or "clean")
`,
	Keep: `
import os
os.mkdir("out")
for n, word in enumerate(["one", "two"], 1):
    open(f"out/{n}.txt", "w").write(word)
os.symlink("1.txt", "out/3.txt")
os.mkfifo("out/4.txt")
print("kept")
`,
	Hog: `
block = bytearray(200 << 20)
print("full")
`,
}

// Node are the suite's programs for a language that is Node.js.
var Node = Programs{
	Hello: `console.log("hello")`,
	Fail:  `console.error("sorry"); process.exit(3)`,
	Echo:  `process.stdin.pipe(process.stdout)`,
	Words: `for (const word of [...process.argv.slice(2), process.env.GREETING]) console.log(word)`,
	Note:  `process.stdout.write(require("fs").readFileSync("data/note.txt"))`,
	Both:  `console.log("out"); console.error("err")`,
	Big:   `process.stdout.write("0123456789".repeat(20000))`,
	Spin:  `console.log("before"); for (;;);`,
	Sleep: `console.log("before"); setTimeout(() => {}, 600_000)`,
	Flood: `
const chunk = "0123456789".repeat(1000);
const go = () => process.stdout.write(chunk, go);
go();
`,
	Children: `
require("child_process")
  .spawn("/bin/sh", ["-c", "while :; do echo child; sleep 0.1; done"], { stdio: "inherit" })
  .unref();
console.log("parent");
`,
	Mark: `
for (const folder of [".", "/tmp", "/dev/shm"])
  try { require("fs").writeFileSync(folder + "/mark", "x") } catch {}
console.log("marked");
`,
	Look: `
const found = [".", "/tmp", "/dev/shm"].filter((f) => require("fs").existsSync(f + "/mark"));
console.log(found.length ? found : "clean");
`,
	Keep: `
const fs = require("fs");
fs.mkdirSync("out");
["one", "two"].forEach((word, n) => fs.writeFileSync("out/" + (n + 1) + ".txt", word));
fs.symlinkSync("1.txt", "out/3.txt");
console.log("kept");
`,
	Hog: `
const block = Buffer.alloc(200 << 20, 1);
console.log("full");
`,
}

// scripts are the suite's programs for [Interpret].
var scripts = Programs{
	Hello:    script + "print hello",
	Fail:     script + "eprint sorry\nexit 3",
	Echo:     script + "stdin",
	Words:    script + "args\nenv GREETING",
	Note:     script + "cat data/note.txt",
	Both:     script + "print out\neprint err",
	Big:      script + "repeat 20000 0123456789",
	Spin:     script + "print before\nspin",
	Sleep:    script + "print before\nsleep 10m",
	Flood:    script + "flood",
	Children: script + "spawn\nprint parent",
	Mark:     script + "write mark\nprint marked",
	Look:     script + "look mark",
	Keep:     script + "write out/1.txt one\nwrite out/2.txt two\nprint kept",
	Hog:      script + "take 200\nprint full",
}
