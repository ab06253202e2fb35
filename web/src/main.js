// The page: it joins the program and its editor, the run and its output, and
// the panels beside them. Whatever a program printed reaches the document as
// text only.

import { askJSON, onKeyAsked, setKey } from "./api.js";
import { createBreak } from "./break.js";
import { createCases } from "./cases.js";
import { $, copy, say, select, tabs } from "./dom.js";
import { createEditor } from "./editor.js";
import { createHistory, textOf } from "./history.js";
import { createFiles } from "./made.js";
import { createOutput } from "./output.js";
import { createPool } from "./pool.js";
import { createRunner, endings } from "./run.js";
import { pack, unpack } from "./share.js";
import { createTabs } from "./tabs.js";
import { visible } from "./text.js";
import { startTheme } from "./theme.js";
import { createTiming } from "./timing.js";
import { createWork, programOf, requestOf, samples, unchanged } from "./work.js";

const warnBelow = 500; // characters left
const savePause = 300; // ms after the last change

const server = { languages: [], limits: { code_chars: Infinity } };
const entryOf = (language) => server.languages.find((l) => l.name === language)?.entry ?? "main";
const nameOf = (language) => server.languages.find((l) => l.name === language || l.aliases.includes(language))?.name ?? language;

startTheme($("theme"));
const work = createWork(localStorage, entryOf);
const editor = createEditor($("editor"), (text) => {
  const p = work.current();
  p.files[p.active].text = text;
  edited();
});
const files = createTabs({
  program: work.current, focus: () => editor.focus(),
  change: () => showProgram(),
  fresh: () => work.current().files[0].text === samples[work.language()],
});
const output = createOutput($("output"), go);
const made = createFiles($("made"));
const timing = createTiming();
const pool = createPool((data) => timing.see(data));
const history = createHistory({
  shown: () => (shown ? textOf(shown) : output.text()),
  kept: (any) => { $("link-run").hidden = !any; },
  open: (run) => openRun(run),
  rerun: (run) => {
    openRun(run);
    runProgram();
  },
});
const runner = createRunner({
  started: () => setStatus("running", "Running"),
  queued: (place) => setStatus("waiting", `Waiting for a sandbox: place ${place} in the queue`),
  print: (stream, text) => output.print(stream, text),
  file: (file) => showFile(file),
});

let saving = 0;
let shown = null; // the result that is on the page

function edited() {
  clearTimeout(saving);
  saving = setTimeout(work.save, savePause);
  showLeft();
}

// showProgram shows the current program anew.
function showProgram() {
  const p = work.current();
  editor.show(p.files[p.active], p.language);
  files.show();
  $("language").value = p.language;
  for (const id of ["stdin", "args", "collect"]) $(id).value = p[id];
  const guest = work.guest();
  $("guest").hidden = !guest;
  $("guest-title").textContent = guest?.title ?? "";
  $("guest-note").textContent = guest?.note ?? "";
  edited();
}

function showLeft() {
  const p = work.current();
  const own = p.files[0].name === entryOf(p.language);
  const left = own ? server.limits.code_chars - [...p.files[0].text].length : Infinity;
  $("left").textContent = left >= warnBelow ? "" : left < 0 ? `${-left} characters too many` : `${left} characters left`;
  $("left").classList.toggle("over", left < 0);
}

function invite(program) {
  work.invite(program);
  showProgram();
}

// go shows a place that the output names, if the file is still there.
function go({ name, line, column }) {
  const p = work.current();
  const i = p.files.findIndex((f) => f.name === name);
  if (i < 0) return;
  p.active = i;
  showProgram();
  editor.go(line, column);
}

// runProgram runs the current program and resolves to what came of it.
async function runProgram() {
  if (runner.running()) return null;
  const p = work.current();
  const request = requestOf(p, entryOf(p.language));
  const key = JSON.stringify([p.language, p.files, p.stdin, p.args]);
  setRunning(true);
  timing.clear();
  made.clear();
  output.clear(p.files.map((f) => f.name));
  setStatus("running", "Starting");
  const outcome = await runner.run(request);
  if (outcome.result) {
    timing.ended(outcome.result.language);
    showResult(outcome.result, key);
    history.expect(outcome.result.id);
  } else {
    setStatus(outcome.stopped ? "stopped" : "refused", outcome.failure);
  }
  setRunning(false);
  return outcome;
}

function showResult(result, key) {
  shown = result;
  $("link-run").dataset.run = result.id;
  setStatus(result.status, result.error ?? endings.ok);
  $("exit").textContent = `exit code ${result.exit_code}`;
  $("truncated").hidden = !result.truncated;
  $("nothing").hidden = !output.empty();
  made.omitted(result.files_omitted);
  timing.show(result.timing, key);
}

function showFile(file) {
  if (!unchanged(work.current(), file)) made.add(file);
}

