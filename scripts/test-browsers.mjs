// Runs the Lua suite and the JavaScript suite in Chromium, Firefox and WebKit, in pages with and
// without cross-origin isolation: `make test-browsers`, or with ENGINES="firefox", MODES="isolated",
// SUITES="lua", ONLY="system" (of the JavaScript suite the files with that in their paths) some of it. The last line is the sum.
import { engineNames, openPage } from "../spec/browser/engines.js";
import { startServer } from "../spec/browser/server.js";
import { jsSuite, luaSuite, transcript } from "../spec/browser/suites.js";

const chosen = (name, all) => process.env[name]?.split(/[\s,]+/).filter(Boolean) ?? all;
const ENGINES = chosen("ENGINES", engineNames);
const MODES = chosen("MODES", ["isolated", "plain"]);
const SUITES = chosen("SUITES", ["js", "lua"]);

// A page that says nothing for this long hangs; browsers share two slow processors with others.
const SILENCE_MS = 90_000;
const LIMIT_MS = 6 * 60_000;
/** Lines of the browser's own that are shown when it did not get to its end. */
const LAST_LINES = 15;

const pages = { js: "/spec/browser/js.html", lua: "/spec/browser/lua.html" };

/** Collects what one page tells. */
class Run {
  passed = 0;
  failed = 0;
  info = "";
  #at = "nothing yet";
  #lines = [];
  #output = "";
  #timer;
  #end;
  #limit;

  constructor() {
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#limit = setTimeout(() => this.broken(`it took longer than ${LIMIT_MS / 60_000} minutes`), LIMIT_MS);
    this.#alive();
  }

  #alive() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.broken(`it said nothing for ${SILENCE_MS / 1000} s`), SILENCE_MS);
  }

  hear(report) {
    this.#alive();
    this[`on_${report.type}`]?.(report);
  }

  line(line) {
    this.#lines.push(line);
    if (this.#lines.length > LAST_LINES) this.#lines.shift();
  }

  on_info({ info, isolated }) {
    this.info = `${info.link}s`;
    if ((info.link === "ring") !== isolated) this.fail(`an isolated page: ${isolated}, but it chose ${info.link}s`);
  }

  on_start({ name }) {
    this.#at = name;
  }

  on_pass() {
    this.passed += 1;
  }

  on_fail({ name, text }) {
    this.fail(`${name}\n${text}`);
  }

  on_console({ text }) {
    this.fail(`in the console, at ${this.#at}: ${text}`);
  }

  /** What busted prints: its failures, and on the last line how many there were. */
  on_output({ text }) {
    process.stdout.write(text);
    this.#output = (this.#output + text).slice(-500);
  }

  on_end() {
    const counts = this.#output.match(/^(\d+) passed, (\d+) failed$/m);
    if (counts) {
      this.passed += Number(counts[1]);
      this.failed += Number(counts[2]);
    }
    if (this.passed + this.failed === 0) this.fail("it ran no test");
    this.#over();
  }

  /** It will not get to its end. */
  broken(why) {
    this.fail(`${why}; the last it began: ${this.#at}\n${this.#output}\n${this.#lines.join("\n")}`);
    this.#over();
  }

  #over() {
    clearTimeout(this.#timer);
    clearTimeout(this.#limit);
    this.#end();
  }

  fail(text) {
    this.failed += 1;
    console.log(`FAILED ${text}`);
  }
}

async function runPage(engine, mode, suite) {
  const run = new Run();
  const server = await startServer({
    isolated: mode === "isolated",
    routes: {
      "/lua-suite.json": async () => luaSuite(),
      "/js-suite.json": async () => jsSuite(process.env.ONLY),
      "/transcript.json": async () => transcript(),
    },
    onReport: (report) => run.hear(report),
    onMissing: (path) => run.fail(`the page asked for ${path}, which is not there`),
  });
  const page = openPage(engine, server.origin + pages[suite], {
    onExit: (why) => run.broken(why),
    onLine: (line) => run.line(line),
  });
  await run.ended;
  await page.close();
  await server.close();
  return run;
}

const lines = [];
let [passed, failed] = [0, 0];
for (const engine of ENGINES) {
  for (const mode of MODES) {
    for (const suite of SUITES) {
      const start = performance.now();
      console.log(`--- ${engine}, ${mode}, ${suite}`);
      const run = await runPage(engine, mode, suite);
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      lines.push(`${engine}, ${mode}, ${suite} ${run.info}: ${run.passed} passed, ${run.failed} failed in ${seconds} s`);
      console.log(lines.at(-1));
      passed += run.passed;
      failed += run.failed;
    }
  }
}
console.log(`---\n${lines.join("\n")}`);
process.exitCode = failed === 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed`);
