/** The editor: CodeMirror with Lua's colours, and marks where a program failed. */
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { HighlightStyle, StreamLanguage, bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lua } from "@codemirror/legacy-modes/mode/lua";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--keyword)" },
  { tag: tags.string, color: "var(--string)" },
  { tag: [tags.number, tags.bool, tags.atom], color: "var(--number)" },
  { tag: tags.comment, color: "var(--comment)", fontStyle: "italic" },
  { tag: [tags.standard(tags.name), tags.function(tags.name)], color: "var(--name)" },
]);

const theme = EditorView.theme({
  "&": { backgroundColor: "transparent", color: "var(--text)" },
  "&.cm-focused": { outline: "none", boxShadow: "inset 0 0 0 2px var(--focus)" },
  ".cm-content": { caretColor: "var(--accent)", padding: "10px 0" },
  ".cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--quiet)", border: "none", paddingLeft: "6px" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--raised) 55%, transparent)" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 26%, transparent)",
  },
  ".cm-matchingBracket": { backgroundColor: "color-mix(in srgb, var(--accent) 22%, transparent) !important" },
  ".cm-tooltip, .cm-panels": { backgroundColor: "var(--panel)", color: "var(--text)", border: "1px solid var(--line)" },
});

export class Editor {
  #view;
  #extensions;

  /** @param {HTMLElement} parent @param {{ run: () => void, leave: () => void }} commands leave: to what comes behind it */
  constructor(parent, { run, leave }) {
    const own = [{ key: "Mod-Enter", run: () => (run(), true) }, indentWithTab];
    // Last: before that it closes the search, or makes one selection of many.
    const keys = [...own, ...searchKeymap, ...defaultKeymap, ...historyKeymap, { key: "Escape", run: () => (leave(), true) }];
    this.#extensions = [
      keymap.of(keys), EditorView.lineWrapping, lineNumbers(), lintGutter(), history(), drawSelection(), indentOnInput(), indentUnit.of("  "),
      bracketMatching(), highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(),
      StreamLanguage.define(lua), syntaxHighlighting(colours), theme,
      EditorView.contentAttributes.of({ "aria-label": "Program in Lua; Tab indents, Escape goes on to the prompt" }),
    ];
    this.#view = new EditorView({ parent });
  }

  get text() {
    return this.#view.state.doc.toString();
  }

  /** Another program: what was undone in the last one stays there. */
  set text(doc) {
    this.#view.setState(EditorState.create({ doc, extensions: this.#extensions }));
  }

  focus() {
    this.#view.focus();
  }

  /** Marks lines where something went wrong. @param {{ line: number, message: string }[]} problems */
  mark(problems) {
    const { doc } = this.#view.state;
    const inside = problems.filter(({ line }) => line >= 1 && line <= doc.lines);
    const diagnostics = inside.map(({ line, message }) => {
      const { from, to } = doc.line(line);
      return { from, to, message, severity: "error" };
    });
    this.#view.dispatch(setDiagnostics(this.#view.state, diagnostics));
  }

  goTo(line) {
    const { doc } = this.#view.state;
    const { from } = doc.line(Math.min(Math.max(1, line), doc.lines));
    this.#view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
    this.focus();
  }
}
