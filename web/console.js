/** What nodes write, each line with the node's name; lines can be shown and hidden by node. */

const MAX_LINES = 2000;
/** A place in a program, as Lua's messages have it. */
const PLACE = /([\w.-]+\.lua):(\d+)/g;

/** The number of a node's colour. */
export function colourOf(node) {
  const [, at] = /^w(\d+)/.exec(node) ?? [];
  return `var(--n${at ? ((Number(at) - 1) % 8) + 1 : 0})`;
}

export class Console {
  #log;
  #filters;
  #goTo;
  #file = "";
  #decoders = new Map();
  #open = new Map();
  #hidden = new Set();
  #known = new Set();
  #waiting = [];

  /** @param {{ log: HTMLElement, filters: HTMLElement }} elements @param {(line: number) => void} goTo */
  constructor({ log, filters }, goTo) {
    this.#log = log;
    this.#filters = filters;
    this.#goTo = goTo;
  }

  /** The file whose places are links. */
  set file(name) {
    this.#file = name;
  }

  /** What was written, cut anywhere: a line shows when it is whole, or when nothing follows it. */
  write(node, bytes, kind = "") {
    const key = `${node} ${kind}`;
    if (!this.#decoders.has(key)) this.#decoders.set(key, new TextDecoder());
    const text = this.#decoders.get(key).decode(bytes, { stream: true });
    const lines = text.split("\n");
    for (const [at, line] of lines.entries()) {
      const last = at === lines.length - 1;
      if (last && line === "") continue;
      const open = this.#open.get(key);
      if (open) open.text += line;
      else this.#open.set(key, this.#push(node, line, kind));
      if (!last) this.#open.delete(key);
    }
  }

  /** A line of its own. @param {string} kind "", "bad", "typed", "note" or "value" */
  add(node, text, kind = "") {
    this.#push(node, text, kind);
  }

  #push(node, text, kind) {
    const line = { node, text, kind };
    if (this.#waiting.length === 0) setTimeout(() => this.#show(), 16);
    this.#waiting.push(line);
    if (this.#waiting.length > MAX_LINES) this.#waiting.shift();
    return line;
  }

  #show() {
    const log = this.#log;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const lines = this.#waiting;
    this.#waiting = [];
    // What follows begins a line of its own.
    this.#open.clear();
    log.append(...lines.map((line) => this.#element(line)));
    while (log.childElementCount > MAX_LINES) log.firstElementChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  #element({ node, text, kind }) {
    if (node && !this.#known.has(node)) this.#addFilter(node);
    const element = document.createElement("div");
    element.className = `line ${kind}`;
    element.dataset.node = node;
    element.style.setProperty("--node", colourOf(node));
    element.hidden = this.#hidden.has(node);
    const tag = document.createElement("span");
    tag.className = "tag";
    tag.textContent = kind === "typed" ? ">" : node;
    const shown = document.createElement("span");
    shown.className = "text";
    shown.append(...this.#withLinks(text));
    element.append(tag, shown);
    return element;
  }

  #withLinks(text) {
    const parts = [];
    let end = 0;
    for (const match of text.matchAll(PLACE)) {
      if (match[1] !== this.#file) continue;
      parts.push(text.slice(end, match.index), this.#link(match[0], Number(match[2])));
      end = match.index + match[0].length;
    }
    return [...parts, text.slice(end)];
  }

  #link(text, line) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "at";
    button.textContent = text;
    button.title = `Go to line ${line}`;
    button.onclick = () => this.#goTo(line);
    return button;
  }

  #addFilter(node) {
    this.#known.add(node);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = node;
    button.style.setProperty("--node", colourOf(node));
    button.setAttribute("aria-pressed", "true");
    button.onclick = () => this.#toggle(node, button);
    const after = [...this.#filters.children].find((other) => other.textContent.localeCompare(node, "en", { numeric: true }) > 0);
    this.#filters.insertBefore(button, after ?? null);
  }

  #toggle(node, button) {
    const hide = !this.#hidden.has(node);
    if (hide) this.#hidden.add(node);
    else this.#hidden.delete(node);
    button.setAttribute("aria-pressed", String(!hide));
    for (const line of this.#log.children) if (line.dataset.node === node) line.hidden = hide;
  }

  clear() {
    this.#waiting = [];
    this.#open.clear();
    this.#decoders.clear();
    this.#hidden.clear();
    this.#known.clear();
    this.#log.replaceChildren();
    this.#filters.replaceChildren();
  }
}
