// Several systems in one process: an actor belongs to one, and each call goes by that one's own way.
import assert from "node:assert/strict";
import { it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { soon } from "../../worker-shell/soon.js";
import { links } from "../support/here.js";

// The end of a link between the systems, which the host carries; and what the tests call.
const PROGRAM = `
mc = require "mooncast"
Wire = mc.actor("Wire", { reentrant = true })
function Wire:connect()
  local host = mc.lookup "carrier"
  self.link = mc.transport {
    send = function(bytes) mc.cast(host, "carry", mc.bytes(bytes)) end,
    up = function() self.up = true end,
  }
end
function Wire:arrived(bytes) self.link:receive(bytes) end
function Wire:is_up() return self.up or false end
Shop = mc.actor "Shop"
function Shop:init(name) self.name = name end
function Shop:sell() return self.name end
function Shop:keep(ref) self.kept = ref end
function Shop:ask_kept()
  local ok, e = pcall(self.kept.sell, self.kept)
  return ok, ok and e or e.code
end
function tell(ok, e) return ok, ok and e or e.code end
wire = mc.spawn { Wire, on = mc.node() }`;

async function evaluate(system, entry) {
  const { status, text } = await system.eval(entry, { on: "w1" });
  assert.equal(status, "ok", text);
  return text;
}

async function until(condition) {
  while (!(await condition())) await new Promise(soon);
}

/** Two systems whose first nodes are linked; what the link carried is counted. */
async function two(link) {
  const systems = await Promise.all([createSystem({ workers: 2, link }), createSystem({ workers: 2, link })]);
  const carried = { bytes: 0 };
  const wires = [];
  let open;
  const connected = new Promise((resolve) => (open = resolve));
  for (const [i, system] of systems.entries()) {
    const carrier = {
      async carry(bytes) {
        await connected;
        carried.bytes += bytes.length;
        return wires[1 - i].cast("arrived", [bytes]);
      },
      wire(ref) {
        wires[i] = ref;
      },
    };
    system.expose("carrier", carrier);
    await evaluate(system, PROGRAM);
    await evaluate(system, `mc.lookup "carrier":wire(wire)`);
  }
  for (const system of systems) await evaluate(system, "wire:connect()");
  open();
  for (const system of systems) await until(async () => (await evaluate(system, "return wire:is_up()")) === "true");
  return { systems, carried };
}

async function close(systems) {
  await Promise.all(systems.map((system) => system.close()));
}

for (const link of links) {
  it(`each call goes by the way of its actor's system, by ${link} [A16]`, async () => {
    const { systems, carried } = await two(link);
    const [here, there] = systems;
    try {
      await evaluate(here, `near = mc.spawn({ Shop, on = "w2" }, "near")`);
      const id = await evaluate(there, `far = mc.spawn({ Shop, on = "w1" }, "far") return mc.id(far)`);
      await evaluate(here, `far = mc.resolve(Shop, "${id}")`);
      let before = carried.bytes;
      assert.equal(await evaluate(here, "return near:sell()"), "near");
      assert.equal(carried.bytes, before);
      assert.equal(await evaluate(here, "return far:sell()"), "far");
      assert.ok(carried.bytes > before);

      // A reference to an actor of the linked node itself goes over and works, there and back again.
      await evaluate(here, `own = mc.spawn({ Shop, on = "w1" }, "own") far:keep(own)`);
      before = carried.bytes;
      assert.equal(await evaluate(there, "return far:ask_kept()"), "true\town");
      assert.ok(carried.bytes > before);

      // One to an actor of a node that the other system does not reach goes over, but a call by it does not.
      await evaluate(here, "far:keep(near)");
      assert.equal(await evaluate(there, "return far:ask_kept()"), "false\tnode_down");
      // An actor of the linked node can stand between.
      await evaluate(
        here,
        `Bridge = mc.actor "Bridge"
         function Bridge:init(to) self.to = to end
         function Bridge:sell() return self.to:sell() end
         far:keep(mc.spawn({ Bridge, on = "w1" }, near))`,
      );
      assert.equal(await evaluate(there, "return far:ask_kept()"), "true\tnear");
    } finally {
      await close(systems);
    }
  });
}
