// What JavaScript gets of an error that an actor's type does not list, and what the node logs of it.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { ActorError } from "../../worker-shell/errors.js";
import { RawNode } from "../support/raw-node.js";

describe("an error that is redacted", () => {
  let node, thing;

  before(() => {
    node = new RawNode();
    node.runLua(`
      local Thing = mc.actor("Thing", { errors = { "Validation" } })
      local Odd = mc.type "Odd"
      function Odd:__tostring() error "not even this" end
      function Thing:raise() error "cannot open /etc/hunter2" end
      function Thing:fields() error { key = "hunter2" } end
      function Thing:odd() error(setmetatable({}, Odd)) end
    `);
    thing = node.spawn("Thing");
  });
  after(() => node.close());

  it("is an ActorError with its code and id; the whole stands in the log of the node, with that id [E3]", () => {
    for (const [method, text] of Object.entries({ raise: "cannot open /etc/hunter2", fields: "key = hunter2" })) {
      const { code, value, traceback } = node.ask(thing, method);
      assert.equal(code, "raised");
      assert.ok(value instanceof ActorError);
      assert.deepEqual([value.code, value.transport, traceback], ["redacted", false, null]);
      assert.match(value.id, /^[0-9a-f]{16}$/);
      assert.doesNotMatch(value.message, /hunter2/);
      const lines = node.log.filter((line) => line.text.includes(value.id));
      assert.equal(lines.length, 1);
      assert.equal(lines[0].level, "error");
      assert.ok(lines[0].text.includes(text), lines[0].text);
      assert.match(lines[0].text, /stack traceback:/);
    }
  });

  it("does not go out because its text cannot be had [E3]", () => {
    const { value } = node.ask(thing, "odd");
    assert.equal(value.code, "redacted");
    assert.match(value.message, /an error of type Odd/);
  });
});
