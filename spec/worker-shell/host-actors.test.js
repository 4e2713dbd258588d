// What handles messages for actors in JavaScript is loaded with the first of them.
import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const SHELL = fileURLToPath(new URL("../../worker-shell/", import.meta.url));
const wasm = new URL("../../build/mooncast.wasm", import.meta.url);
const ASK = `
  local mc = require "mooncast"
  mc.main(function() mc.lookup("page"):title "x" end)`;

describe("a shell whose host-actors.js cannot be loaded", () => {
  let folder;
  let createSystem;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "mooncast-shell-"));
    await cp(SHELL, folder, { recursive: true });
    await rm(join(folder, "host-actors.js"));
    await cp(join(SHELL, "../package.json"), join(folder, "package.json"));
    ({ createSystem } = await import(pathToFileURL(join(folder, "index.js"))));
  });
  after(() => rm(folder, { recursive: true }));

  for (const link of ["ring", "port"]) {
    it(`runs programs that call no actor of it: ${link}`, async () => {
      let text = "";
      const stdout = (bytes) => (text += new TextDecoder().decode(bytes));
      const system = await createSystem({ workers: 2, link, wasm, stdout });
      await system.runSource("=program", `
        local mc = require "mooncast"
        local Greeter = mc.actor "Greeter"
        function Greeter:hello() return "hello" end
        mc.main(function() print(mc.spawn({ Greeter, on = "w2" }):hello()) end)`);
      assert.equal(await (await system.spawn("Greeter")).call("hello"), "hello");
      await system.close();
      assert.equal(text, "hello\n");
    });

    it(`tells who calls one at once, and says which file is missing: ${link}`, async () => {
      const lines = [];
      const system = await createSystem({ workers: 1, link, wasm, log: ({ text }) => lines.push(text) });
      system.expose("page", { title: (text) => text });
      await assert.rejects(system.runSource("=program", ASK), { code: "malformed" });
      assert.match(lines.join("\n"), /host-actors\.js/);
      assert.equal((await system.stats()).malformed, 1);
      await system.close();
    });
  }
});
