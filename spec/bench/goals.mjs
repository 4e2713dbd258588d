// What the figures should come to, as ratios of medians of one run. `of` computes one from
// median(figure, who), which throws where it is missing; it is compared with `least` or `most`.
import { PROGRAMS } from "./groups.mjs";

const WASM = "wasm, rings";
const STILL = "wasm, rings, no spin";
const ERLANG = ["Erlang", "Erlang, one scheduler"];
const RAW = ["raw postMessage", "raw postMessage, buffers"];

/** The best of those that are there. */
function best(median, figure, all) {
  const found = all.flatMap((who) => median.has(figure, who) ? [median(figure, who)] : []);
  return found.length ? Math.max(...found) : median(figure, all[0]);
}

/** A rate against that of others. */
const times = (who, figure, others, ofFigure = figure) => (median) =>
  median(figure, who) / best(median, ofFigure, [others].flat());

const geometricMean = (list) => Math.exp(list.reduce((sum, value) => sum + Math.log(value), 0) / list.length);

const flat = (group, who, what, few, many, unit) => ({
  group,
  what: `${who}: ${what}`,
  of: (median) => unit ? median(many, who) / median(few, who) : median(few, who) / median(many, who),
  most: 2,
});

export const goals = [
  { group: "calls", what: "wasm: a same-node call, in resume/yield pairs", of: times(WASM, "coroutine_switch", WASM, "same_node_call"), most: 3 },
  { group: "calls", what: "native: a same-node call, in resume/yield pairs", of: times("native", "coroutine_switch", "native", "same_node_call"), most: 3 },
  {
    group: "calls",
    what: "native: a same-node call, in resume/yield pairs of stock lua5.4",
    of: (median) => (1000 * median("program_switch", "lua5.4")) / median("same_node_call", "native"),
    most: 3,
  },
  { group: "calls", what: "native: same-node calls against Erlang's gen_server:call", of: times("native", "same_node_call", ERLANG), least: 1 },

  { group: "calls", what: "rings without spin: round trip against raw Atomics without spin", of: times(STILL, "round_trip", "raw Atomics"), least: 0.8 },
  { group: "calls", what: "rings: round trips per second with the adaptive spin on two free cores", of: (median) => median("round_trip", WASM), least: 500e3 },
  ...[[WASM, "rings"], [STILL, "rings without spin"]].flatMap(([who, name]) => [
    { group: "calls", what: `${name}: round trip against Comlink`, of: times(who, "round_trip", "Comlink"), least: 3 },
    { group: "calls", what: `${name}: round trip against wasmoon and Comlink`, of: times(who, "round_trip", "wasmoon and Comlink"), least: 8 },
  ]),

  { group: "calls", what: "rings: 100 callers against raw postMessage", of: times(WASM, "calls_from_100", RAW), least: 6 },
  { group: "calls", what: "rings: 100 callers against Comlink", of: times(WASM, "calls_from_100", "Comlink"), least: 25 },
  { group: "calls", what: "rings: 100 callers against wasmoon and Comlink", of: times(WASM, "calls_from_100", "wasmoon and Comlink"), least: 300 },
  { group: "calls", what: "ports: 100 callers against raw postMessage", of: times("wasm, ports", "calls_from_100", RAW), least: 3 },

  { group: "calls", what: "rings: casts against calls of 100 callers", of: times(WASM, "cast", WASM, "calls_from_100"), least: 1 },
  { group: "calls", what: "native: casts across threads against Erlang's sends across two schedulers", of: times("native", "cast", "Erlang"), least: 1 },

  ...[["same_node_call", "a same-node call"], ["round_trip", "a round trip between threads"]].flatMap(([call, what]) => [
    { group: "calls", what: `native: allocations of ${what}, Lua's aside`, of: (median) => median(`${call}_allocations`, "native"), most: 1 },
    { group: "calls", what: `native: Lua objects of ${what}`, of: (median) => median(`${call}_objects`, "native"), most: 2 },
  ]),

  { group: "values", what: "wasm: a value's round trip against structuredClone", of: times(WASM, "value", "JavaScript", "structured_clone"), least: 1 },
  { group: "values", what: "wasm: against JSON in JavaScript", of: times(WASM, "value", "JavaScript", "json"), least: 1 },
  { group: "values", what: "wasm: against cjson in the same wasm", of: times(WASM, "value", WASM, "cjson"), least: 1 },
  { group: "values", what: "native: against cjson, in the same Lua or Debian's in stock Lua", of: times("native", "value", ["native", "lua5.4"], "cjson"), least: 1 },
  { group: "values", what: "native: against structuredClone", of: times("native", "value", "JavaScript", "structured_clone"), least: 1 },
  { group: "values", what: "native: against JSON in JavaScript", of: times("native", "value", "JavaScript", "json"), least: 1 },

  { group: "actors", what: "native: 503-actor ring, 100,000 hops, against Erlang", of: times("native", "thread_ring", ERLANG), least: 1 },
  { group: "actors", what: "wasm: 503-actor ring, 100,000 hops, against Erlang", of: times(WASM, "thread_ring", ERLANG), least: 1 },
  ...["native", WASM].flatMap((who) => [
    { group: "actors", what: `${who}: spawns against Erlang's`, of: times(who, "spawn", ERLANG), least: 1 },
    { group: "actors", what: `${who}: bytes for an actor without state`, of: (median) => median("actor_bytes", who), most: 512 },
    { group: "actors", what: `${who}: remote spawns of 100 callers against local ones`, of: times(who, "spawn_remote", who, "spawn"), least: 0.5 },
  ]),

  ...PROGRAMS.filter((name) => name !== "error" && name !== "coroutine").map((name) => (
    { group: "programs", what: `wasm: ${name} against wasmoon`, of: times(WASM, `program_${name}`, "wasmoon"), least: 1 })),
  {
    group: "programs",
    what: "wasm: time of all programs against lua5.4, geometric mean",
    of: (median) => geometricMean(PROGRAMS.map((name) => times("lua5.4", `program_${name}`, WASM)(median))),
    most: 2,
  },
  { group: "programs", what: "wasm: time of a coroutine switch against lua5.4", of: times("lua5.4", "program_switch", WASM), most: 2 },
  { group: "programs", what: "wasm: an await as the first inside a pcall, in switches", of: times(WASM, "program_switch", WASM, "program_switch_in_pcall"), most: 2 },

  ...[[WASM, "rings"], ["wasm, ports", "ports"]].flatMap(([who, name]) => [
    { group: "start", what: `${name}: first answer, milliseconds beyond a bare worker's`, of: (median) => median("first_answer", who) - median("first_answer", "bare worker"), most: 5 },
    { group: "start", what: `${name}: start of a second node, milliseconds beyond a bare worker's`, of: (median) => median("second_node", who) - median("second_node", "bare worker"), most: 5 },
  ]),
  { group: "start", what: "download with brotli, bytes", of: (median) => median("page", "download"), most: 115000 },

  ...["native", WASM].flatMap((who) => [
    flat("scale", who, "a call among 100,000 actors against one among 2000", "call_among_2000", "call_among_100000"),
    flat("scale", who, "a spawn on the way to 100,000 actors against one to 2000", "spawn_up_to_2000", "spawn_up_to_100000"),
    flat("scale", who, "a sleeping task on the way to 100,000 against one to 2000", "sleeper_up_to_2000", "sleeper_up_to_100000"),
    flat("scale", who, "a round trip among 100,000 pending calls against one among 1000", "round_trip_among_1000_pending", "round_trip_among_100000_pending"),
    flat("scale", who, "a round trip among 64 nodes against one among 3", "round_trip_among_3_nodes", "round_trip_among_64_nodes"),
    flat("scale", who, "the start of the 64th node against the third's", "start_of_node_3", "start_of_node_64", "ms"),
  ]),
  flat("scale", "core", "an actor among 100,000 against one among 1000", "core_actor_among_1000", "core_actor_among_100000", "ns"),
  flat("scale", "core", "a timer among a million against one among 1000", "core_timer_among_1000", "core_timer_among_1000000", "ns"),
  flat("scale", "core", "a pending call among a million against one among 1000", "core_pending_call_among_1000", "core_pending_call_among_1000000", "ns"),
];
