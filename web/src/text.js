// What a program printed, made fit to be seen: pure functions from its text to
// pieces. Colours (ANSI SGR) become classes. Everything else that a terminal
// would obey, and every character that is invisible or turns text around,
// becomes a visible mark. Nothing is left out.

const sgr = "\\u001b\\[([0-9;:]*)m";
const control = "\\u001b\\[[0-?]*[ -/]*[@-~]"; // other sequences, such as for moving the cursor
const unseen = "[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Co}\\p{Cs}\\p{Default_Ignorable_Code_Point}]";
const special = new RegExp(`${sgr}|${control}|${unseen}`, "gu");
const invisible = new RegExp(unseen, "gu");

const controls = "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(" ");
const names = {
  "\u007f": "DEL",
  "\u200b": "ZWSP", "\u200c": "ZWNJ", "\u200d": "ZWJ", "\u200e": "LRM", "\u200f": "RLM", "\u061c": "ALM",
  "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO",
  "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM", "\u00ad": "SHY",
};

// markOf is what stands for a character that cannot be seen.
export function markOf(char) {
  const code = char.codePointAt(0);
  return `⟨${controls[code] ?? names[char] ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`}⟩`;
}

// visible makes one line of text fit to be shown where there are no marks.
export const visible = (text) => text.replace(invisible, markOf);

// joins reports whether the character at i only joins or picks an emoji.
function joins(text, i, char) {
  const last = [...text.slice(Math.max(0, i - 2), i)].at(-1) ?? "";
  const emoji = /^[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]/u.test(last);
  if (char === "\ufe0f") return emoji || /^[0-9#*]/.test(last);
  return char === "\u200d" && emoji && /^\p{Extended_Pictographic}/u.test(text.slice(i + 1, i + 3));
}

// pieces cuts text into [{text, classes, mark}] and returns them with the style
// that is in force after it. Newlines and tabs stay in the text.
export function pieces(text, style = {}) {
  const found = [];
  let from = 0;
  const add = (to) => {
    if (to > from) found.push({ text: text.slice(from, to), classes: classesOf(style), mark: false });
  };
  for (const match of text.matchAll(special)) {
    const [whole, codes] = match;
    if (whole === "\n" || whole === "\t" || joins(text, match.index, whole)) continue;
    add(match.index);
    from = match.index + whole.length;
    if (codes !== undefined) style = restyle(style, codes);
    else found.push({ text: [...whole].map((c, i) => (i ? c : markOf(c))).join(""), classes: "", mark: true });
  }
  add(text.length);
  return { found, style };
}

const attributes = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };

// restyle applies the codes of one SGR sequence. Concealing and blinking have no
// meaning here.
function restyle(style, codes) {
  const list = codes.split(/[;:]/).map(Number);
  const next = { ...style };
  for (let i = 0; i < list.length; i++) {
    const code = list[i];
    if (code === 0) for (const name in next) delete next[name];
    else if (attributes[code]) next[attributes[code]] = true;
    else if (code === 22) delete next.bold, delete next.dim;
    else if (attributes[code - 20]) delete next[attributes[code - 20]];
    else if (code >= 30 && code <= 37) next.fore = code - 30;
    else if (code >= 40 && code <= 47) next.back = code - 40;
    else if (code >= 90 && code <= 97) next.fore = code - 82;
    else if (code >= 100 && code <= 107) next.back = code - 92;
    else if (code === 39) delete next.fore;
    else if (code === 49) delete next.back;
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(list.slice(i + 1));
      if (colour !== undefined) next[code === 38 ? "fore" : "back"] = colour;
      i += used;
    }
  }
  return next;
}

// extended reads a colour of 256, or of red, green and blue, as one of the 16
// that have a contrast in both themes, and how many codes it took.
function extended([kind, ...rest]) {
  if (kind === 2) return [nearest(rest.slice(0, 3)), 4];
  if (kind !== 5) return [undefined, 0];
  const n = rest[0] ?? 0;
  if (n < 16) return [n, 2];
  if (n > 231) return [nearest(Array(3).fill((n - 232) * 10 + 8)), 2];
  return [nearest([Math.floor((n - 16) / 36), Math.floor((n - 16) / 6) % 6, (n - 16) % 6].map((v) => v && v * 40 + 55)), 2];
}

function nearest([red = 0, green = 0, blue = 0]) {
  const top = Math.max(red, green, blue);
  if (top - Math.min(red, green, blue) < 32) return [0, 8, 7, 15][Math.min(3, Math.floor(top / 64))];
  const bit = (v) => Number(v > top / 2);
  return bit(red) + 2 * bit(green) + 4 * bit(blue) + (top > 192 ? 8 : 0);
}

function classesOf(style) {
  return Object.entries(style).map(([name, value]) => {
    if (name === "fore") return `f${value}`;
    return name === "back" ? `b${value}` : name;
  }).join(" ");
}

const places = [
  /File "(?:\/work\/)?(?<name>[^"\n]+)", line (?<line>\d+)/g,
  /(?:file:\/\/)?(?:\/work\/)?(?<name>[\w.\-/]+\.\w+):(?: line )?(?<line>\d+)(?::(?<column>\d+))?/g,
  /at (?:\/work\/)?(?<name>[\w.\-/]+\.\w+) line (?<line>\d+)/g,
];

// placesIn finds where a line names a line of one of the files, as
// [{from, to, name, line, column}] in order.
export function placesIn(text, files) {
  const all = [];
  if (text.length > 2000) return all;
  for (const pattern of places) {
    for (const match of text.matchAll(pattern)) {
      const { name, line, column } = match.groups;
      const [from, to] = [match.index, match.index + match[0].length];
      if (files.includes(name) && !all.some((p) => p.from < to && from < p.to)) {
        all.push({ from, to, name, line: Number(line), column: Number(column ?? 1) });
      }
    }
  }
  return all.sort((a, b) => a.from - b.from);
}
