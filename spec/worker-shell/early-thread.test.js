import assert from "node:assert/strict";
import { it } from "node:test";

import { EarlyThread } from "../../worker-shell/early-thread.js";

const recorder = () => {
  const seen = [];
  return { seen, onMessage: (message) => seen.push(["message", message]), onEnd: (cause) => seen.push(["end", cause]) };
};

it("what happens to a thread before somebody takes it is told to whoever does, in order", async () => {
  const thread = { terminate() {} };
  let events;
  const early = new EarlyThread((own) => ((events = own), thread));
  events.onMessage(1);
  events.onEnd("its script is missing");
  const { seen, ...taker } = recorder();
  assert.equal(early.take(taker), thread);
  assert.deepEqual(seen, []);
  await undefined;
  events.onMessage(2);
  assert.deepEqual(seen, [["message", 1], ["end", "its script is missing"], ["message", 2]]);
});

it("a thread that could not be started says so to whoever takes it, and ends without harm", async () => {
  const early = new EarlyThread(() => {
    throw new Error("no thread");
  });
  assert.throws(() => early.take(recorder()), /no thread/);
  await early.terminate();
});
