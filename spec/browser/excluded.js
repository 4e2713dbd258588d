/** What the browsers do not run, by name, and why. */

const COMMAND = "is about the command line";
const WITHOUT_WORKERS = "drives an instance of the wasm by itself, or reads the build: nothing in it is a page's";

/** Test files in JavaScript, by what they import. */
export const excludedImports = {
  "support/cli.js": COMMAND,
  "support/raw-node.js": WITHOUT_WORKERS,
};

/** Others, by name. */
export const excludedJs = {
  "spec/bench/run.test.js": COMMAND,
  "spec/bindings/dispatch.test.js": WITHOUT_WORKERS,
  "spec/bindings/embedding.test.js": "is about programs in C",
  "spec/bindings/hostile.test.js": WITHOUT_WORKERS,
  "spec/bindings/wasm-imports.test.js": WITHOUT_WORKERS,
  "spec/docs.test.js": COMMAND,
  "spec/fuzz/agree.test.js": WITHOUT_WORKERS,
  "spec/package/package.test.js": "builds projects and opens pages of its own",
  "spec/sim/agree.test.js": WITHOUT_WORKERS,
  "spec/web/page.test.js": "drives a browser itself",
  "spec/web/piano.test.js": COMMAND,
  "spec/web/wordcount.test.js": COMMAND,
  "spec/worker-shell/cli.test.js": COMMAND,
  "spec/worker-shell/error-codes.test.js": WITHOUT_WORKERS,
  "spec/worker-shell/files.test.js": "compares with Node's files; what a page has of files the Lua suite tests",
  "spec/worker-shell/host-actors.test.js": "takes a file of the shell away",
  "spec/worker-shell/kill.test.js": "watches a process end; spec/browser/kill.test.js is its like",
  "spec/worker-shell/page-worker.test.js": "a page's worker, in Node",
  "spec/worker-shell/repl.test.js": COMMAND,
  "spec/worker-shell/size.test.js": WITHOUT_WORKERS,
  "spec/worker-shell/transcript.test.js": "compares processes; spec/browser/transcript.test.js is its like",
  "spec/worker-shell/unshared.test.js": "takes shared memory away from Node",
};

/** Lua specs, of those that the other suites run. */
export const excludedSpecs = {
  "spec/architecture_spec.lua": "reads the project's sources, which say the same wherever it runs",
  "spec/rows_spec.lua": "reads the project's sources, which say the same wherever it runs",
};

/** Single tests of Lua specs, by what their names contain. */
export const excludedLuaTests = {
  "ends with resign when its node ends": "writes a file on one node and reads it on another: a page's nodes have none in common",
  "os knows the environment": "a page has no environment",
};
