// That `make bench` measures everything of ours that it says, tells what is missing, and judges; how fast
// anything is, is not tested. Peers need not be installed.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { goals } from "./goals.mjs";
import { groups } from "./groups.mjs";
import { page, tables } from "./table.mjs";

const script = fileURLToPath(new URL("run.mjs", import.meta.url));
const OURS = /^(wasm(?!oon)|native|core|bare|raw Atomics|raw postMessage|JavaScript|download)/;

/** @returns {object[]} the lines */
function run(group, seconds, env = {}) {
  const args = [script, "--groups", group, "--runs", "1", "--seconds", seconds, "--json"];
  const output = execFileSync(process.execPath, args, { encoding: "utf8", env: { ...process.env, ...env }, maxBuffer: 1 << 26 });
  return output.trim().split("\n").map((line) => JSON.parse(line));
}

const isMeasured = ({ median, unit }) => median > 0 || (median === 0 && unit === "1/call");

function checkOurs(group, lines) {
  for (const { who, figures } of groups[group]("0.001").filter((kind) => OURS.test(kind.who))) {
    for (const figure of figures) {
      const found = lines.filter((line) => line.figure === figure && line.who === who);
      assert.equal(found.length, 1, `${figure} of ${who}`);
      assert.ok(isMeasured(found[0]) && found[0].runs === 1, JSON.stringify(found[0]));
    }
  }
  for (const line of lines.filter((each) => each.figure)) {
    assert.ok(isMeasured(line) || line.missing, JSON.stringify(line));
  }
}

for (const group of ["calls", "values", "start"]) {
  test(`${group}: prints every figure of ours, and every goal`, () => {
    const lines = run(group, "0.005");
    checkOurs(group, lines);
    const judged = lines.filter((line) => line.goal);
    assert.deepEqual(judged.map((line) => line.goal), goals.filter((goal) => goal.group === group).map((goal) => goal.what));
    for (const { value, missing } of judged) assert.ok(missing || value !== undefined);
  });
}

test("what cannot run is missing, with the reason", () => {
  const lines = run("values", "0.001", { PATH: "/nowhere" });
  const figures = lines.filter((line) => line.figure);
  assert.ok(figures.length > 5 && figures.every((line) => line.missing === "not installed"), JSON.stringify(figures));
  const judged = lines.filter((line) => line.goal);
  assert.ok(judged.length > 3 && judged.every((line) => line.missing && !line.reached));
  assert.match(tables(figures, judged), /\| missing: not installed \|/);
});

test("goals are judged by their bound", () => {
  const median = (values) => Object.assign((figure, who) => values[`${figure}/${who}`], { has: () => true });
  const slower = goals.find((goal) => goal.most === 3);
  assert.equal(slower.of(median({ "coroutine_switch/wasm, rings": 8, "same_node_call/wasm, rings": 2 })), 4);
});

test("every goal belongs to a group and has one bound", () => {
  for (const goal of goals) {
    assert.ok(groups[goal.group], goal.what);
    assert.equal((goal.least === undefined) + (goal.most === undefined), 1, goal.what);
  }
  assert.equal(new Set(goals.map((goal) => goal.what)).size, goals.length);
});

test("a page tells the machine and the goals", () => {
  const about = { processors: 2, memory_gib: 4, platform: "linux x64", versions: { node: "20" }, runs: 5, seconds: 0.2 };
  const line = { group: "values", figure: "value", who: "native", unit: "1/s", median: 1234567, min: 1e6, max: 2e6, runs: 5 };
  const goal = { group: "values", goal: "is fast", value: 2, at_best: 3, least: 1, reached: true };
  const text = page({ ...about, load_before: 0.5, load_after: 1.5 }, [line], [goal]);
  assert.match(text, /goals reached: 1 of 1/);
  assert.doesNotMatch(text, /machine was busy/);
  assert.match(page({ ...about, load_before: 9, load_after: 9 }, [line], [goal]), /machine was busy/);
  assert.match(text, /\| is fast \| least 1 \| 2 \| 3 \| yes \|/);
  assert.match(text, /\| `value` \| native \| 1,235,000 \(1,000,000 to 2,000,000\) \| 1\/s \|/);
});
