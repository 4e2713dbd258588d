// The codec json between Lua and JavaScript, both ways.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ActorError } from "../../worker-shell/errors.js";
import { createSystem } from "../../worker-shell/index.js";
import { fromJson, toJson } from "../../worker-shell/json.js";
import { Payload } from "../../worker-shell/value.js";

const PROGRAM = `
  local mc = require "mooncast"
  local Echo = mc.actor "Echo"
  function Echo:echo(...) return ... end
  function Echo:fail(value) error(value, 0) end
  function Echo:ask(ref, method, ...) return mc.call(ref, method, ...) end
  function Echo:caught(ref, method, ...)
    local ok, raised = pcall(mc.call, ref, method, ...)
    return ok, type(raised) == "table" and raised.code or raised
  end
  function Echo:kinds()
    local kinds = {}
    local remove = mc.intercept(function(message, next, ...)
      kinds[#kinds + 1] = message.direction .. " " .. (message.codec or "plain")
      return next(...)
    end)
    self.unsee = function() remove() return kinds end
  end
  function Echo:seen() return self.unsee() end
`;

let system;
let echo;

before(async () => {
  system = await createSystem({ workers: 1, codec: "json" });
  await system.eval(PROGRAM);
  echo = await system.spawn("Echo");
});
after(() => system.close());

test("values arrive in Lua and come back as they were sent", async () => {
  const values = [1, -1.5, "text", "a/b", true, [1, [2]], { x: { y: 1 } }, new Map([[2, "two"], ["x", 1]]), 2n ** 60n];
  assert.deepEqual(await echo.call("echo", values), values);
  assert.deepEqual(await echo.call("echo", [null, 1]), [null, 1]);
  assert.equal(await echo.call("echo", []), undefined);
  assert.deepEqual(await echo.call("echo", [new Uint8Array([255, 0])]), new Uint8Array([255, 0]));
  assert.equal(await echo.call("echo", [echo]), echo);
  assert.deepEqual(await echo.call("echo", [NaN, -Infinity]), [NaN, -Infinity]);
});

test("errors arrive as they were raised, with their traceback", async () => {
  const raised = await echo.call("fail", [{ code: 7 }]).catch((error) => error);
  assert.equal(raised.code, "raised");
  assert.deepEqual(raised.value, { code: 7 });
  assert.match(raised.traceback, /traceback/);
  await assert.rejects(echo.call("missing"), { code: "no_such_method" });
  await assert.rejects(echo.call("echo", [() => 1]), { code: "unsendable", message: /cannot send a function at arguments\[1\]/ });
});

test("a call is encoded on the wire, in both directions", async () => {
  await echo.call("kinds");
  const page = system.expose("Page", { double: (n) => 2 * n });
  assert.equal(await echo.call("ask", [page, "double", 21]), 42);
  assert.deepEqual(await echo.call("seen"), ["in json", "out json", "in json"]);
});

test("actors in JavaScript answer in it, with results and errors", async () => {
  const page = system.expose("Answers", {
    pair: () => [1, { a: null, b: 2 }],
    nothing() {},
    fail() {
      throw new Error("no such luck");
    },
  });
  assert.deepEqual(await echo.call("ask", [page, "pair"]), [1, { b: 2 }]);
  assert.equal(await echo.call("ask", [page, "nothing"]), undefined);
  assert.deepEqual(await echo.call("caught", [page, "fail"]), [false, "no such luck"]);
  assert.deepEqual(await echo.call("caught", [page, "other"]), [false, "no_such_method"]);
});

test("actors in JavaScript answer in it where the system has another", async () => {
  const other = await createSystem({ workers: 1 });
  other.expose("page", {
    pair: (value) => [value, 2n ** 60n],
    fail() {
      throw new Error("no such luck");
    },
  });
  const { text } = await other.eval(`
    local mc = require "mooncast"
    local page = mc.lookup "page"
    return mc.with({ codec = "json" }, function()
      local pair = page:pair "x"
      local _, message = pcall(page.fail, page)
      return pair[1], pair[2] == 1 << 60, message
    end)`);
  await other.close();
  assert.equal(text, "x\ttrue\tno such luck");
});

test("what is no such text is malformed", () => {
  const refs = { get: (address) => address };
  const bad = ["", "{}", "1", "[1", '[{"$ref":5}]', '[{"$ref":"a","type":"b"}]', '[{"$map":[[1]]}]', '[{"$map":[[1,1],[1,2]]}]', '[{"$bytes":"f"}]', '[{"$int":"1e3"}]', '[{"$int":"99999999999999999999"}]', '[{"$float":1}]', '[{"$other":1}]', `${"[".repeat(150)}${"]".repeat(150)}`];
  for (const text of bad) assert.throws(() => fromJson(new Payload("json", text), refs), { code: "malformed" }, text);
  for (const [codec, text] of [["other", "[]"], ["json", '[{"$type":"os","value":{}}]']]) {
    assert.throws(() => fromJson(new Payload(codec, text), refs), { code: "type_not_allowed" });
  }
  const own = fromJson(new Payload("json", '[{"__proto__":{"x":1}}]'), refs)[0];
  assert.equal(own.x, undefined);
  assert.deepEqual(toJson([{ $a: 1 }], "arguments").text, '[{"$map":[["$a",1]]}]');
  assert.ok(fromJson(toJson([new ActorError("timeout", "late")], "error"), refs)[0] instanceof ActorError);
});
