// Try to break it: attacks as samples, each with what it tries and, after its
// run, what the sandbox answered.

import attacks from "preheat:attacks";
import list from "./break.json";
import { $, el } from "./dom.js";
import { endings } from "./run.js";
import { visible } from "./text.js";
import { newProgram } from "./work.js";

const maxAnswer = 160; // characters of output that are quoted

// createBreak shows the list. run takes a program and resolves to what came of it.
export function createBreak(run) {
  // Those with an argument try to reach this very server.
  const server = `${location.hostname}:${location.port || (location.protocol === "https:" ? 443 : 80)}`;
  const catalogue = attacks.map((a) => ({ ...a, args: server }));
  for (const [id, samples] of [["experiments", list.experiments], ["attacks", catalogue]]) {
    $(id).append(...samples.map((sample) => rowOf(sample, run)));
  }
}

function rowOf(sample, run) {
  const title = titleOf(sample.name);
  const answer = el("p", { className: "answer", role: "status" });
  const button = el("button", { type: "button", className: "quiet", "aria-label": `Try: ${title}` }, "Try");
  button.addEventListener("click", async () => {
    answer.textContent = "Running";
    answer.dataset.kind = "running";
    const outcome = await run(programOf(sample, title));
    const { kind, words } = outcome ? answerOf(outcome) : { kind: "", words: "Another run goes on." };
    answer.dataset.kind = kind;
    answer.textContent = words;
  });
  return el("li", {}, el("div", {}, el("h3", {}, title), el("p", { className: "note" }, sample.tries), answer), button);
}

const titleOf = (name) => (name[0].toUpperCase() + name.slice(1)).replaceAll("-", " ");

function programOf(sample, title) {
  const files = sample.files.map(({ name, text }) => ({ name, text: Array.isArray(text) ? text.join("\n") : text }));
  return { ...newProgram(sample.language, files[0].name), files, args: sample.args ?? "", title, note: sample.tries };
}

// answerOf says what the sandbox answered. The catalogue's programs print
// CONTAINED or ESCAPED themselves, where they live that long.
export function answerOf({ result, failure }) {
  if (failure) return { kind: "refused", words: failure };
  const printed = visible((result.stdout || result.stderr).trim().split("\n").at(-1)).slice(0, maxAnswer);
  if (/^ESCAPED/.test(printed)) return { kind: "error", words: printed };
  if (/^CONTAINED/.test(printed)) return { kind: "ok", words: `Contained${printed.slice(9).replace(/^:? /, ": ")}` };
  if (result.status === "ok" || result.status === "error") {
    return { kind: "ok", words: printed || endings[result.status] };
  }
  return { kind: "ok", words: `Contained: ${result.error}` };
}
