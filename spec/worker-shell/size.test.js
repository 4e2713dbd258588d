// What a page downloads to run an actor: the wasm, and of dist/ the modules that it loads.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";

import { shipped } from "../bench/size.mjs";

/**
 * Bytes with brotli. The wasm's first part takes nearly 91 kB, of which the library in Lua is 5, all JavaScript 24.
 * The second part, 45, comes when something rare is first used: see spec/worker-shell/rest.test.js for what programs do
 * without it.
 */
const BUDGET = 115_000;

describe("the download", () => {
  it(`is within its budget of ${BUDGET / 1000} kB with brotli [I16]`, (test) => {
    const sizes = shipped();
    for (const { what, raw, gzip, brotli } of sizes) {
      test.diagnostic(`${what}: ${raw} bytes raw, ${gzip} gzip, ${brotli} brotli`);
    }
    const { files, brotli } = sizes.at(-1);
    // The page's, the worker's, and one at least that both import.
    assert.ok(files.length >= 4 && !files.some((name) => name.includes("node")), files.join(" "));
    assert.ok(brotli <= BUDGET, `${brotli} bytes: ${files.join(" ")}`);
  });

  // Each is a function and a property to make when a node starts: three hundred took 2 ms.
  it("exports what JavaScript calls, not what the second part does", async () => {
    const wasm = await WebAssembly.compile(await readFile(new URL("../../dist/mooncast.wasm", import.meta.url)));
    const names = WebAssembly.Module.exports(wasm).map(({ name }) => name);
    assert.ok(names.length < 25, names.join(" "));
  });
});
