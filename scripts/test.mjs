// Runs every test suite, one after the other, and adds them up: `make test`.
//
// A suite is a command whose output tells how many passed and failed: "N passed, N failed" on a
// line of its own. One that fails without saying which test, crashes, takes too long or runs no test
// counts as a failure more. What failed is told once more at the end. The last line is the sum.
import { spawn } from "node:child_process";

import { jsFiles } from "../spec/browser/suites.js";

const make = process.env.MAKE || "make";
// Two nodes besides the one that the specs run on.
const WORKERS = "3";
// A line for each test that begins, by which one that hangs or crashes is known.
const NAMES = "-Xoutput=names";
const busted = (link) => ["node", "worker-shell/cli.js", "test", "--workers", WORKERS, "--link", link, "spec/", NAMES];
// Nodes under a simulated clock and network; in the other suites these specs are skipped.
const simulation = ["spec/support/run_busted.lua", NAMES, "spec/sim"];

// Those of spec/browser/ are for pages alone, the package's want more installed.
const jsTests = jsFiles().filter((path) => !/^spec\/(browser|package)\//.test(path));

// What must hold whatever calls are encoded in.
const calls = ["call", "cast", "error", "ref", "signature"].map((name) => `spec/bindings/${name}_spec.lua`);

/** Suites in a page of a browser, cross-origin isolated or not. */
const browser = (engine, mode, suites) => ({
  name: `${engine}, ${mode}, ${suites}`,
  run: ["env", `ENGINES=${engine}`, `MODES=${mode}`, `SUITES=${suites}`, make, "-s", "test-browsers"],
});

const suites = [
  { name: "lint", run: [make, "-s", "lint"] },
  { name: "C unit tests (ASan, UBSan)", run: [make, "-s", "unit"] },
  {
    name: "sanitizers, short",
    build: [make, "-s", "sanitize-build"],
    run: [make, "-s", "sanitize-short"],
  },
  {
    name: "fuzzers, short",
    build: [make, "-s", "fuzz-build"],
    run: [make, "-s", "fuzz", "FUZZ_RUNS=40000"],
  },
  {
    name: "busted, native",
    build: [make, "-s", "native"],
    run: ["env", `MOONCAST_WORKERS=${WORKERS}`, "lua5.4", "spec/support/run_busted.lua", NAMES, "spec"],
  },
  {
    name: "busted, wasm, rings",
    build: [make, "-s", "wasm"],
    run: busted("ring"),
  },
  { name: "busted, wasm, ports", run: busted("port") },
  {
    name: "busted, calls in JSON, native",
    run: ["env", `MOONCAST_WORKERS=${WORKERS}`, "MOONCAST_CODEC=json", "lua5.4", "spec/support/run_busted.lua", NAMES, ...calls],
  },
  {
    name: "busted, calls in JSON, wasm",
    run: ["node", "worker-shell/cli.js", "test", "--workers", WORKERS, "--codec", "json", ...calls, NAMES],
  },
  {
    name: "simulation, native",
    build: [make, "-s", "sim"],
    run: ["build/sim/lua", ...simulation],
  },
  { name: "simulation, wasm", run: ["node", "spec/support/sim-wasm.mjs", ...simulation] },
  {
    name: "instruction counts",
    build: [make, "-s", "counts-build"],
    run: [make, "-s", "counts"],
  },
  { name: "JavaScript", build: [make, "-s", "dist", "component", "web-build"], run: ["node", "scripts/js-tests.mjs", ...jsTests] },
  { name: "package", build: [make, "-s", "test-package-build"], run: [make, "-s", "test-package"] },
  // `make test-browsers` runs both suites in every engine and mode; the one in Lua hardly knows what it runs in.
  browser("chromium", "isolated", "js,lua"),
  browser("chromium", "plain", "js"),
  browser("firefox", "isolated", "js"),
  browser("firefox", "plain", "js,lua"),
  browser("webkit", "isolated", "js,lua"),
  browser("webkit", "plain", "js"),
];

const TIME_LIMIT_MS = 15 * 60 * 1000;

// Runs a command, shows its output as it comes; resolves to the output and whether it went well.
function execute(command) {
  return new Promise((resolve) => {
    const env = { ...process.env, FORCE_COLOR: "0" };
    delete env.MAKEFLAGS; // a make below is no part of the one above
    const child = spawn(command[0], command.slice(1), {
      stdio: ["ignore", "pipe", "pipe"],
      env,
      detached: true, // a group of its own, so that all of it can be ended
    });
    let output = "";
    let problem = null;
    for (const stream of ["stdout", "stderr"]) {
      let line = "";
      child[stream].setEncoding("utf8").on("data", (text) => {
        output += text;
        const end = (line + text).lastIndexOf("\n") + 1;
        process[stream].write((line + text).slice(0, end).replace(/^begins .*\n/gm, ""));
        line = (line + text).slice(end);
      });
      child[stream].on("end", () => process[stream].write(line));
    }
    const limit = setTimeout(() => {
      problem = `ended after ${TIME_LIMIT_MS / 60000} minutes`;
      process.kill(-child.pid, "SIGKILL");
    }, TIME_LIMIT_MS);
    child.on("error", (error) => {
      clearTimeout(limit);
      resolve({ output, problem: error.message });
    });
    child.on("close", (code, signal) => {
      clearTimeout(limit);
      resolve({ output, problem: problem ?? (code === 0 ? null : `exit ${signal ?? code}`) });
    });
  });
}

function count(output) {
  const [, passed, failed] = [...output.matchAll(/^(\d+) passed, (\d+) failed$/gm)].at(-1) ?? [0, 0, 0];
  return { passed: Number(passed), failed: Number(failed) };
}

// What went wrong, for those who see the end of a log only: "FAILED test" and what follows it, else the last lines.
const LINES = { each: 12, last: 30, all: 80, width: 300 };

function failures(output) {
  const lines = output.trimEnd().split("\n");
  const found = [];
  let left = 0;
  for (const line of lines) {
    if (line.startsWith("FAILED ")) left = LINES.each;
    else if (/^(ok |begins |pending |--- |\d+ passed)/.test(line)) left = 0;
    if (left-- > 0) found.push(line);
  }
  const shown = found.length > 0 ? found.slice(0, LINES.all) : lines.slice(-LINES.last);
  // Where it was when it did not get to its end.
  const at = lines.findLast((line) => /^(begins |\d+ passed)/.test(line));
  if (at?.startsWith("begins ")) shown.push(`it was at: ${at.slice("begins ".length)}`);
  return shown.map((line) => line.slice(0, LINES.width)).join("\n");
}

async function runSuite({ build, run }) {
  const built = build ? await execute(build) : { problem: null };
  if (built.problem) return { passed: 0, failed: 1, problem: `build: ${built.problem}`, output: built.output };
  const { output, problem } = await execute(run);
  const { passed, failed } = count(output);
  if (failed === 0 && problem) return { passed, failed: 1, problem, output };
  if (failed === 0 && passed === 0) return { passed, failed: 1, problem: "ran no test", output };
  return { passed, failed, problem: null, output };
}

const lines = [];
const problems = [];
const total = { passed: 0, failed: 0 };
for (const suite of suites) {
  console.log(`--- ${suite.name}`);
  const start = performance.now();
  const { passed, failed, problem, output } = await runSuite(suite);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  total.passed += passed;
  total.failed += failed;
  if (failed) problems.push(`--- ${suite.name}\n${failures(output)}`);
  lines.push(
    `${failed ? "FAILED" : "ok    "} ${suite.name}: ${passed} of ${passed + failed} in ${seconds} s` +
      (problem ? ` (${problem})` : ""),
  );
}
console.log(["---", ...lines, ...problems].join("\n"));
process.exitCode = total.failed === 0 ? 0 : 1;
console.log(`${total.passed} passed, ${total.failed} failed`);