function setRunning(now) {
  // Not the disabled attribute: that would take the focus away.
  $("run").setAttribute("aria-disabled", String(now));
  $("stop").hidden = !now;
  document.body.classList.toggle("running", now);
  if (!now) return;
  shown = null;
  for (const id of ["truncated", "nothing", "hello"]) $(id).hidden = true;
  $("exit").textContent = "";
  delete $("link-run").dataset.run;
}

function setStatus(kind, words) {
  $("status").dataset.kind = kind;
  $("status").textContent = words;
  const linkable = Boolean($("link-run").dataset.run);
  $("link-run").setAttribute("aria-disabled", String(!linkable));
}

// openRun shows a run that was kept, its program and its output.
function openRun({ id, request, result, created }) {
  if (runner.running()) return;
  const language = nameOf(request.language ?? server.default);
  const title = `Run of ${new Date(created).toLocaleString()}`;
  invite({ ...programOf({ ...request, language }, entryOf(language)), title, note: "from the history" });
  setRunning(true);
  setRunning(false);
  timing.clear();
  made.clear();
  output.clear(work.current().files.map((f) => f.name));
  if (result) {
    for (const stream of ["stdout", "stderr"]) if (result[stream]) output.print(stream, result[stream]);
    result.files?.forEach(showFile);
    showResult(result, id);
  }
  showPanel(0);
}

const panels = ["panel-output", "panel-history", "panel-break"];

function showPanel(chosen) {
  select($("panels"), chosen);
  panels.forEach((id, i) => { $(id).hidden = i !== chosen; });
  if (chosen === 1) history.load();
}

// follow opens what the address's fragment names.
async function follow() {
  const fragment = location.hash.slice(1);
  if (fragment === "") return;
  try {
    if (fragment.startsWith("run=")) {
      openRun(await askJSON(`runs/${encodeURIComponent(fragment.slice(4))}`));
    } else if (fragment.startsWith("code=")) {
      const program = await unpack(fragment);
      invite({ ...program, language: nameOf(program.language), title: "Shared program", note: "from the link; nothing has run yet" });
    }
  } catch (error) {
    setStatus("refused", fragment.startsWith("run=") ? error.message : "The link holds no program.");
  }
}

async function copyLink(button, fragment, done = "Copied") {
  window.history.replaceState(null, "", `#${fragment}`);
  say(button, await copy(location.href) ? done : "It is in the address bar");
}

function listen() {
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    showPanel(0);
    runProgram();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      $("form").requestSubmit();
    } else if (event.key === "Escape") {
      runner.stop();
    }
  }, true);
  $("stop").addEventListener("click", () => {
    runner.stop();
    $("run").focus();
  });
  $("language").addEventListener("change", () => {
    work.choose($("language").value);
    showProgram();
  });
  for (const id of ["stdin", "args", "collect"]) {
    $(id).addEventListener("input", () => {
      work.current()[id] = $(id).value;
      edited();
    });
  }
  $("guest-leave").addEventListener("click", () => {
    window.history.replaceState(null, "", location.pathname);
    work.leave();
    showProgram();
    editor.focus();
  });
  $("share").addEventListener("click", async () => {
    const p = work.current();
    copyLink($("share"), await pack(p), p.attachments.length ? "Copied, without uploads" : "Copied");
  });
  $("link-run").addEventListener("click", () => $("link-run").dataset.run && copyLink($("link-run"), `run=${$("link-run").dataset.run}`));
  $("copy").addEventListener("click", async () => say($("copy"), await copy(output.text()) ? "Copied" : "No clipboard"));
  tabs($("panels"), showPanel);
  addEventListener("hashchange", follow);
  addEventListener("pagehide", work.save);
}

function listenForKey() {
  onKeyAsked((wrong) => {
    $("key-words").textContent = wrong ? "The server does not know this key." : "This server asks for a key.";
    if ($("key-form").hidden) {
      $("key-form").hidden = false;
      $("key").focus();
    }
  });
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setKey($("key").value.trim());
    $("key").value = "";
    $("key-form").hidden = true;
    pool.retry();
    follow();
    if (!$("panel-history").hidden) history.load();
  });
}

async function start() {
  listen();
  listenForKey();
  try {
    Object.assign(server, await askJSON("languages"));
  } catch (error) {
    setStatus("refused", error.message);
  }
  for (const { name, version } of server.languages) $("language").add(new Option(visible(`${name} ${version}`.trim()), name));
  if (!server.languages.some(({ name }) => name === work.language())) work.choose(server.default ?? "python");
  createBreak((program) => {
    if (runner.running()) return null;
    invite({ ...program, language: nameOf(program.language) });
    return runProgram();
  });
  createCases({ program: work.current, entry: () => entryOf(work.language()) });
  showProgram();
  await follow();
  history.load();
}

start();
