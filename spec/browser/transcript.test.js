// The program of spec/worker-shell/transcript.test.js prints in a page what it prints in Node, however its nodes are linked.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { links, readText } from "../support/here.js";

const PROGRAM = "spec/support/transcript.lua";
const { args, expected } = await (await fetch("/transcript.json")).json();
const source = await readText(new URL(`/${PROGRAM}`, location.href));

async function transcript(options) {
  let printed = "";
  const decoder = new TextDecoder();
  const stdout = (bytes) => (printed += decoder.decode(bytes, { stream: true }));
  const system = await createSystem({ ...options, stdout, log: () => {} });
  try {
    await system.runSource(PROGRAM, source, args);
    return printed;
  } finally {
    await system.close();
  }
}

const ways = { "no worker, in the page itself": { workers: 0 } };
for (const link of links) {
  ways[`one worker, over ${link}s`] = { workers: 1, link };
  ways[`three workers over ${link}s`] = { workers: 3, link };
}

describe("the transcript, in a page", () => {
  for (const [what, options] of Object.entries(ways)) {
    it(`is that of Node with ${what} [C8] [I12]`, async () => {
      assert.ok(expected.split("\n").length > 90 && expected.endsWith("\nend\n"));
      assert.equal(await transcript(options), expected);
    });
  }
});
