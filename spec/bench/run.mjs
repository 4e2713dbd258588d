// `make bench`: measures and prints JSON lines, then tables in Markdown; all groups together also write
// docs/benchmarks.md. A line for each figure of each kind of run:
//
//   group, figure, who, unit, median, min, max, runs; or missing, and why
//
// and one for each goal: group, goal, value (of the medians), at_best (of the runs that were disturbed least,
// which is steadier on a machine that has other things to do), least or most, reached. Kinds of runs alternate,
// so that what else the machine does meets all of them. Nothing is asserted: the figures are for people, and for
// comparing on one machine. Options, each also a variable of make:
//
//   --groups calls,start (BENCH=)   --runs 5 (BENCH_RUNS=)   --seconds 0.2 (BENCH_SECONDS=) for each figure
//   --json                          prints no tables
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { goals } from "./goals.mjs";
import { groups, unitOf } from "./groups.mjs";
import { load, machine } from "./machine.mjs";
import { shipped } from "./size.mjs";
import { page, tables } from "./table.mjs";

const TIME_LIMIT_MS = 180_000;

const { values: options } = parseArgs({
  options: {
    groups: { type: "string", default: process.env.BENCH || Object.keys(groups).join() },
    runs: { type: "string", default: process.env.BENCH_RUNS || "5" },
    seconds: { type: "string", default: process.env.BENCH_SECONDS || "0.2" },
    json: { type: "boolean", default: false },
  },
});
const chosen = options.groups.split(",");
const runs = Number(options.runs);
const seconds = Number(options.seconds).toFixed(3); // a float, as Erlang wants it
const root = fileURLToPath(new URL("../../", import.meta.url));

/** The line that says what went wrong, of all that a failed program wrote. */
function reason({ error, signal, status, stderr = "" }) {
  if (error?.code === "ENOENT") return "not installed";
  if (error?.code === "ETIMEDOUT") return `did not end within ${TIME_LIMIT_MS / 1000} s`;
  if (error) return error.message;
  const lines = stderr.split("\n").filter((line) => /error|cannot|mooncast:/i.test(line));
  return (lines[0] ?? (signal ? `ended by ${signal}` : `exit ${status}`)).trim().slice(0, 200);
}

/** Allocations may be none, a rate may not. */
const isFigure = ([name, value]) => value > 0 || (value === 0 && unitOf(name) === "1/call");

/** Runs one kind. @returns {{ lines?: [string, number][], missing?: string }} */
function measure({ run: [command, ...args], env = {}, timed }) {
  const start = performance.now();
  const ended = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, LUA_CPATH: undefined, MOONCAST_WORKERS: undefined, ...env },
    timeout: TIME_LIMIT_MS,
    killSignal: "SIGKILL",
  });
  const took = performance.now() - start;
  const missing = ended.error || ended.status !== 0 ? reason(ended) : undefined;
  if (timed) return { lines: missing ? [] : [["command", took]], missing };
  const lines = (ended.stdout ?? "").trim().split("\n").map((line) => line.split(" "));
  return { lines: lines.map(([name, value]) => [name, Number(value)]).filter(isFigure), missing };
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const rounded = (value) => Number(value.toPrecision(4));

/** Of a group: what each kind of run came to, round by round. */
function runGroup(group) {
  const entries = [];
  const kinds = groups[group](seconds).map((kind) => {
    const found = kind.figures.map((figure) => ({ group, figure, who: kind.who, all: [], missing: undefined }));
    entries.push(...found);
    return { kind, found };
  });
  for (let round = 0; round < runs; round++) {
    for (const { kind, found } of kinds) {
      if (found.every((each) => each.missing)) continue; // it will not come next time either
      const { lines, missing } = measure(kind);
      const values = new Map(lines);
      for (const each of found) {
        if (values.has(each.figure)) each.all.push(values.get(each.figure));
        else each.missing ??= missing ?? "was not measured";
      }
    }
  }
  return entries;
}

function line({ group, figure, who, all, missing }) {
  const unit = unitOf(figure);
  if (all.length === 0) return { group, figure, who, unit, missing: missing ?? "was not measured" };
  const result = { group, figure, who, unit, median: rounded(median(all)) };
  Object.assign(result, { min: rounded(Math.min(...all)), max: rounded(Math.max(...all)), runs: all.length });
  return missing ? { ...result, failed: missing } : result; // in some of the runs
}

/** What is downloaded is the same each time. */
function downloads() {
  return shipped().map(({ what, brotli }) => (
    { group: "start", figure: what, who: "download", unit: "bytes", median: brotli, min: brotli, max: brotli, runs: 1 }));
}

/** The rate, or the time or size, of the run that was disturbed least. */
const bestOf = ({ unit, min, max }) => (unit === "1/s" ? max : min);

/** Looks figures up for a goal; `pick` takes one number out of a line. */
function lookup(lines, pick) {
  const find = (figure, who) => lines.find((each) => each.figure === figure && each.who === who);
  const value = (figure, who) => {
    const entry = find(figure, who);
    if (entry?.median === undefined) throw new Error(`${figure} of ${who}: ${entry?.missing ?? "was not measured"}`);
    return pick(entry);
  };
  return Object.assign(value, { has: (figure, who) => find(figure, who)?.median !== undefined });
}

function judge(goal, lines) {
  const { group, what, of, ...bound } = goal;
  try {
    const result = of(lookup(lines, (entry) => entry.median));
    const atBest = of(lookup(lines, bestOf));
    const reached = bound.least === undefined ? result <= bound.most : result >= bound.least;
    return { group, goal: what, value: rounded(result), at_best: rounded(atBest), ...bound, reached };
  } catch (error) {
    return { group, goal: what, missing: error.message, ...bound, reached: false };
  }
}

const print = (object) => console.log(JSON.stringify(object));

const unknown = chosen.filter((group) => !groups[group]);
if (unknown.length) throw new Error(`no such group: ${unknown.join()}; there are ${Object.keys(groups).join()}`);
const about = { ...machine(), runs, seconds: Number(seconds), load_before: load() };
const lines = [];
for (const group of chosen) {
  const found = runGroup(group).map(line);
  if (group === "start") found.push(...downloads());
  found.forEach(print);
  lines.push(...found);
}
about.load_after = load();
const judged = goals.filter((goal) => chosen.includes(goal.group)).map((goal) => judge(goal, lines));
judged.forEach(print);
print({ machine: about });
if (!options.json) console.log(`\n${tables(lines, judged)}`);
if (!options.json && chosen.length === Object.keys(groups).length) {
  writeFileSync(new URL("docs/benchmarks.md", `file://${root}`), page(about, lines, judged));
}
