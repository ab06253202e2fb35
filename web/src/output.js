// The output of a run, live: both streams in the order they came, by line. It
// keeps all of the text and shows a bounded part of it, so that a program that
// prints without end does not hold up the page.

import { bytes, el } from "./dom.js";
import { pieces, placesIn } from "./text.js";

const shownAtOnce = 256 * 1024; // characters, until more is asked for
const maxNodes = 20_000; // of those
const longLine = 8192; // from here on, what is shown of an unfinished line is not drawn anew
const linesOfBlock = 500;

// createOutput shows output in box. go is called with the place in a file that
// the visitor chose.
export function createOutput(box, go) {
  let view;
  const more = el("button", { type: "button", className: "quiet more", hidden: true, onclick: () => showMore() });
  const log = el("div", { className: "log" });
  box.append(log, more);

  // clear begins anew, for a program with these files.
  function clear(files = []) {
    view = {
      files, text: "", waiting: [], // segments {stream, text} that are not shown yet
      line: [], styles: {}, open: false, // the unfinished line, and the styles at its start
      drawn: [], block: null, lines: 0, room: shownAtOnce, nodes: maxNodes, frame: 0,
    };
    log.replaceChildren();
    more.hidden = true;
  }

  function print(stream, text) {
    view.text += text;
    const last = view.waiting.at(-1);
    if (last?.stream === stream) last.text += text;
    else view.waiting.push({ stream, text });
    const current = view;
    view.frame ||= requestAnimationFrame(() => {
      current.frame = 0;
      if (view === current) show();
    });
  }

  function showMore() {
    view.room += shownAtOnce;
    view.nodes += maxNodes;
    show();
  }

  // show draws what is waiting, as far as there is room.
  function show() {
    const follows = box.scrollHeight - box.scrollTop - box.clientHeight < 32;
    for (const node of view.drawn) node.remove();
    view.drawn = [];
    while (view.waiting.length && view.room > 0 && view.nodes > 0) take(view.waiting[0]);
    const { nodes } = view; // what is drawn anew each time costs nothing
    if (view.line.length) {
      const node = el("div", { className: "mix" });
      drawLine(node, view.line, { ...view.styles });
      if (view.open) view.drawn = [...node.childNodes], view.block.append(...view.drawn);
      else log.append(node), view.drawn = [node];
    }
    view.nodes = nodes;
    const left = view.waiting.reduce((sum, { text }) => sum + text.length, 0);
    more.hidden = left === 0;
    more.textContent = `Show more (${bytes(left)} left)`;
    if (follows) box.scrollTop = box.scrollHeight;
  }

  // take moves one line, or the part of it that there is, out of a segment.
  function take(segment) {
    const newline = segment.text.indexOf("\n");
    let end = newline < 0 ? segment.text.length : newline;
    const size = view.line.reduce((sum, { text }) => sum + text.length, 0);
    const long = size + end > longLine;
    if (long) end = Math.min(end, Math.max(longLine - size, 1));
    const whole = end === newline;
    if (end > 0) view.line.push({ stream: segment.stream, text: segment.text.slice(0, end) });
    segment.text = segment.text.slice(whole ? end + 1 : end);
    view.room -= end + 1;
    if (!segment.text) view.waiting.shift();
    if (whole || long) commit(whole, segment.stream);
  }

  // commit draws a line for good. One that is not whole goes on in the same block.
  function commit(whole, stream) {
    const streams = new Set(view.line.map((s) => s.stream));
    if (streams.size === 0) streams.add(view.open ? view.block.className : stream);
    const kind = streams.size > 1 || (!whole && !view.open) ? "mix" : [...streams][0];
    if (!view.open && (view.block?.className !== kind || view.lines >= linesOfBlock)) {
      view.block = el("div", { className: kind, ...(kind === "stderr" && { role: "group", "aria-label": "stderr" }) });
      view.lines = 0;
      log.append(view.block);
    }
    drawLine(view.block, view.line, view.styles);
    if (whole) addText(view.block, "\n"), view.lines++;
    view.open = !whole;
    view.line = [];
  }

  // drawLine appends segments of one line to block and updates the styles.
  function drawLine(block, segments, styles) {
    const parts = segments.flatMap(({ stream, text }) => {
      const { found, style } = pieces(text, styles[stream]);
      styles[stream] = style;
      return found.map((piece) => ({ ...piece, stream }));
    });
    const plain = parts.map((p) => p.text).join("");
    const places = placesIn(plain, view.files);
    let at = 0;
    let link = null;
    for (const part of parts) {
      const start = at;
      for (let from = start; from < start + part.text.length; from = at) {
        const place = places.find((p) => p.to > from);
        const inside = place && place.from <= from;
        at = Math.min(start + part.text.length, inside ? place.to : place?.from ?? Infinity);
        if (inside && from === place.from) block.append(link = linkTo(place)), view.nodes--;
        addPiece(inside ? link : block, { ...part, text: part.text.slice(from - start, at - start) }, block.className);
      }
    }
  }

  function linkTo(place) {
    return el("button", { type: "button", className: "place", title: "Show this line", onclick: () => go(place) });
  }

  function addPiece(parent, { text, classes, mark, stream }, kind) {
    const own = kind === "mix" && stream === "stderr" ? "err " : "";
    const name = own + (mark ? "mark" : classes);
    if (!name) return addText(parent, text);
    view.nodes--;
    parent.append(el("span", { className: name.trim() }, text));
  }

  function addText(parent, text) {
    if (parent.lastChild?.nodeType === Node.TEXT_NODE) parent.lastChild.appendData(text);
    else parent.append(text), view.nodes--;
  }

  clear();
  return { clear, print, text: () => view.text, empty: () => view.text === "" };
}
