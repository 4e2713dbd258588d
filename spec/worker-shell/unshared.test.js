// Node without SharedArrayBuffer, as in a page that is not isolated.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { execute, mooncast } from "../support/cli.js";

describe("without shared memory", () => {
  it("systems run over ports, and say so [I15]", async () => {
    // Neither here nor in the workers, as in a page that is not isolated. Node's own needs it to start.
    const script = `import "node:worker_threads";
      delete globalThis.SharedArrayBuffer;
      const { createSystem } = await import("./worker-shell/index.js");
      const system = await createSystem({ workers: 2, workerUrl: new URL("./spec/worker-shell/fixtures/unshared.js", import.meta.url), main: "spec/worker-shell/fixtures/greeter.lua" });
      const [a, b] = await Promise.all(["w1", "w2"].map((on) => system.spawn("Greeter", [], { on })));
      const lua = (await system.eval('require("mooncast").info().shared_memory')).text;
      const hello = await a.call("pass", [b, "hello", "without"]);
      console.log(JSON.stringify({ lua, hello, info: system.info().sharedMemory, link: system.info().link }));
      await system.close();`;
    const run = await execute(process.execPath, ["--input-type=module", "-e", script]);
    assert.equal(run.stderr, "");
    assert.deepEqual(JSON.parse(run.stdout), { lua: "false", hello: ["Hello, without!", "w2"], info: false, link: "port" });
  });

  it("no memory of a node is shared in either mode [I15]", async () => {
    for (const link of ["ring", "port"]) {
      const run = await mooncast(["--workers", "2", "--link", link, "-e", "print(require('mooncast').info().shared_memory)"]);
      assert.equal(run.stdout, `${link === "ring"}\n`);
    }
    const imports = WebAssembly.Module.imports(await compileWasm()).filter(({ kind }) => kind === "memory");
    assert.deepEqual(imports, []);
  });
});

async function compileWasm() {
  const { readFile } = await import("node:fs/promises");
  return WebAssembly.compile(await readFile(new URL("../../build/mooncast.wasm", import.meta.url)));
}
