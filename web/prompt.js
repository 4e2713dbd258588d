/** The prompt: entries of one or more lines, earlier ones by the arrow keys, names by Tab. */

const STORED = "mooncast history";
const MAX_ENTRIES = 200;

function load() {
  try {
    const entries = JSON.parse(localStorage.getItem(STORED) ?? "[]");
    return Array.isArray(entries) ? entries.filter((entry) => typeof entry === "string") : [];
  } catch {
    return [];
  }
}

function store(entries) {
  try {
    localStorage.setItem(STORED, JSON.stringify(entries.slice(-MAX_ENTRIES)));
  } catch {
    // A page without storage has a history for as long as it is open.
  }
}

export class Prompt {
  #entry;
  #list;
  #session;
  #console;
  #history = load();
  /** Where in the history; its length: what is being typed. */
  #at = this.#history.length;
  #typed = "";
  #found = { names: [], prefix: "", selected: 0 };

  constructor({ form, entry, list }, session, console) {
    this.#entry = entry;
    this.#list = list;
    this.#session = session;
    this.#console = console;
    form.onsubmit = (event) => {
      event.preventDefault();
      this.#evaluate();
    };
    entry.onkeydown = (event) => this.#key(event);
    entry.oninput = () => this.#close();
    entry.onblur = () => this.#close();
  }

  #key(event) {
    if (event.isComposing) return;
    const keys = this.#list.hidden ? plainKeys : listKeys;
    const name = (event.shiftKey ? "Shift+" : "") + event.key;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (keys[name]?.call(this)) event.preventDefault();
  }

  async #evaluate() {
    const text = this.#entry.value;
    if (text.trim() === "") return;
    this.#entry.readOnly = true;
    try {
      const answer = await this.#session.eval(text);
      if (answer.status === "more") return this.#set(`${text}\n`);
      this.#remember(text);
      this.#console.add("", text, "typed");
      this.#set("");
      if (answer.text !== "") this.#console.add("w1", answer.text, answer.status === "error" ? "bad" : "value");
    } catch (error) {
      this.#console.add("", text, "typed");
      this.#console.add("", error.message, "bad");
      this.#remember(text);
      this.#set("");
    } finally {
      this.#entry.readOnly = false;
    }
  }

  #remember(text) {
    if (this.#history.at(-1) !== text) this.#history.push(text);
    this.#at = this.#history.length;
    store(this.#history);
  }

  #set(text) {
    this.#entry.value = text;
    this.#entry.setSelectionRange(text.length, text.length);
    this.#entry.rows = Math.min(8, text.split("\n").length);
  }

  submit() {
    this.#evaluate();
    return true;
  }

  /** To the entry before or behind, when the cursor stands in the first or last line. */
  recall(by) {
    const { value, selectionStart } = this.#entry;
    const rest = by < 0 ? value.slice(0, selectionStart) : value.slice(selectionStart);
    const to = this.#at + by;
    if (rest.includes("\n") || to < 0 || to > this.#history.length) return false;
    if (this.#at === this.#history.length) this.#typed = value;
    this.#at = to;
    this.#set(to === this.#history.length ? this.#typed : this.#history[to]);
    return true;
  }

  newline() {
    this.#entry.rows = Math.min(8, this.#entry.value.split("\n").length + 1);
    return false;
  }

  /** Tab leaves an empty prompt as it leaves any field. */
  complete() {
    const { value, selectionStart } = this.#entry;
    if (value.trim() === "") return false;
    const line = value.slice(value.lastIndexOf("\n", selectionStart - 1) + 1, selectionStart);
    this.#session.complete(line).then(
      ([names, prefix]) => this.#offer(names, prefix),
      () => {},
    );
    return true;
  }

  #offer(names, prefix) {
    if (names.length === 0) return;
    this.#found = { names, prefix, selected: 0 };
    if (names.length === 1) return void this.take();
    this.#list.replaceChildren(...names.map((name, at) => this.#option(name, at)));
    this.#list.hidden = false;
    this.select(0);
  }

  #option(name, at) {
    const option = document.createElement("li");
    option.id = `completion-${at}`;
    option.role = "option";
    option.setAttribute("role", "option");
    option.textContent = name;
    option.onpointerdown = (event) => {
      event.preventDefault();
      this.#found.selected = at;
      this.take();
    };
    return option;
  }

  select(by) {
    const { names, selected } = this.#found;
    this.#found.selected = (selected + by + names.length) % names.length;
    for (const [at, option] of [...this.#list.children].entries()) {
      const chosen = at === this.#found.selected;
      option.setAttribute("aria-selected", String(chosen));
      if (chosen) option.scrollIntoView({ block: "nearest" });
    }
    this.#entry.setAttribute("aria-activedescendant", `completion-${this.#found.selected}`);
    return true;
  }

  take() {
    const { names, prefix, selected } = this.#found;
    const { value, selectionStart: at } = this.#entry;
    const before = value.slice(0, at - prefix.length) + names[selected];
    this.#entry.value = before + value.slice(at);
    this.#entry.setSelectionRange(before.length, before.length);
    return this.#close();
  }

  #close() {
    this.#list.hidden = true;
    this.#entry.removeAttribute("aria-activedescendant");
    return true;
  }

  close() {
    return this.#close();
  }
}

/** What keys do; those that return true have done all there is to do. */
const plainKeys = {
  Enter() {
    return this.submit();
  },
  "Shift+Enter"() {
    return this.newline();
  },
  Tab() {
    return this.complete();
  },
  ArrowUp() {
    return this.recall(-1);
  },
  ArrowDown() {
    return this.recall(1);
  },
};

const listKeys = {
  Enter() {
    return this.take();
  },
  Tab() {
    return this.select(1);
  },
  "Shift+Tab"() {
    return this.select(-1);
  },
  ArrowUp() {
    return this.select(-1);
  },
  ArrowDown() {
    return this.select(1);
  },
  Escape() {
    return this.close();
  },
};
