import assert from "node:assert/strict";
import { it } from "node:test";

import { Spin } from "../../worker-shell/spin.js";

/** Whether this attempt looked at all, when there is nothing to see. */
function looks(spin) {
  let looked = false;
  spin.try(() => ((looked = true), false));
  return looked;
}

/** How many attempts in a row look, then how many do not. */
function failAndRest(spin) {
  let tried = 0;
  let rested = 0;
  while (looks(spin)) tried += 1;
  for (rested = 1; !looks(spin); ) rested += 1;
  return [tried, rested];
}

it("a thread that finds nothing by looking rests, for longer each time", () => {
  const spin = new Spin();
  const [tried, rested] = failAndRest(spin);
  assert.ok(tried > 4, `${tried} attempts`);
  const [, longer] = failAndRest(spin);
  assert.ok(longer > rested, `${longer} after ${rested}`);
  for (let i = 0; i < 20; i++) failAndRest(spin);
  const [, longest] = failAndRest(spin);
  assert.ok(longest > longer && longest < 10_000, `${longest} at the most`);
});

it("where looking pays it goes on, and a few failures do not matter", () => {
  const spin = new Spin();
  for (let i = 0; i < 1000; i++) {
    assert.equal(spin.try(() => true), true);
    if (i % 3 === 0) assert.ok(looks(spin));
  }
});

it("what pays again shortens the rest", () => {
  const spin = new Spin();
  const [, first] = failAndRest(spin);
  for (let i = 0; i < 8; i++) failAndRest(spin);
  for (let i = 0; i < 40; i++) spin.try(() => true);
  const [, again] = failAndRest(spin);
  assert.ok(again <= 2 * first, `${again}, at first ${first}`);
});
