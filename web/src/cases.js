// Test cases: the program with several inputs, each in a sandbox of its own.

import { askJSON, post } from "./api.js";
import { $, el } from "./dom.js";
import { diff } from "./diff.js";
import { visible } from "./text.js";
import { requestOf } from "./work.js";

// createCases fills the area of test cases. program is the current one.
export function createCases({ program, entry }) {
  let count = 0;

  function add() {
    count++;
    const field = (name, label) => el("label", {}, `${label} ${count}`, el("textarea", { className: name, rows: 2, spellcheck: false }));
    const remove = el("button", { type: "button", className: "quiet", "aria-label": `Remove case ${count}` }, "×");
    const row = el("li", {}, field("stdin", "Input"), field("expected", "Expected output"), remove, el("p", { className: "answer", role: "status" }));
    remove.addEventListener("click", () => row.remove());
    $("cases").append(row);
  }

  async function run() {
    const rows = [...$("cases").children];
    const { stdin, args, ...request } = requestOf({ ...program(), attachments: [] }, entry());
    const tests = rows.map((row) => ({
      stdin: row.querySelector(".stdin").value, expected_stdout: row.querySelector(".expected").value, ...(args && { args }),
    }));
    tell("running", "Running");
    try {
      const answer = await askJSON("run/tests", post({ ...request, tests }));
      answer.tests.forEach((test, i) => judge(rows[i], test, tests[i].expected_stdout));
      tell(answer.failed ? "error" : "ok", `${answer.passed} of ${tests.length} passed`);
    } catch (error) {
      tell("refused", error.message);
    }
  }

  function tell(kind, words) {
    $("cases-status").dataset.kind = kind;
    $("cases-status").textContent = words;
  }

  function judge(row, { verdict, reason, run: ran }, expected) {
    const answer = row.querySelector(".answer");
    answer.dataset.kind = verdict === "passed" ? "ok" : "error";
    const first = ran && diff(expected, ran.stdout)?.find(({ kind }) => kind === "more");
    answer.textContent = `${verdict}${reason ? `: ${reason}` : ""}${first && verdict === "failed" ? `; first: ${visible(first.line).slice(0, 80)}` : ""}`;
  }

  $("add-case").addEventListener("click", add);
  $("run-cases").addEventListener("click", () => $("cases").children.length && run());
  add();
}
