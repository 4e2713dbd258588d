// An exported async function that calls an imported async one: a Lua actor and its host in JavaScript.
import assert from "node:assert/strict";
import { it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { links } from "../support/here.js";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const GUEST = `
local mc = require "mooncast"
local Guest = mc.actor("Guest", { reentrant = true })
function Guest:foo(text)
  self.inside = true
  mc.sleep(0.01)
  text = mc.lookup "host":bar(text .. " - entered guest")
  self.inside = false
  return text .. " - exited guest"
end
function Guest:is_inside() return self.inside end`;

for (const link of links) {
  it(`foo("hello, world!") through a host in JavaScript, by ${link} [L1]`, async () => {
    const system = await createSystem({ workers: 2, link });
    try {
      const seen = [];
      assert.equal((await system.eval(GUEST)).status, "ok");
      const guest = await system.spawn("Guest", []);
      system.expose("host", {
        async bar(text) {
          seen.push(await guest.call("is_inside", [])); // the guest serves others while it waits for this
          await sleep(10);
          return `${text} - entered host - exited host`;
        },
      });
      const answer = guest.call("foo", ["hello, world!"]);
      assert.equal(await answer, "hello, world! - entered guest - entered host - exited host - exited guest");
      assert.deepEqual(seen, [true]);
    } finally {
      await system.close();
    }
  });
}
