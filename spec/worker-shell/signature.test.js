// Declared arguments and results, checked where a message arrives: callers and callees in Lua and in JavaScript.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { createSystem, results } from "../../worker-shell/index.js";
import { Signatures } from "../../worker-shell/signature.js";
import { links, program } from "../support/here.js";

const PROGRAM = `
local mc = require "mooncast"
local Calc = mc.actor("Calc", { signatures = {
  add = "integer, integer -> integer", scale = "number, number? -> number", name = "string -> string",
  wrong = "-> string", two = "-> string, integer", none = "-> ()", many = "string, ...",
  tell = "table, reference?, boolean?", any = "any",
} })
local runs = 0
function Calc:runs() return runs end
function Calc:add(a, b) runs = runs + 1 return a + b end
function Calc:scale(x, by) runs = runs + 1 return x * (by or 2) end
function Calc:name(s) runs = runs + 1 return s end
function Calc:wrong() return 5 end
function Calc:two() return "two" end
function Calc:none() return 1 end
function Calc:many(...) return select("#", ...) end
function Calc:tell(t, ref, flag) runs = runs + 1 return #t, ref, flag end
function Calc:any(x) return x == nil end
local Caller = mc.actor "Caller"
function Caller:call(ref, ...)
  local results = table.pack(pcall(mc.call, ref, ...))
  local err = results[2]
  if not results[1] then return false, err.code, err.message end
  return table.unpack(results, 1, results.n)
end
mc.main(function() end)
`;
const path = await program("signature.lua", PROGRAM);

const SIGNATURES = {
  add: "integer, integer -> integer",
  scale: "number, number? -> number",
  name: "string -> string",
  wrong: "-> string",
  two: "-> string, integer",
  none: "-> ()",
  many: "string, ...",
  tell: "table, reference?, boolean?",
  any: "any",
};

class Calc {
  #runs = 0;
  runs() {
    return this.self.#runs;
  }
  add(a, b) {
    this.self.#runs += 1;
    return a + b;
  }
  scale(x, by) {
    this.self.#runs += 1;
    return x * (by ?? 2);
  }
  name(s) {
    this.self.#runs += 1;
    return s;
  }
  wrong() {
    return 5;
  }
  two() {
    return "two";
  }
  none() {
    return 1;
  }
  many(...values) {
    return values.length;
  }
  tell(t, ref, flag) {
    this.self.#runs += 1;
    return results(t.length, ref, flag);
  }
  any(x) {
    return x === null || x === undefined;
  }
}

/** [method, arguments, what comes of it]: results, or code and text. `self` stands for the callee. */
const CASES = [
  ["add", [2, 3], [5]],
  ["scale", [1.5], [3]],
  ["scale", [2, 3], [6]],
  ["name", ["Ann"], ["Ann"]],
  ["many", ["a", 1, null], [3]],
  ["tell", [[1, 2], "self", true], [2, "self", true]],
  ["any", [], [true]],
  ["any", [1], [false]],
  ["add", [1], "bad_arguments", "argument 2 is missing, declared integer"],
  ["add", [1, 2, 3], "bad_arguments", "3 arguments, at most 2 are declared"],
  ["add", [1, "a"], "bad_arguments", "argument 2 is string, declared integer"],
  ["add", [1.5, 2], "bad_arguments", "argument 1 is float, declared integer"],
  ["scale", [true], "bad_arguments", "argument 1 is boolean, declared number"],
  ["name", [null], "bad_arguments", "argument 1 is nil, declared string"],
  ["name", [["Ann"]], "bad_arguments", "argument 1 is table, declared string"],
  ["tell", ["x"], "bad_arguments", "argument 1 is string, declared table"],
  ["tell", [[], "x"], "bad_arguments", "argument 2 is string, declared reference"],
  ["tell", ["self"], "bad_arguments", "argument 1 is reference, declared table"],
  ["wrong", [], "bad_return", "result 1 is integer, declared string"],
  ["two", [], "bad_return", "result 2 is missing, declared integer"],
  ["none", [], "bad_return", "1 results, at most 0 are declared"],
];

for (const link of links) {
  describe(`signatures over ${link}s`, () => {
    let system;
    let refs;
    let caller;
    before(async () => {
      system = await createSystem({ workers: 2, link, main: path });
      refs = {
        Lua: await system.spawn("Calc", [], { on: "w2" }),
        JavaScript: system.expose("calc", new Calc(), { signatures: SIGNATURES }),
      };
      caller = await system.spawn("Caller", [], { on: "w1" });
    });
    after(async () => {
      const { pending, timers } = await system.stats();
      await system.close();
      assert.deepEqual([pending, timers], [0, 0]);
    });

    const callers = {
      Lua: async (ref, method, args) => {
        const [ok, ...rest] = await caller.call("call", [ref, method, ...args]);
        return ok ? rest : { code: rest[0], message: rest[1] };
      },
      JavaScript: async (ref, method, args) => {
        try {
          const value = await ref.call(method, args);
          return Array.isArray(value) ? value : [value];
        } catch ({ code, message }) {
          return { code, message };
        }
      },
    };

    for (const from of Object.keys(callers)) {
      for (const to of ["Lua", "JavaScript"]) {
        it(`are checked where a callee in ${to} gets what a caller in ${from} sent [I17] [D3] [C13]`, async () => {
          const ref = refs[to];
          for (const [method, args, outcome, text] of CASES) {
            const before = await ref.call("runs");
            const sent = args.map((value) => (value === "self" ? ref : value));
            const got = await callers[from](ref, method, sent);
            const label = `${method}(${args.join(", ")})`;
            if (Array.isArray(outcome)) {
              assert.deepEqual(got.map((value) => (value === ref ? "self" : value)), outcome, label);
              continue;
            }
            assert.deepEqual([got.code, got.message?.split(": ").at(-1)], [outcome, text], label);
            if (outcome === "bad_arguments") assert.equal(await ref.call("runs"), before, `${label} ran`);
          }
        });
      }
    }
  });
}

describe("a signature in JavaScript", () => {
  it("is text that is checked when the object is exposed", () => {
    assert.throws(() => new Signatures({ f: "strin" }), /'strin' is no type in the signature 'strin'/);
    assert.throws(() => new Signatures({ f: "..., string" }), /nothing can follow '\.\.\.' in the signature/);
    assert.throws(() => new Signatures({ f: "toString" }), /'toString' is no type/);
  });

  it("takes values that only JavaScript has", () => {
    const signatures = new Signatures({ f: "(string, integer, table) -> ()" });
    signatures.checkArguments("f", [new Uint8Array(2), 2n ** 62n, new Map()]);
    assert.throws(() => signatures.checkArguments("f", ["", 1, new ArrayBuffer(1)]), { code: "bad_arguments" });
  });
});
