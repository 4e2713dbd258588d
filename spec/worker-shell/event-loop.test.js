// worker-shell/event-loop.js: how a node shares its thread with everybody else's events.
import assert from "node:assert/strict";
import { it } from "node:test";

import { soon } from "../../worker-shell/soon.js";
import { program } from "../support/here.js";
import { withSystem } from "../support/with-system.js";

const AWAITS = 20_000;

const main = await program("event_loop.lua", `
local mc = require "mooncast"
local Waiter = mc.actor "Waiter"
function Waiter:wait(times)
  for _ = 1, times do mc.sleep(0) end
  return times
end
mc.main(function() end)
`);

it("a node that always has something left to do goes on for a while, then lets events in", () =>
  withSystem({ workers: 0, main }, async (system) => {
    const waiter = await system.spawn("Waiter");
    let turns = 0;
    let done = false;
    const count = () => {
      turns += 1;
      if (!done) soon(count);
    };
    soon(count);
    assert.equal(await waiter.call("wait", [AWAITS]), AWAITS);
    done = true;
    assert.ok(turns < AWAITS / 5, `${turns} turns of the event loop for ${AWAITS} awaits`);
    assert.ok(turns > 10, `only ${turns} turns of the event loop`);
  }));
