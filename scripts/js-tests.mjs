// Runs test files, each in a process of its own: node scripts/js-tests.mjs FILE... The last line is the sum.
//
// node --test would do, but what a failing test leaves open (a worker, a server) keeps its file's process alive, and
// nothing more is heard. Here a file that says nothing for long is ended, and the test named that it was at; the
// others go on.
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";

const REPORTER = new URL("./js-reporter.mjs", import.meta.url).href;
/** The longest test takes a minute alone on a machine. */
const SILENCE_MS = 240_000;
/** After its last test a file ends by itself, or something was left open. */
const LEFT_OPEN_MS = 30_000;
/** All of them; below what scripts/test.mjs gives a suite. */
const LIMIT_MS = 14 * 60_000;
/** Characters of an error, and of what a file wrote last. */
const LONGEST_TEXT = 3000;

const running = new Set();
const total = { passed: 0, failed: 0 };

class TestFile {
  #path;
  #child;
  #timer;
  #passed = 0;
  #failed = 0;
  /** The suites around what is told now, and the tests that have begun, by nesting. */
  #names = [];
  #begun = [];
  #heard = false;
  #written = "";
  #ended;

  constructor(path) {
    this.#path = path;
  }

  async run() {
    const start = performance.now();
    const args = [`--test-reporter=${REPORTER}`, "--test-reporter-destination=stdout", this.#path];
    // A group of its own, so that what it has started ends with it.
    this.#child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "pipe", "pipe"], detached: true });
    running.add(this);
    this.#child.stderr.setEncoding("utf8").on("data", (text) => {
      process.stderr.write(text);
      this.#written = (this.#written + text).slice(-LONGEST_TEXT);
    });
    this.#waits(SILENCE_MS);
    const heard = createInterface({ input: this.#child.stdio[3] }).on("line", (line) => this.#hear(JSON.parse(line)));
    const closed = new Promise((resolve) => heard.on("close", resolve));
    const status = await new Promise((resolve) => {
      this.#child.on("error", (error) => resolve(error.message));
      this.#child.on("close", (code, signal) => resolve(signal ?? code));
    });
    await closed;
    clearTimeout(this.#timer);
    running.delete(this);
    this.#sum(status, performance.now() - start);
  }

  #hear({ type, name, nesting, line, counts, problem }) {
    this.#heard = true;
    const list = type === "test:dequeue" ? this.#begun : this.#names;
    if (type === "test:dequeue" || type === "test:start") list.splice(nesting, Infinity, name);
    else this.#begun.length = Math.min(this.#begun.length, nesting);
    if (type === "test:pass" && counts) this.#passed += 1;
    if (type === "test:fail") this.#fails(counts, line, nesting, problem);
    this.#waits(this.#begun.length > 0 ? SILENCE_MS : LEFT_OPEN_MS);
  }

  #fails(counts, line, nesting, problem) {
    if (problem) this.#tell(`${this.#path}:${line} > ${this.#names.slice(0, nesting + 1).join(" > ")}`, problem);
    else if (counts) this.#failed += 1;
  }

  #tell(what, problem) {
    this.#failed += 1;
    console.log(`FAILED ${what}\n${problem.slice(0, LONGEST_TEXT)}\n`);
  }

  #waits(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(`ended because it said nothing for ${ms / 1000} s`), ms);
  }

  /** Ends it and all that it has started. */
  end(why) {
    const after = this.#heard ? "after its last test: something was left open" : "before its first test had ended";
    this.#ended ??= `${why} ${this.#begun.length > 0 ? `in ${this.#begun.join(" > ")}` : after}`;
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // It ended by itself just now.
    }
  }

  #sum(status, ms) {
    // A failure before may well be why.
    if (this.#ended) this.#tell(this.#path, this.#ended);
    else if (status !== 0 && this.#failed === 0) this.#tell(this.#path, `exit ${status}\n${this.#written}`);
    total.passed += this.#passed;
    total.failed += this.#failed;
    const of = `${this.#passed} of ${this.#passed + this.#failed}`;
    console.log(`${this.#failed ? "failed" : "ok    "} ${this.#path}: ${of} in ${(ms / 1000).toFixed(1)} s`);
  }
}

const left = process.argv.slice(2);
const limit = setTimeout(() => {
  console.log(`FAILED after ${LIMIT_MS / 60_000} minutes these had not begun: ${left.splice(0).join(" ")}\n`);
  total.failed += 1;
  for (const file of running) file.end("ended because the time was over");
}, LIMIT_MS);
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    left.length = 0;
    for (const file of running) file.end(`ended by ${signal}`);
  });
}

const some = async () => {
  while (left.length > 0) await new TestFile(left.shift()).run();
};
// As many at a time as node --test would run.
await Promise.all(Array.from({ length: Math.max(1, availableParallelism() - 1) }, some));
clearTimeout(limit);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
console.log(`${total.passed} passed, ${total.failed} failed`);
