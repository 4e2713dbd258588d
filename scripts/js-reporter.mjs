// What node's test runner tells of one file goes to scripts/js-tests.mjs, a line of JSON each, by the pipe that it gives.
import { writeSync } from "node:fs";

const PIPE = 3;
/** What a suite fails with when tests of it did: those are told by themselves. */
const TOLD = "subtestsFailed";

function problem({ error }) {
  if (!error || error.failureType === TOLD) return undefined;
  const { cause } = error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? error.message);
}

export default async function* report(events) {
  for await (const { type, data } of events) {
    const { name, nesting, line } = data;
    const counts = data.details?.type !== "suite" && !data.skip && !data.todo;
    if (type === "test:dequeue" || type === "test:start") tell({ type, name, nesting });
    if (type === "test:pass" || type === "test:fail") {
      tell({ type, name, nesting, line, counts, problem: type === "test:fail" ? problem(data.details) : undefined });
    }
  }
  yield "";
}

function tell(event) {
  writeSync(PIPE, `${JSON.stringify(event)}\n`);
}
