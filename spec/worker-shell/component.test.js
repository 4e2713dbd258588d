// One suite, spec/support/component.lua, with the component written in Lua, in JavaScript and in C.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem, results } from "../../worker-shell/index.js";
import { links, program, readText } from "../support/here.js";

const suite = await readText(new URL("../support/component.lua", import.meta.url));
/** `make component`: the wasm with spec/fixtures/component.c in it. */
const wasm = new URL("../../build/component.wasm", import.meta.url);

const PROGRAM = `
local mc = require "mooncast"
local suite = (function() ${suite} end)()
local Other = mc.actor("Other", { reentrant = true })
function Other:echo(...) return ... end
function Other:fail(value) error(value, 0) end
function Other:sleep(seconds) mc.sleep(seconds) end
local Lua = mc.actor "Lua"
function Lua:echo(...) return ... end
function Lua:add(a, b) return a + b end
function Lua:same(ref) return ref end
function Lua:note(value) self.all = self.all and self.all .. " " .. value or tostring(value) end
function Lua:notes() return self.all end
function Lua:fail(value) error(value, 0) end
function Lua:relay(...) return mc.call(...) end
function Lua:_hidden() end
local Suite = mc.actor "Suite"
function Suite:run(ref, other) return suite(ref, other) end
pcall(require, "component")
mc.main(function() end)
`;
const path = await program("component.lua", PROGRAM);

class Component {
  #notes = [];
  echo(...values) {
    return results(...values);
  }
  add(a, b) {
    return a + b;
  }
  same(ref) {
    return ref;
  }
  note(value) {
    this.self.#notes.push(value);
  }
  notes() {
    return this.self.#notes.join(" ");
  }
  fail(value) {
    throw value;
  }
  async relay(ref, method, ...args) {
    const answer = await this.call(ref, method, args);
    return Array.isArray(answer) ? results(...answer) : answer;
  }
  _hidden() {}
}

const callees = {
  Lua: (system) => system.spawn("Lua", [], { on: "w2" }),
  JavaScript: (system) => system.expose("component", new Component()),
  C: (system) => system.spawn("Component", [], { on: "w2" }),
};

for (const link of links) {
  describe(`a component, over ${link}s`, () => {
    for (const [language, make] of Object.entries(callees)) {
      it(`does all that one must when it is written in ${language} [K24]`, async () => {
        const system = await createSystem({ workers: 3, link, main: path, log: () => {}, ...(language === "C" && { wasm }) });
        try {
          const other = await system.spawn("Other", [], { on: "w3" });
          const runner = await system.spawn("Suite", [], { on: "w1" });
          assert.equal(await runner.call("run", [await make(system), other]), "complete");
          const { pending, timers } = await system.stats();
          assert.deepEqual([pending, timers], [0, 0]);
        } finally {
          await system.close();
        }
      });
    }
  });
}
