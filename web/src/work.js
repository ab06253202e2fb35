// What the visitor works on: a program for each language, which the browser
// keeps, and at times a guest (a sample, a run of the history, a link) that
// takes their place until it is left. No document here.

const stored = "preheat.work";

export const samples = {
  python: `import sys

print("Hello from Python", sys.version.split()[0])
for n in range(1, 6):
    print(n, n ** 2, "#" * n ** 2)
`,
  node: `console.log("Hello from Node", process.version);
for (let n = 1; n <= 5; n++) {
  console.log(n, n ** 2, "#".repeat(n ** 2));
}
`,
  bash: `echo "Hello from Bash \${BASH_VERSION%%(*}"
for n in 1 2 3 4 5; do
  echo "$n $((n * n))"
done
`,
  lua: `print("Hello from " .. _VERSION)
for n = 1, 5 do
  print(n, n ^ 2)
end
`,
};

const collect = "*.png *.jpg *.svg *.csv out/**";

// newProgram is an empty one. files[0] is what is run; attachments, {name, blob,
// zip}, go up as they are.
export function newProgram(language, entry, text = "") {
  return { language, files: [{ name: entry, text }], active: 0, stdin: "", args: "", collect, attachments: [] };
}

// createWork keeps the programs in storage. entryOf names a language's own file.
export function createWork(storage, entryOf) {
  const own = read(storage);
  let language = own.language;
  let guest = null;
  const programs = own.programs ?? {};

  function current() {
    if (guest) return guest;
    return (programs[language] ??= newProgram(language, entryOf(language), samples[language]));
  }

  return {
    current,
    guest: () => guest,
    language: () => guest?.language ?? language,
    choose(name) {
      guest = null;
      language = name;
    },
    invite(program) {
      guest = program;
    },
    leave() {
      guest = null;
    },
    save() {
      const keep = { language, programs: {} };
      for (const [name, program] of Object.entries(programs)) {
        keep.programs[name] = { ...program, attachments: [] };
      }
      try {
        storage.setItem(stored, JSON.stringify(keep));
      } catch {
        // Full, or forbidden: it lasts as long as the page.
      }
    },
  };
}

function read(storage) {
  try {
    const kept = JSON.parse(storage.getItem(stored)) ?? {};
    for (const program of Object.values(kept.programs ?? {})) if (!isProgram(program)) return {};
    return kept;
  } catch {
    return {};
  }
}

// isProgram reports whether data from elsewhere has the form of a program.
export function isProgram(p) {
  const isText = (v) => typeof v === "string";
  return Boolean(p) && isText(p.language) && isText(p.stdin) && isText(p.args) && isText(p.collect)
    && Array.isArray(p.attachments) && Array.isArray(p.files) && p.files.length > 0
    && p.files.every((f) => f && isText(f.name) && isText(f.text)) && Boolean(p.files[p.active]);
}

// splitArgs cuts a line into words as a shell does, with quotes and backslashes.
export function splitArgs(line) {
  const words = [];
  let word = null;
  for (const [part, double, single, escaped] of line.matchAll(/"((?:[^"\\]|\\.)*)"?|'([^']*)'?|\\(.)|\s+|[^\s"'\\]+|\\$/gs)) {
    if (/^\s/.test(part)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? "") + (double?.replace(/\\(["\\])/g, "$1") ?? single ?? escaped ?? part);
    }
  }
  return word === null ? words : [...words, word];
}

// joinArgs is the line that splitArgs cuts into these words.
export const joinArgs = (words = []) => words.map((w) => (/^[\w@%+=:,./-]+$/.test(w) ? w : `'${w.replaceAll("'", `'"'"'`)}'`)).join(" ");

// requestOf is what the API takes for a program: an object, or a form where
// there are attachments.
export function requestOf(program, entry) {
  const [main, ...others] = program.files;
  const request = { language: program.language, files: others.map((f) => ({ name: f.name, content: f.text })) };
  const attached = program.attachments.length > 0;
  if (main.name === entry && !(attached && main.text === "")) request.code = main.text;
  if (main.name !== entry) {
    request.entry = main.name;
    request.files.unshift({ name: main.name, content: main.text });
  }
  if (program.stdin) request.stdin = program.stdin;
  if (program.args.trim()) request.args = splitArgs(program.args);
  if (program.collect.trim()) request.collect = program.collect.trim().split(/[\s,]+/);
  if (!attached) return request;
  const form = new FormData();
  form.append("request", new Blob([JSON.stringify(request)], { type: "application/json" }));
  for (const { name, blob, zip } of program.attachments) form.append(zip ? "zip" : "file", blob, name);
  return form;
}

// unchanged reports whether a file of an answer is one that the program brought.
export function unchanged(program, { name, content }) {
  const text = program.files.find((f) => f.name === name)?.text;
  if (text === undefined) return false;
  const found = new TextDecoder().decode(Uint8Array.from(atob(content), (c) => c.charCodeAt(0)));
  return found === text;
}

// programOf is the program of a request that the history kept.
export function programOf(request, entry) {
  const name = request.entry ?? entry;
  const files = (request.files ?? []).filter((f) => f.encoding !== "base64").map((f) => ({ name: f.name, text: f.content }));
  const attachments = (request.files ?? []).filter((f) => f.encoding === "base64").map((f) => ({
    name: f.name, zip: false, blob: new Blob([Uint8Array.from(atob(f.content), (c) => c.charCodeAt(0))]),
  }));
  const at = files.findIndex((f) => f.name === name);
  const main = request.code !== undefined || at < 0 ? { name, text: request.code ?? "" } : files.splice(at, 1)[0];
  return {
    language: request.language ?? "python", files: [main, ...files], active: 0, attachments,
    stdin: request.stdin ?? "", args: joinArgs(request.args), collect: (request.collect ?? []).join(" "),
  };
}
