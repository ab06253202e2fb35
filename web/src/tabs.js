// The files of the program as tabs: add, rename, delete, and take what is
// dropped or picked. Text becomes a tab; a ZIP archive or another file goes up
// as it is and is shown as a chip.

import { $, bytes, el, select, tabs } from "./dom.js";
import { visible } from "./text.js";

const maxText = 1 << 20; // bytes of a file that becomes a tab

// createTabs shows the files of program(). change is called after each change,
// and focus to go back to the editor; fresh reports whether the first file is an
// untouched sample.
export function createTabs({ program, change, focus, fresh }) {
  let naming = null; // what to do with the name that is being typed

  function show() {
    const { files, active, attachments } = program();
    // In place, so that a tab keeps the focus.
    const list = $("tabs");
    while (list.children.length > files.length) list.lastChild.remove();
    files.forEach((file, i) => {
      const tab = list.children[i] ?? list.appendChild(el("button", { type: "button", role: "tab", "aria-controls": "editor" }));
      tab.textContent = visible(file.name);
    });
    select(list, active);
    $("remove-file").hidden = files.length === 1;
    $("chips").replaceChildren(...attachments.map((file) => el("li", {},
      `${visible(file.name)} `, el("span", { className: "note" }, bytes(file.blob.size)),
      el("button", {
        type: "button", className: "quiet", "aria-label": `Leave out ${visible(file.name)}`,
        onclick: () => {
          attachments.splice(attachments.indexOf(file), 1);
          change();
        },
      }, "×"))));
  }

  function open(i) {
    program().active = i;
    change();
  }

  function ask(name, done) {
    naming = done;
    const input = $("file-name");
    input.hidden = false;
    input.value = name;
    input.focus();
    input.setSelectionRange(0, name.lastIndexOf(".") < 0 ? name.length : name.lastIndexOf("."));
  }

  function named(keep) {
    const done = naming;
    naming = null;
    $("file-name").hidden = true;
    const name = $("file-name").value.trim();
    if (!done) return;
    if (keep && name && !program().files.some((f) => f.name === name)) done(name);
    change();
    focus();
  }

  function add() {
    const { files } = program();
    const suffix = files[0].name.split(".").at(-1);
    let name = `file.${suffix}`;
    for (let n = 2; files.some((f) => f.name === name); n++) name = `file${n}.${suffix}`;
    ask(name, (given) => {
      files.push({ name: given, text: "" });
      program().active = files.length - 1;
    });
  }

  function remove() {
    const p = program();
    p.files.splice(p.active, 1);
    p.active = Math.max(0, p.active - 1);
    change();
    focus();
  }

  // take adds what was dropped or picked.
  async function take(list) {
    const p = program();
    for (const blob of list) {
      const text = blob.size <= maxText ? await textOf(blob) : null;
      const zip = /\.zip$/i.test(blob.name);
      const same = p.files.findIndex((f) => f.name === blob.name);
      if (zip || text === null) {
        p.attachments = p.attachments.filter((a) => a.name !== blob.name && !(zip && a.zip));
        p.attachments.push({ name: blob.name, blob, zip });
        if (zip && fresh()) p.files[0].text = ""; // the archive brings its own
      } else if (same >= 0) {
        p.files[same] = { name: blob.name, text };
        p.active = same;
      } else {
        p.active = p.files.push({ name: blob.name, text }) - 1;
      }
    }
    change();
  }

  tabs($("tabs"), open);
  $("tabs").addEventListener("dblclick", () => rename());
  $("tabs").addEventListener("keydown", (event) => event.key === "F2" && rename());
  const rename = () => ask(program().files[program().active].name, (name) => {
    const p = program();
    p.files[p.active] = { ...p.files[p.active], name };
  });
  $("add-file").addEventListener("click", add);
  $("rename-file").addEventListener("click", rename);
  $("remove-file").addEventListener("click", remove);
  $("file-name").addEventListener("blur", () => named(true));
  $("file-name").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    named(event.key === "Enter");
  });
  $("pick").addEventListener("click", () => $("picked").click());
  $("picked").addEventListener("change", async () => {
    await take($("picked").files);
    $("picked").value = "";
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.toggle("dropping", name === "dragover");
      if (name === "drop") take(event.dataTransfer.files);
    }, true); // before the editor, which would read a file as text
  }
  return { show };
}

async function textOf(blob) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await blob.arrayBuffer());
  } catch {
    return null;
  }
}
