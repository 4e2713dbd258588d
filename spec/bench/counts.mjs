// How many instructions each operation takes, under callgrind: of the core alone (core.c) and of Lua on
// top of it (counts.lua). A count that is more than 5 % above the one in counts.json fails. What else the
// machine does changes nothing; another compiler does: counts.json was written with Debian 12's.
//
//     make counts                              checks
//     node spec/bench/counts.mjs --write       after a change that is meant to cost, or saves, something
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const TOLERANCE = 1.05;
const CORE_TIMES = 1000; // COUNT in core.c
const LUA_TIMES = [2000, 6000];
const LUA_OPERATIONS = ["same_node_call", "same_node_cast", "same_node_hop", "spawn", "spawn_there", "encode", "decode"];

const root = fileURLToPath(new URL("../../", import.meta.url));
const bounds = new URL("counts.json", import.meta.url);
const folder = mkdtempSync(join(root, "build/counts-"));

/** Runs a program under callgrind. @returns {Map<string, number>} instructions by what each dump is named */
function callgrind(workers, ...command) {
  const out = mkdtempSync(join(folder, "run-"));
  const options = ["-q", "--tool=callgrind", `--callgrind-out-file=${join(out, "dump")}`];
  const env = { ...process.env, LUA_CPATH: "build/native/?.so", MOONCAST_WORKERS: String(workers) };
  execFileSync("valgrind", [...options, ...command], { cwd: root, env, stdio: ["ignore", "ignore", "inherit"] });
  const dumps = readdirSync(out).map((name) => readFileSync(join(out, name), "utf8"));
  return new Map(
    dumps.map((text) => {
      const name = text.match(/^desc: Trigger: Client Request: (.*)$/m)?.[1] ?? "whole";
      return [name, Number(text.match(/^totals: (\d+)$/m)[1])];
    }),
  );
}

function countCore() {
  const dumps = callgrind(1, "build/bench/core", "count");
  dumps.delete("whole");
  return [...dumps].map(([name, total]) => [`core ${name}`, Math.round(total / CORE_TIMES)]);
}

function countLua(operation) {
  const [few, more] = LUA_TIMES.map((n) =>
    callgrind(operation.endsWith("_there") ? 2 : 1, "lua5.4", "spec/bench/counts.lua", operation, String(n)).get("whole"));
  return [`lua ${operation}`, Math.round((more - few) / (LUA_TIMES[1] - LUA_TIMES[0]))];
}

function check(counts, known) {
  let failed = 0;
  for (const [name, count] of Object.entries(counts)) {
    const well = count <= known[name] * TOLERANCE; // false for one that is not known
    const change = known[name] ? `${((100 * count) / known[name] - 100).toFixed(1)} %` : "not in counts.json";
    console.log(`${well ? "ok    " : "FAILED"} ${name}: ${count} instructions, ${change}`);
    if (!well) failed += 1;
  }
  for (const name of Object.keys(known).filter((each) => !(each in counts))) {
    console.log(`FAILED ${name}: was not counted`);
    failed += 1;
  }
  if (failed) console.log("if that is what it has to cost: node spec/bench/counts.mjs --write");
  console.log(`${Object.keys(counts).length - failed} passed, ${failed} failed`);
  return failed;
}

try {
  const counts = Object.fromEntries([...countCore(), ...LUA_OPERATIONS.map(countLua)].sort());
  if (process.argv[2] === "--write") writeFileSync(bounds, `${JSON.stringify(counts, null, 2)}\n`);
  else process.exitCode = check(counts, JSON.parse(readFileSync(bounds, "utf8"))) ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true });
}
