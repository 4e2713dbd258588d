// C programs: the example host built as its users build it, and C linked into the wasm.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { execute, ROOT } from "../support/cli.js";

const EXPECTED = ["measured on w2", "mean: 20.5", "C got: the station on w2", "and again from a loop of C's own", ""].join("\n");

async function run(command, args, options) {
  const result = await execute(command, args, options);
  assert.equal(result.code, 0, `${command} ${args.join(" ")}: ${result.stderr}`);
  return result.stdout;
}

describe("a C program with Mooncast inside", () => {
  let folder;
  before(() => (folder = mkdtempSync(join(tmpdir(), "mooncast-host-"))));
  after(() => rmSync(folder, { recursive: true }));

  it("calls actors in C and in Lua on another thread, and is called [K22]", async () => {
    const made = await run("make", ["-s", "example"]);
    assert.equal(made, EXPECTED);
  });

  it("builds from what make install installs, by pkg-config", async () => {
    await run("make", ["-s", "install", `PREFIX=${folder}`]);
    const env = { PKG_CONFIG_PATH: join(folder, "lib/pkgconfig") };
    const flags = await run("pkg-config", ["--cflags", "--libs", "mooncast"], { env });
    const host = join(folder, "host");
    await run("cc", ["bindings/examples/host.c", ...flags.trim().split(/\s+/), "-o", host]);
    assert.equal(await run(host, ["bindings/examples/host.lua"]), EXPECTED);
  });

  it("gets a sentence for a program that is missing or fails", async () => {
    const missing = await execute(join(ROOT, "build/native/host"), ["nosuch.lua"]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /^host: cannot open nosuch\.lua/);
  });
});

describe("make wasm EXTRA=my.c", () => {
  it("gives every node the module of the user's C", async () => {
    await run("make", ["-s", "wasm", "EXTRA=bindings/examples/extra.c", "WASM=build/extra.wasm"]);
    let printed = "";
    const system = await createSystem({ workers: 2, wasm: join(ROOT, "build/extra.wasm"), stdout: (bytes) => (printed += Buffer.from(bytes)) });
    const program = `
      local mc = require "mooncast"
      local Checker = mc.actor "Checker"
      function Checker:of(s) return require("checksum").adler32(s), mc.node() end
      print(mc.spawn({ Checker, on = "w2" }):of "Wikipedia")
      local sum = mc.spawn { require("checksum").Sum, on = "w2" }
      sum:add "Wikipedia"
      print(sum:add "Wikipedia")`;
    try {
      assert.deepEqual(await system.eval(program), { status: "ok", text: "" });
      for (let turns = 0; printed.split("\n").length < 3 && turns < 1000; turns++) await new Promise(setImmediate);
      assert.equal(printed, "300286872\tw2\n600573744\n");
    } finally {
      await system.close();
    }
  });
});
