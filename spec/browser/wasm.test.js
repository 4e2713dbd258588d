// How the wasm gets into a page.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";

describe("the wasm of a page", () => {
  it("is fetched once and compiled as it comes, whatever the number of workers [I2]", async () => {
    performance.clearResourceTimings();
    const { compile } = WebAssembly;
    let whole = 0;
    WebAssembly.compile = (...args) => ((whole += 1), compile(...args));
    const system = await createSystem({ workers: 3 });
    WebAssembly.compile = compile;
    const fetched = performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(".wasm"));
    assert.deepEqual([fetched.length, whole], [1, 0]);
    await system.close();
  });

  it("may come with any type", async () => {
    const wasm = new URL("../../build/mooncast.wasm?type=application/octet-stream", import.meta.url);
    const system = await createSystem({ workers: 1, wasm });
    assert.equal((await system.eval("1 + 1")).text, "2");
    await system.close();
  });
});
