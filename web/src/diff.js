// The difference of two texts, by line: a pure function, bounded.

const maxCells = 4_000_000; // of the table of common lines

// diff returns [{kind: "same" | "less" | "more", line}], or null where the texts
// differ in too many lines to compare.
export function diff(before, after) {
  const [a, b] = [lines(before), lines(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const middle = between(a.slice(start, a.length - end), b.slice(start, b.length - end));
  if (!middle) return null;
  const same = (line) => ({ kind: "same", line });
  return [...a.slice(0, start).map(same), ...middle, ...a.slice(a.length - end).map(same)];
}

const lines = (text) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));

const context = 3; // lines around a difference

// fold puts one line, of the kind fold, in the place of each long run of lines
// that are the same.
export function fold(lines) {
  const near = new Uint8Array(lines.length);
  lines.forEach(({ kind }, i) => {
    if (kind !== "same") near.fill(1, Math.max(0, i - context), i + context + 1);
  });
  const folded = [];
  for (let i = 0, from = 0; i < lines.length; from = ++i) {
    while (i < lines.length && !near[i]) i++;
    if (i - from > 1) folded.push({ kind: "fold", line: `${i - from} lines alike` });
    else folded.push(...lines.slice(from, i));
    if (i < lines.length) folded.push(lines[i]);
  }
  return folded;
}

// between finds the longest common subsequence of lines.
function between(a, b) {
  const width = b.length + 1;
  if ((a.length + 1) * width > maxCells) return null;
  const longest = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] = a[i] === b[j]
        ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) found.push({ kind: "same", line: a[i++] }), j++;
    else if (j === b.length || (i < a.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) found.push({ kind: "less", line: a[i++] });
    else found.push({ kind: "more", line: b[j++] });
  }
  return found;
}
