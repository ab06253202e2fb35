// Small helpers for the document. Text enters it as text only.

export const $ = (id) => document.getElementById(id);

// el makes an element; props are properties, or attributes where the name has a
// hyphen or is role, and children are nodes or strings.
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.includes("-") || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

// sparkline draws the values, oldest first, as a line from zero.
export function sparkline(values, label, width = 72, height = 18) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({
    viewBox: `0 0 ${width} ${height}`, width, height, class: "spark", role: "img", "aria-label": label,
  })) svg.setAttribute(name, value);
  const top = Math.max(...values, 0.1);
  const step = width / Math.max(values.length - 1, 1);
  const points = values.map((v, i) => `${(i * step).toFixed(1)},${(height - 1 - (v / top) * (height - 3)).toFixed(1)}`);
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  return svg;
}

// millis writes a time in milliseconds for people.
export function millis(ms) {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 100 ? Math.round(ms) : Math.round(ms * 10) / 10} ms`;
}

export function bytes(n) {
  if (n < 1024) return `${n} B`;
  return n < 1 << 20 ? `${Math.round(n / 1024)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`;
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// tabs makes buttons of role tab work as such, by keyboard too. choose is called
// with the index of the one that was chosen.
export function tabs(list, choose) {
  list.addEventListener("click", (event) => {
    const i = [...list.children].indexOf(event.target.closest("[role=tab]"));
    if (i >= 0) choose(i);
  });
  list.addEventListener("keydown", (event) => {
    const all = [...list.children];
    const i = all.indexOf(event.target);
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: all.length - 1 }[event.key];
    if (i < 0 || to === undefined || !all[to]) return;
    event.preventDefault();
    choose(to);
    list.children[to].focus();
  });
}

// select marks the tab that is chosen.
export function select(list, chosen) {
  [...list.children].forEach((tab, i) => {
    tab.setAttribute("aria-selected", String(i === chosen));
    tab.tabIndex = i === chosen ? 0 : -1;
  });
}

// copy puts text on the clipboard and reports whether that worked. Without a
// secure context there is only the old way.
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { value: text, className: "unseen", "aria-label": "Copy" });
    const focus = document.activeElement;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    focus?.focus();
    return copied;
  }
}

// say shows a word on a button for a moment.
export async function say(button, words) {
  const before = button.dataset.label ?? button.textContent;
  button.dataset.label = before;
  button.textContent = words;
  await pause(1500);
  button.textContent = before;
}
