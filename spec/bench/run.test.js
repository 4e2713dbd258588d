// That `make bench` measures everything it says; how fast anything is, is not tested.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("run.mjs", import.meta.url));

test("prints every figure for every link", () => {
  const output = execFileSync("node", [script, "--runs", "1", "--seconds", "0.005"], { encoding: "utf8" });
  const lines = output.trim().split("\n").map((line) => JSON.parse(line));
  const inside = ["spawn", "coroutine_switch", "same_node_call", "round_trip", "calls_from_100", "cast", "codec"];
  for (const link of ["ring", "port", "native"]) {
    for (const name of [...inside, "command"]) {
      const [line, ...more] = lines.filter((each) => each.name === name && each.link === link);
      assert.ok(line?.median > 0 && line.runs === 1, `${name} ${link}: ${JSON.stringify(line)}`);
      assert.deepEqual(more, []);
    }
  }
  for (const name of ["atomics_ping_pong", "post_message_ping_pong", "post_message_100", "first_answer", "command"]) {
    assert.ok(lines.some((line) => line.name === name && line.link === "none" && line.median > 0), name);
  }
  for (const what of ["wasm", "js", "page"]) {
    const { raw, gzip, brotli } = lines.find((line) => line.name === "shipped" && line.what === what);
    assert.ok(raw > gzip && gzip > brotli && brotli > 1000, what);
  }
});
