// The runs that the server keeps: a list to search, and what can be done with
// each.

import { askJSON, ask } from "./api.js";
import { $, copy, el, millis, pause, say } from "./dom.js";
import { diff, fold } from "./diff.js";
import { endings } from "./run.js";
import { visible } from "./text.js";

const pageSize = "20";
const patience = 250; // ms without a key before a search, and between looks for a run
const looks = 8; // for a run that has just ended and is kept a little later

// createHistory shows the list when it is told to. on.open and on.rerun take the
// run, with its request and result; on.shown is the output that is on the page;
// on.kept is told where nothing is kept.
export function createHistory(on) {
  let asked = 0; // the latest question, whose answer counts
  let timer = 0;
  let first = ""; // the first page, as it is shown

  // expect shows the list again once it has the run.
  async function expect(id) {
    for (let i = 0; i < looks && !$("panel-history").hidden; i++) {
      const { runs } = await load() ?? {};
      if (!runs || runs.some((run) => run.id === id) || searched()) return;
      await pause(patience);
    }
  }

  const searched = () => Boolean($("history-search").value || $("history-status").value);

  async function load(before) {
    const mine = ++asked;
    const query = new URLSearchParams({ limit: pageSize });
    if ($("history-search").value) query.set("q", $("history-search").value);
    if ($("history-status").value) query.set("status", $("history-status").value);
    if (before) query.set("before", before);
    try {
      const page = await askJSON(`runs?${query}`);
      if (mine === asked) show(page, Boolean(before));
      return page;
    } catch (error) {
      if (mine === asked) fail(error);
    }
  }

  function fail(error) {
    $("history-list").replaceChildren();
    first = "";
    $("history-more").hidden = true;
    const none = error.code === "not_found";
    $("history-tools").hidden = none;
    if (none) on.kept(false);
    note(none ? "This server keeps no history. It does when it is started with --history." : error.message);
  }

  function note(words) {
    $("history-note").textContent = words;
    $("history-note").hidden = !words;
  }

  function show({ runs, next }, further) {
    $("history-tools").hidden = false;
    on.kept(true);
    const list = $("history-list");
    const now = JSON.stringify(runs);
    if (!further && runs.length && now === first && list.children.length === runs.length) return; // the focus stays where it is
    if (!further) {
      first = now;
      list.replaceChildren();
    }
    list.append(...runs.map(rowOf));
    const none = searched() ? "No run is like that." : "No runs yet. Each run of this server will be listed here.";
    note(list.children.length ? "" : none);
    $("history-more").hidden = !next;
    $("history-more").onclick = () => load(next);
  }

  function rowOf(run) {
    const row = el("li");
    const code = visible(run.code.slice(0, 400).trim().replace(/\s+/g, " ")).slice(0, 160) || "(no code)";
    const opened = el("button", { type: "button", className: "open", onclick: () => act(run.id, on.open) },
      el("span", { className: "badge" }, endings[run.status]),
      el("span", { className: "note" }, `${run.language} · ${millis(run.run_ms)} · ${when(run.created)}`), el("code", {}, code));
    opened.firstChild.dataset.kind = run.status;
    const tool = (word, title, onclick) => el("button", { type: "button", className: "quiet", "aria-label": `${word}: ${code}`, title, onclick }, word);
    const link = tool("Link", "Copy a link to this run", async () => {
      const copied = await copy(`${location.origin}${location.pathname}#run=${run.id}`);
      say(link, copied ? "Copied" : "No clipboard");
    });
    row.append(opened, el("span", { className: "tools" },
      tool("Rerun", "Run this again", () => act(run.id, on.rerun)),
      tool("Compare", "Compare its output with the one shown", () => act(run.id, compare)),
      link,
      tool("Delete", "Delete this run", () => act(run.id, () => remove(row), { method: "DELETE" }))));
    return row;
  }

  function remove(row) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    (next?.querySelector(".tools").lastChild ?? $("history-search")).focus();
    if (!next) load();
  }

  // act asks for a run, or for its end, and hands the answer on.
  async function act(id, then, options) {
    try {
      const response = await ask(`runs/${encodeURIComponent(id)}`, options);
      then(response.status === 204 ? null : await response.json());
    } catch (error) {
      note(error.message);
    }
  }

  function compare({ result }) {
    const found = diff(textOf(result), on.shown());
    const signs = { same: " ", less: "−", more: "+", fold: "…" };
    const rows = found && fold(found).map(({ kind, line }) => el("div", { className: kind }, `${signs[kind]} ${visible(line.replaceAll("\t", "    "))}`))
      || ["The outputs differ in too many lines to compare."];
    const changed = found?.filter(({ kind }) => kind !== "same").length;
    $("diff-words").textContent = changed === 0 ? "The outputs are the same." : "− that run, + the output shown";
    $("diff").replaceChildren(...rows);
    $("diff-view").showModal();
  }

  $("history-search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(load, patience);
  });
  $("history-status").addEventListener("change", () => load());
  $("diff-close").addEventListener("click", () => $("diff-view").close());
  return { load: () => load(), expect };
}

// textOf is the output of a result: what it printed, then its errors.
export function textOf({ stdout, stderr }) {
  return stdout && stderr && !stdout.endsWith("\n") ? `${stdout}\n${stderr}` : stdout + stderr;
}

function when(time) {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
}
