// The pool, live: a square for each sandbox, and how fast runs are.

import { ask, events } from "./api.js";
import { $, el, millis, pause, sparkline } from "./dom.js";

const maxSquares = 16; // of one language; beyond that it is said in words
const remembered = 60; // figures in the sparkline
const firstPause = 500; // ms before the next try, doubled up to lastPause
const lastPause = 8000;

const states = [["warm", "warm"], ["leased", "running"], ["launching", "refilling"], ["destroying", "being destroyed"]];

// createPool shows the pool and calls seen with what each event says.
export function createPool(seen) {
  const rows = new Map(); // by language
  const medians = [];
  let stop = new AbortController();
  let retry = () => {};

  async function follow() {
    let wait = firstPause;
    for (;;) {
      if (document.hidden) await new Promise((shown) => document.addEventListener("visibilitychange", shown, { once: true }));
      stop = new AbortController();
      try {
        for await (const { name, data } of events(await ask("pool/stream", { signal: stop.signal }))) {
          if (name !== "pool") continue;
          wait = firstPause;
          show(data);
          seen(data);
        }
      } catch (error) {
        if (error.name !== "AbortError") fail(error);
      }
      if (document.hidden) continue;
      await Promise.race([pause(wait), new Promise((now) => { retry = now; })]);
      wait = Math.min(2 * wait, lastPause);
    }
  }

  function fail(error) {
    $("pool").classList.add("stale");
    $("pool-problem").textContent = error.code === "unauthorized" ? "The pool is shown with a key."
      : error.code ? error.message : "The server has gone.";
  }

  function show({ engine, languages, runs_per_second: rate, p50_ms: p50, p99_ms: p99 }) {
    $("pool").classList.remove("stale");
    $("pool-problem").textContent = "";
    for (const l of languages) {
      if (!rows.has(l.language)) rows.set(l.language, newRow(l.language));
      rows.get(l.language)(l);
    }
    const runtimes = [...new Set(languages.map((l) => l.runtime))].filter(Boolean).join(", ");
    $("engine").textContent = [engine.driver, runtimes].filter(Boolean).join(" · ");
    $("engine").title = `Sandboxes are made by ${engine.driver} ${engine.version}, and run in ${runtimes}`;
    const any = p50 > 0 || rate > 0;
    if (any && medians.at(-1) !== p50) medians.push(p50);
    if (medians.length > remembered) medians.shift();
    $("rate").textContent = any ? `${rate || "under 0.1"} runs/s` : "no runs in the last minute";
    $("quantiles").textContent = any ? `p50 ${millis(p50)} · p99 ${millis(p99)}` : "";
    $("rates-spark").replaceChildren(...(any && medians.length > 1 ? [sparkline(medians, "How p50 went")] : []));
  }

  // Pages that nobody sees hold no connection.
  document.addEventListener("visibilitychange", () => document.hidden && stop.abort());
  follow();
  return { retry: () => { stop.abort(); retry(); } };
}

function newRow(language) {
  const squares = el("span", { className: "squares", role: "img" });
  const count = el("span", { className: "count" });
  $("pool").append(el("li", {}, el("span", { className: "name" }, language), squares, count));
  return (l) => {
    const now = states.flatMap(([state]) => Array(l[state]).fill(state));
    while (now.length < l.size) now.push("missing");
    const shown = now.slice(0, maxSquares);
    while (squares.children.length > shown.length) squares.lastChild.remove();
    shown.forEach((state, i) => {
      const square = squares.children[i] ?? squares.appendChild(el("i"));
      if (square.className !== state) square.className = state;
    });
    const words = states.filter(([state], i) => i === 0 || l[state]).map(([state, word]) => `${l[state]} ${word}`);
    if (l.waiting) words.push(`${l.waiting} waiting`);
    const label = `${language}: ${words.join(", ")}, of ${l.size}`;
    if (squares.ariaLabel !== label) squares.ariaLabel = squares.title = label;
    count.textContent = `${l.warm}/${l.size}${l.waiting ? ` · ${l.waiting} waiting` : ""}`;
    count.classList.toggle("over", l.warm === 0 || l.waiting > 0);
  };
}
