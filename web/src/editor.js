// The editor: CodeMirror in a shadow root. There its style sheets are adopted,
// which the page's policy allows; style elements it would not. Each file keeps
// its own undo history.

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { javascriptLanguage } from "@codemirror/lang-javascript";
import { pythonLanguage } from "@codemirror/lang-python";
import {
  bracketMatching, HighlightStyle, indentOnInput, indentUnit, LanguageSupport, StreamLanguage, syntaxHighlighting,
} from "@codemirror/language";
import { lua } from "@codemirror/legacy-modes/mode/lua";
import { shell } from "@codemirror/legacy-modes/mode/shell";
import { EditorSelection, EditorState } from "@codemirror/state";
import {
  drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { markOf } from "./text.js";

const python = new LanguageSupport(pythonLanguage);
const javascript = new LanguageSupport(javascriptLanguage);
const modes = {
  py: python, js: javascript, mjs: javascript, cjs: javascript, sh: StreamLanguage.define(shell),
  lua: StreamLanguage.define(lua),
};
const suffixes = { python: "py", node: "js", bash: "sh", lua: "lua" };

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--code-number)" },
  { tag: [tags.comment], color: "var(--code-comment)", fontStyle: "italic" },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName), tags.standard(tags.variableName)], color: "var(--code-name)" },
  { tag: [tags.definition(tags.variableName), tags.className], color: "var(--code-name)" },
  { tag: tags.invalid, textDecoration: "underline wavy var(--bad)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", color: "var(--text)", backgroundColor: "var(--card)", fontSize: "0.875rem" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5" },
  ".cm-content": { caretColor: "var(--text)", padding: "0.5rem 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--card)", color: "var(--quiet)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "transparent" },
  "&.cm-focused .cm-activeLine, &.cm-focused .cm-activeLineGutter": { backgroundColor: "var(--hover)" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": { background: "var(--selected)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--selected)" },
  ".cm-specialChar": { color: "var(--bad)" },
});

// createEditor puts an editor into host. change is called with the text after
// each change.
export function createEditor(host, change) {
  const root = host.attachShadow({ mode: "open" });
  const states = new WeakMap(); // of files that were shown before
  let file = null;

  const common = [
    lineNumbers(), history(), drawSelection(), indentOnInput(), bracketMatching(), highlightActiveLine(), highlightActiveLineGutter(),
    highlightSpecialChars({ render: (code) => specialChar(code), addSpecialChars: /[\u2060-\u2064\u2067-\u2069\u206a-\u206f\u00ad\u061c\u180e\u200b-\u200f]/g }),
    syntaxHighlighting(colours), look, EditorState.tabSize.of(4),
    // Escape, then Tab leaves the editor.
    keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab].filter(({ key }) => key !== "Mod-Enter")),
    EditorView.contentAttributes.of({ "aria-label": "Program", "aria-describedby": "keys", id: "code", tabindex: "0" }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) change(update.state.doc.toString());
    }),
  ];
  const view = new EditorView({ parent: root, root });

  function stateOf(shown, language) {
    const suffix = shown.name.includes(".") ? shown.name.split(".").at(-1) : "";
    const mode = modes[suffix] ?? modes[suffixes[language]] ?? [];
    return EditorState.create({ doc: shown.text, extensions: [common, mode, indentUnit.of(mode === python ? "    " : "  ")] });
  }

  return {
    // show shows a file, {name, text}; its name says how it is coloured.
    show(shown, language) {
      if (file) states.set(file, { state: view.state, name: file.name });
      const before = states.get(shown);
      file = shown;
      const kept = before?.name === shown.name && before.state.doc.toString() === shown.text;
      view.setState(kept ? before.state : stateOf(shown, language));
    },
    // go moves to a line and column, both from 1.
    go(line, column) {
      const at = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
      const head = Math.min(at.from + column - 1, at.to);
      view.dispatch({ selection: EditorSelection.cursor(head), effects: EditorView.scrollIntoView(head, { y: "center" }) });
      view.focus();
    },
    focus: () => view.focus(),
    view,
  };
}

function specialChar(code) {
  const node = document.createElement("span");
  node.className = "cm-specialChar";
  node.textContent = markOf(String.fromCodePoint(code));
  return node;
}
