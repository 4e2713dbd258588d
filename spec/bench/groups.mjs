// What `make bench` runs. Each kind of run has a name (who), a command, and the figures that it prints as
// lines `figure value`; those of a group alternate. A kind is one process, so nothing is warm from before.
import { availableParallelism } from "node:os";

/** Spins while each node has a processor; one node more, and none does. */
const NO_SPIN_WORKERS = availableParallelism() + 1;

const mooncast = (workers, link, ...rest) => ["node", "dist/cli.js", "--workers", String(workers), "--link", link, ...rest];
const NATIVE = { MOONCAST_WORKERS: "2", LUA_CPATH: "build/native/?.so" };
const erlang = (schedulers, group, seconds) =>
  ["erl", "+S", String(schedulers), "-noshell", "-pa", "build/bench", "-run", "erlang_peer", "main", group, seconds];

const ring = (script, figures, ...args) =>
  ({ who: "wasm, rings", figures, run: mooncast(2, "ring", `spec/bench/${script}`, ...args) });
const port = (script, figures, ...args) =>
  ({ who: "wasm, ports", figures, run: mooncast(2, "port", `spec/bench/${script}`, ...args) });
const native = (script, figures, ...args) =>
  ({ who: "native", figures, run: ["lua5.4", `spec/bench/${script}`, ...args], env: NATIVE });
const stock = (script, figures, ...args) =>
  ({ who: "lua5.4", figures, run: ["lua5.4", `spec/bench/${script}`, "stock", ...args] });
const node = (who, script, figures, ...args) => ({ who, figures, run: ["node", `spec/bench/${script}`, ...args] });

/** Of programs.lua, without "program_". */
export const PROGRAMS = ["fib", "queens", "strings", "tables", "sort", "binary_trees", "methods", "pcall", "error",
  "coroutine", "mandelbrot"];
const SWITCHES = ["switch", "switch_in_pcall"];

const CALLS = ["coroutine_switch", "coroutine_switch_in_pcall", "await", "await_in_pcall", "same_node_call",
  "same_node_cast", "round_trip", "calls_from_100", "cast"];
const GARBAGE = ["same_node_call", "round_trip"].flatMap((call) => [`${call}_allocations`, `${call}_objects`]);
const ACTORS = ["spawn", "actor_bytes", "spawn_remote", "thread_ring"];
const PEERS = [["raw postMessage", "post-message"], ["Comlink", "comlink"], ["workerpool", "workerpool"],
  ["Piscina", "piscina"], ["tinypool", "tinypool"], ["threads", "threads"], ["wasmoon and Comlink", "wasmoon-comlink"]];

const among = (kind) => [`${kind}_among_1000`, `${kind}_among_100000`];
const upTo = (kind) => [`${kind}_up_to_2000`, `${kind}_up_to_100000`];
const SCALE = {
  actors: [...upTo("spawn"), "call_among_2000", "call_among_100000"],
  sleepers: upTo("sleeper"),
  pending: among("round_trip").map((name) => `${name}_pending`),
  nodes: ["round_trip_among_2_nodes", "start_of_node_3", "round_trip_among_3_nodes", "start_of_node_64", "round_trip_among_64_nodes"],
};
const CORE = ["core_actor_among_1000", "core_actor_among_100000", "core_timer_among_1000", "core_timer_among_1000000",
  "core_pending_call_among_1000", "core_pending_call_among_1000000"];

/** @type {Record<string, (seconds: string) => { who: string, figures: string[], run: string[], env?: object }[]>} */
export const groups = {
  calls: (seconds) => [
    ring("calls.lua", CALLS, seconds),
    { who: "wasm, rings, no spin", figures: CALLS, run: mooncast(NO_SPIN_WORKERS, "ring", "spec/bench/calls.lua", seconds) },
    port("calls.lua", CALLS, seconds),
    native("calls.lua", CALLS, seconds),
    { who: "native", figures: GARBAGE, run: ["build/bench/garbage", "figures"] },
    stock("programs.lua", SWITCHES.map((name) => `program_${name}`), seconds, ...SWITCHES),
    node("raw Atomics", "raw.mjs", ["round_trip"], "atomics", seconds),
    node("raw Atomics, spin", "raw.mjs", ["round_trip"], "spin", seconds),
    node("raw postMessage, buffers", "raw.mjs", ["round_trip", "calls_from_100"], "buffers", seconds),
    ...PEERS.map(([who, name]) => node(who, "calls.mjs", ["round_trip", "calls_from_100"], name, seconds)),
    {
      who: "Erlang",
      figures: ["same_node_call", "same_node_calls_from_100", "round_trip", "cast", "gen_server_cast"],
      run: erlang(2, "calls", seconds),
    },
    {
      who: "Erlang, one scheduler",
      figures: ["same_node_call", "same_node_calls_from_100"],
      run: erlang(1, "calls", seconds),
    },
  ],
  values: (seconds) => [
    ring("values.lua", ["value", "cjson"], seconds),
    native("values.lua", ["value", "cjson"], seconds),
    stock("values.lua", ["cjson"], seconds),
    node("JavaScript", "values.mjs", ["structured_clone", "json", "value"], seconds),
  ],
  actors: (seconds) => [
    ring("actors.lua", ACTORS, seconds),
    native("actors.lua", ACTORS, seconds),
    { who: "Erlang", figures: ["spawn", "actor_bytes", "thread_ring"], run: erlang(2, "actors", seconds) },
    { who: "Erlang, one scheduler", figures: ["spawn", "actor_bytes", "thread_ring"], run: erlang(1, "actors", seconds) },
  ],
  // A process for each program: none finds what another left on the heap.
  programs: (seconds) =>
    [...PROGRAMS, ...SWITCHES].flatMap((name) => [
      stock("programs.lua", [`program_${name}`], seconds, name),
      ring("programs.lua", [`program_${name}`], seconds, name),
      node("wasmoon", "programs.mjs", [`program_${name}`], "wasmoon", seconds, name),
      node("fengari", "programs.mjs", [`program_${name}`], "fengari", seconds, name),
    ]),
  start: () => [
    node("bare worker", "start.mjs", ["first_answer", "second_node"], "bare"),
    node("wasm, rings", "start.mjs", ["first_answer", "second_node"], "ring"),
    node("wasm, ports", "start.mjs", ["first_answer", "second_node"], "port"),
    node("wasmoon", "start.mjs", ["first_answer"], "wasmoon"),
    // From the command to its end, what a shell's user waits for.
    { who: "wasm, rings", figures: ["command"], run: mooncast(2, "ring", "web/examples/greeter.lua"), timed: true },
    { who: "native", figures: ["command"], run: ["lua5.4", "web/examples/greeter.lua"], env: NATIVE, timed: true },
    { who: "bare node", figures: ["command"], run: ["node", "-e", "0"], timed: true },
  ],
  scale: (seconds) => [
    ...Object.entries(SCALE).flatMap(([kind, figures]) => [
      native("scale.lua", figures, kind, seconds),
      ring("scale.lua", figures, kind, seconds),
    ]),
    { who: "core", figures: CORE, run: ["build/bench/core", "scale"] },
  ],
};

/** Of a figure, where it is not per second. */
export function unitOf(figure) {
  if (/^core_/.test(figure)) return "ns";
  if (/_(allocations|objects)$/.test(figure)) return "1/call";
  if (/^(first_answer|second_node|command|start_of_node)/.test(figure)) return "ms";
  return figure === "actor_bytes" ? "bytes" : "1/s";
}
