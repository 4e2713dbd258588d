// What a page downloads: the wasm and the modules of the shell that a page loads.
import assert from "node:assert/strict";
import fs from "node:fs";
import { describe, it } from "node:test";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** Bytes with brotli at its best, which a server computes once. The goal is 115 kB. */
const BUDGET = 170_000;

const root = new URL("../../", import.meta.url);
const PAGE = ["worker-shell/index.js", "worker-shell/worker.js"];
const IMPORT = /^(?:import|export) [^;"]*?from "(\.[^"]+)"/gm;
const WASM = "build/mooncast.wasm";

/** Modules that a page loads: imported by these, and only where a page imports. */
function modules(paths) {
  const found = new Set();
  const visit = (path) => {
    if (found.has(path) || path.endsWith("-node.js")) return;
    found.add(path);
    const source = fs.readFileSync(new URL(path, root), "utf8");
    for (const [, from] of source.matchAll(IMPORT)) visit(new URL(from, new URL(path, "file:///")).pathname.slice(1));
  };
  paths.forEach(visit);
  return [...found];
}

function sizes(paths) {
  const sum = { raw: 0, gzip: 0, brotli: 0 };
  for (const path of paths) {
    const bytes = fs.readFileSync(new URL(path, root));
    sum.raw += bytes.length;
    sum.gzip += gzipSync(bytes, { level: 9 }).length;
    sum.brotli += brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }).length;
  }
  return sum;
}

describe("the download", () => {
  it(`is within its budget of ${BUDGET / 1000} kB with brotli [I16]`, (test) => {
    const shell = modules(PAGE);
    assert.ok(shell.includes("worker-shell/system.js") && shell.includes("worker-shell/node-instance.js"), shell.join(" "));
    const [wasm, js] = [sizes([WASM]), sizes(shell)];
    for (const [what, { raw, gzip, brotli }] of [["wasm", wasm], ["js", js]]) {
      test.diagnostic(`${what}: ${raw} bytes raw, ${gzip} gzip, ${brotli} brotli`);
    }
    const total = wasm.brotli + js.brotli;
    assert.ok(total <= BUDGET, `${total} bytes: ${wasm.brotli} of wasm and ${js.brotli} of ${shell.length} modules`);
  });
});
