// Where the time of a run went, how that compares with earlier runs of the same
// program, and what became of the sandbox.

import { $, el, millis, sparkline } from "./dom.js";

const remembered = 20; // runs of one program
const programs = 50;

const parts = [["queue", "queue"], ["hand", "hand-over"], ["resize", "resize"], ["run", "run"]];

// shares are the parts of a run's time in milliseconds; what is neither waiting
// nor running is the hand-over.
export function shares({ queue_ms: queue, run_ms: run, resize_ms: resize = 0, total_ms: total }) {
  return { queue, resize, run, hand: Math.max(0, Math.round((total - queue - resize - run) * 10) / 10) };
}

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

export function createTiming() {
  const earlier = new Map(); // total times by program, oldest first
  let fate = null;

  // show tells of a result. key stands for the program.
  function show(timing, key) {
    const found = shares(timing);
    const total = timing.total_ms || 1;
    $("time-bar").replaceChildren(...parts.map(([name]) => {
      const bar = el("i", { className: name });
      bar.style.flexGrow = String(found[name] / total);
      return bar;
    }));
    $("time-words").replaceChildren(
      ...parts.filter(([name]) => name !== "resize" || found.resize).map(([name, word]) =>
        el("span", { className: `part ${name}` }, `${word} `, el("b", {}, millis(found[name])))),
      el("span", { className: "part total" }, "total ", el("b", {}, millis(timing.total_ms))));
    compare(timing.total_ms, key);
  }

  function compare(total, key) {
    const before = earlier.get(key) ?? [];
    const all = [...before, total].slice(-remembered);
    earlier.delete(key);
    earlier.set(key, all);
    if (earlier.size > programs) earlier.delete(earlier.keys().next().value);
    $("earlier").replaceChildren();
    if (before.length === 0) return;
    const words = `${before.length} earlier ${before.length === 1 ? "run" : "runs"}: median ${millis(median(before))}`;
    $("earlier").append(words, sparkline(all, `Total times: ${all.map(millis).join(", ")}`));
  }

  function clear() {
    fate = null;
    $("time-bar").replaceChildren();
    for (const id of ["time-words", "earlier", "fate"]) $(id).replaceChildren();
  }

  // ended starts to watch what becomes of the sandbox of a run that has ended.
  function ended(language) {
    fate = { language, at: performance.now(), busy: false };
    $("fate").textContent = "sandbox being destroyed";
  }

  // see looks at the pool, which tells of it at most ten times a second.
  function see({ languages }) {
    const l = fate && languages.find(({ language }) => language === fate.language);
    if (!l) return;
    const now = performance.now() - fate.at;
    fate.busy ||= l.leased + l.destroying > 0;
    if (l.leased + l.destroying > 0 || (!fate.busy && now < 100)) return;
    fate.gone ??= now;
    const back = l.warm >= l.size || (l.launching === 0 && l.warm > 0);
    $("fate").textContent = `sandbox destroyed after ≤ ${millis(fate.gone)}, ${back ? `replaced after ≤ ${millis(now)}` : "being replaced"}`;
    if (back) fate = null;
  }

  return { show, clear, ended, see };
}
