// What only the page has: Lua reaches it through an actor of the page.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { inPage, links } from "../support/here.js";

/** Node has none: there this stands in for it. */
const page = inPage ? document : { title: "" };

const PROGRAM = `
local mc = require "mooncast"
local Titler = mc.actor "Titler"
function Titler:through_page(text) return mc.lookup("page"):title(text) end
function Titler:directly(text) document.title = text end
function Titler:read() return window.location end
mc.main(function() end)`;

describe("the page's own things", () => {
  for (const options of [...links.map((link) => ({ workers: 2, link })), { workers: 0 }]) {
    it(`are reached through its actor, and nowhere else: ${JSON.stringify(options)} [I19]`, async () => {
      const system = await createSystem(options);
      try {
        const before = page.title;
        system.expose("page", {
          title(text) {
            page.title = text;
            return page.title;
          },
        });
        await system.runSource("=titler", new TextEncoder().encode(PROGRAM));
        const titler = await system.spawn("Titler", [], { on: system.nodes().at(-1) });
        assert.equal(await titler.call("through_page", ["by an actor"]), "by an actor");
        assert.equal(page.title, "by an actor");
        const message = /node w\d has no document: it is the page's alone.*system\.expose/;
        await assert.rejects(titler.call("directly", ["by itself"]), { code: "not_permitted", message });
        await assert.rejects(titler.call("read"), { message: /has no window/ });
        assert.equal(page.title, "by an actor");
        page.title = before;
      } finally {
        await system.close();
      }
    });
  }
});
