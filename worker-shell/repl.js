/** The prompt: what is typed runs on the first node, in a task, and may await. */
import fs from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { isatty } from "node:tty";

const PROMPT = "> ";
const CONTINUATION = ">> ";
const HISTORY_LINES = 1000;
const SIGINT_STATUS = 130;

const HELP = `.help    this text
.nodes   the nodes that are alive
.exit    end the session, as ctrl-D does
Everything else is Lua: an expression shows its values, what is incomplete goes on at the next line.
Tab completes names, the arrow keys bring earlier lines back, ctrl-C drops the line.
mc is require "mooncast": c = mc.spawn(Type) makes an actor on some node, c:method() calls it.
`;

function historyPath() {
  return join(homedir(), ".mooncast_history");
}

/** The latest line first, as readline wants it. */
function loadHistory(path) {
  try {
    return fs.readFileSync(path, "utf8").split("\n").filter(Boolean).slice(-HISTORY_LINES).reverse();
  } catch {
    return [];
  }
}

function saveHistory(path, lines) {
  try {
    fs.writeFileSync(path, `${lines.slice(0, HISTORY_LINES).reverse().join("\n")}\n`, { mode: 0o600 });
  } catch {
    // A home that cannot be written to is no reason to fail.
  }
}

class Repl {
  #system;
  #readline;
  #terminal;
  #entry = "";
  #busy = false;
  #interrupted = false;
  /** Lines that came while an entry ran, or many at once: pasted, typed ahead, or piped. */
  #lines = [];
  #ended = false;
  #wake = () => {};
  #history;

  constructor(system, { input, output, terminal, history }) {
    this.#system = system;
    this.#terminal = terminal;
    this.#history = history;
    const lines = terminal ? loadHistory(history) : [];
    this.#readline = createInterface({
      input,
      output: terminal ? output : undefined,
      terminal,
      history: lines,
      historySize: HISTORY_LINES,
      completer: (line, done) => this.#complete(line, done),
    });
    this.#readline.on("line", (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    this.#readline.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
    if (terminal) this.#listen();
  }

  /** @returns {Promise<string | undefined>} undefined when there will be none */
  async #nextLine() {
    while (this.#lines.length === 0 && !this.#ended) await new Promise((resolve) => (this.#wake = resolve));
    return this.#lines.shift();
  }

  #listen() {
    this.#readline.on("SIGINT", () => this.#interrupt());
    this.#readline.on("history", (lines) => saveHistory(this.#history, lines));
  }

  /** Drops what was typed; while an entry runs, the second one ends the session. */
  #interrupt() {
    if (this.#busy && this.#interrupted) process.exit(SIGINT_STATUS);
    this.#interrupted = this.#busy;
    this.#entry = "";
    // readline keeps the line: take it away as the terminal's own ctrl-C would.
    this.#readline.write(null, { ctrl: true, name: "e" });
    this.#readline.write(null, { ctrl: true, name: "u" });
    process.stdout.write(this.#busy ? "\nstill running: ctrl-C again ends the session\n" : "\n");
    if (!this.#busy) this.#prompt();
  }

  #prompt() {
    if (!this.#terminal || this.#lines.length > 0 || this.#ended) return;
    this.#readline.setPrompt(this.#entry === "" ? PROMPT : CONTINUATION);
    this.#readline.prompt();
  }

  async run() {
    this.#prompt();
    for (let line; (line = await this.#nextLine()) !== undefined; ) {
      if (this.#entry === "" && line.startsWith(".")) {
        if (this.#command(line.trim())) break;
      } else {
        await this.#evaluate(line);
      }
      this.#prompt();
    }
    this.#readline.close();
    if (this.#terminal) process.stdout.write("\n");
    else if (this.#entry !== "") process.stderr.write(`the last entry is incomplete: ${this.#entry}\n`);
  }

  /** A line that begins with a dot. @returns {boolean} whether the session is over */
  #command(word) {
    if (word === ".exit") return true;
    if (word === ".help") process.stdout.write(HELP);
    else if (word === ".nodes") process.stdout.write(`${this.#system.nodes().join("\n")}\n`);
    else process.stderr.write(`there is no command ${word}: .help lists them\n`);
    return false;
  }

  async #evaluate(line) {
    this.#entry += this.#entry === "" ? line : `\n${line}`;
    if (this.#entry.trim() === "") return void (this.#entry = "");
    this.#busy = true;
    try {
      this.#show(await this.#system.eval(this.#entry));
    } catch (error) {
      this.#show({ status: "error", text: error.message });
    }
    this.#busy = this.#interrupted = false;
    this.#freshLine();
  }

  /**
   * Lua may have left the cursor inside a line, which readline would overwrite: so many blanks take it
   * to the next line, and leave it where it is when it stands in front.
   */
  #freshLine() {
    if (this.#terminal) process.stdout.write(`${" ".repeat(process.stdout.columns || 80)}\r`);
  }

  #show({ status, text }) {
    if (status === "more") return;
    this.#entry = "";
    if (status === "error") process.stderr.write(`${text}\n`);
    else if (text !== "") process.stdout.write(`${text}\n`);
  }

  /** Asks the node for names that go on what stands before the cursor. */
  #complete(line, done) {
    const nothing = [[], line];
    this.#system.complete(line).then(
      (found) => done(null, found),
      () => done(null, nothing),
    );
  }
}

/**
 * Runs the prompt until its input ends.
 * @param {import("./system.js").System} system
 */
export async function startRepl(system, { input = process.stdin, output = process.stdout } = {}) {
  const terminal = isatty(0) && isatty(1);
  // On every node: what is typed here may run on any.
  await Promise.all(system.nodes().map((on) => system.eval('mc = mc or require "mooncast"', { on })));
  await new Repl(system, { input, output, terminal, history: historyPath() }).run();
}
