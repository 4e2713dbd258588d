// `make bench`: measures and prints JSON lines, one for each name and link:
//
//   name, link ("ring", "port", "native"; "none" for the bare platform), unit, median, min, max, runs,
//   and where there is something to compare with: ratio (of the medians) and of (its name)
//
// The kinds of runs alternate, so that what else the machine does meets all of them. Nothing is asserted:
// the figures are for people, and for comparing on one machine. Options: --runs N (5), --seconds S (0.2)
// for each measurement.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { shipped } from "./size.mjs";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "5" }, seconds: { type: "string", default: "0.2" } },
});
const runs = Number(values.runs);
const { seconds } = values;

const root = fileURLToPath(new URL("../../", import.meta.url));
const native = { MOONCAST_WORKERS: "2", LUA_CPATH: "build/native/?.so" };
const mooncast = ["node", "worker-shell/cli.js", "--workers", "2"];

/** What runs, in turn: each prints lines of a name and a number. */
const kinds = [
  { link: "none", run: ["node", "spec/bench/raw.mjs", seconds] },
  { link: "ring", run: [...mooncast, "--link", "ring", "spec/bench/measure.lua", seconds] },
  { link: "port", run: [...mooncast, "--link", "port", "spec/bench/measure.lua", seconds] },
  { link: "native", run: ["lua5.4", "spec/bench/measure.lua", seconds], env: native },
  { link: "none", run: ["node", "spec/bench/start.mjs", "bare"] },
  { link: "ring", run: ["node", "spec/bench/start.mjs", "ring"] },
  { link: "port", run: ["node", "spec/bench/start.mjs", "port"] },
  // From the command to its end, what a shell's user waits for.
  { link: "ring", run: [...mooncast, "--link", "ring", "web/examples/greeter.lua"], timed: "command" },
  { link: "port", run: [...mooncast, "--link", "port", "web/examples/greeter.lua"], timed: "command" },
  { link: "native", run: ["lua5.4", "web/examples/greeter.lua"], env: native, timed: "command" },
  { link: "none", run: ["node", "-e", "0"], timed: "command" },
];

const units = { actor_bytes: "bytes", first_answer: "ms", command: "ms" };

/** What a name is compared with: the same link unless one is given. */
const compared = {
  same_node_call: { of: "coroutine_switch" },
  round_trip: { of: "atomics_ping_pong", link: "none" },
  calls_from_100: { of: "post_message_100", link: "none" },
  first_answer: { of: "first_answer", link: "none" },
  command: { of: "command", link: "none" },
};

/** Runs one kind. @returns {[string, number][]} */
function measure({ run: [command, ...args], env = {}, timed }) {
  const start = performance.now();
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  const took = performance.now() - start;
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${status}\n${stderr}`);
  if (timed) return [[timed, took]];
  return stdout.trim().split("\n").map((line) => line.split(" ")).map(([name, value]) => [name, Number(value)]);
}

function median(sorted) {
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const rounded = (value) => Number(value.toPrecision(4));

const found = new Map();
for (let round = 0; round < runs; round++) {
  for (const kind of kinds) {
    for (const [name, value] of measure(kind)) {
      const key = `${name} ${kind.link}`;
      if (!found.has(key)) found.set(key, { name, link: kind.link, all: [] });
      found.get(key).all.push(value);
    }
  }
}

function line({ name, link, all }) {
  const sorted = [...all].sort((a, b) => a - b);
  const result = { name, link, unit: units[name] ?? "1/s", median: rounded(median(sorted)) };
  Object.assign(result, { min: rounded(sorted[0]), max: rounded(sorted.at(-1)), runs: all.length });
  const base = compared[name] && found.get(`${compared[name].of} ${compared[name].link ?? link}`);
  if (!base || base.all === all) return result;
  const ratio = median(sorted) / median([...base.all].sort((a, b) => a - b));
  return { ...result, ratio: rounded(ratio), of: base.name };
}

const engine = { node: process.version, processors: availableParallelism(), platform: `${process.platform} ${process.arch}` };
const cpu = process.platform === "linux" && readFileSync("/proc/cpuinfo", "utf8").match(/^model name\s*: (.*)$/m)?.[1];
console.log(JSON.stringify({ name: "machine", ...engine, ...(cpu && { cpu }) }));
for (const entry of found.values()) console.log(JSON.stringify(line(entry)));
for (const { what, files, ...bytes } of shipped()) {
  console.log(JSON.stringify({ name: "shipped", what, files, unit: "bytes", ...bytes }));
}
