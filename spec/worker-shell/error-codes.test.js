import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";

import { codesFromHeader, render } from "../../scripts/error-codes.mjs";
import { ActorError, codeNumber, errorCodes } from "../../worker-shell/errors.js";

it("the error codes are those of the C header, in its order", () => {
  assert.deepEqual([...errorCodes], codesFromHeader());
  assert.equal(codeNumber("timeout"), 1);
  assert.equal(codeNumber("redacted"), errorCodes.length);
});

it("error-codes.js is what the script makes of the header", () => {
  const file = new URL("../../worker-shell/error-codes.js", import.meta.url);
  assert.equal(readFileSync(file, "utf8"), render());
});

it("limits are those of the C header", async () => {
  const header = readFileSync(new URL("../../runtime/include/mooncast.h", import.meta.url), "utf8");
  const limit = (name) => Function(`return ${header.match(new RegExp(`${name} = ([^,]+),`))[1]}`)();
  const { MAX_FRAME } = await import("../../worker-shell/cbor.js");
  const { MAX_DEPTH } = await import("../../worker-shell/value.js");
  const { MAX_CHAIN, MAX_CONTEXT, WIRE_VERSION } = await import("../../worker-shell/envelope.js");
  const { MAILBOX_BOUND, MAILBOX_BYTES } = await import("../../worker-shell/host-actor.js");
  const { CAST_WINDOW } = await import("../../worker-shell/host-peer.js");
  const { VERSION } = await import("../../worker-shell/version.js");
  assert.equal(MAX_FRAME, limit("MC_MAX_FRAME"));
  assert.equal(MAX_DEPTH, limit("MC_MAX_DEPTH"));
  assert.equal(MAX_CONTEXT, limit("MC_MAX_CONTEXT"));
  assert.equal(MAX_CHAIN, limit("MC_MAX_CHAIN"));
  assert.equal(MAILBOX_BOUND, limit("MC_MAILBOX_BOUND"));
  assert.equal(MAILBOX_BYTES, limit("MC_MAILBOX_BYTES"));
  assert.equal(CAST_WINDOW, limit("MC_CAST_WINDOW"));
  assert.ok(header.includes(`#define MC_WIRE_VERSION ${WIRE_VERSION}`));
  assert.ok(header.includes(`#define MC_VERSION "${VERSION}"`));
});

it("the text of an error begins with its code", () => {
  assert.equal(new ActorError("timeout", "w1 is slow").message, "timeout: w1 is slow");
  assert.equal(new ActorError("timeout", "timeout: w1 is slow").message, "timeout: w1 is slow");
  assert.equal(ActorError.raised("boom").message, "boom");
  assert.equal(ActorError.raised({ message: "no db" }).message, "no db");
});
