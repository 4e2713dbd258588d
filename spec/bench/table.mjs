/** The figures as tables in Markdown. */

const TITLES = {
  calls: "Calls and casts",
  values: "Values",
  actors: "Actors",
  programs: "Lua programs",
  start: "Start and download",
  scale: "Scale",
};

const NOTES = {
  calls: `One integer there and back. \`same_node_call\` stays in its node; \`round_trip\` (one after the other),
\`calls_from_100\` (a hundred callers at a time) and \`cast\` go to another thread. Rings spin for up to ten
microseconds while each node has a processor; "no spin" is a node more than there are processors, so none does.
\`_allocations\` and \`_objects\` are what one of 100,000 warm calls asks of malloc, and makes in Lua's heaps, on both
sides together.`,
  values: "Encoding and decoding a table of fifteen fields in three levels.",
  actors: `\`spawn\` is local, \`spawn_remote\` from a hundred callers to another node. \`thread_ring\` is hops per second
of one token through 503 actors of one node, a cast each. \`actor_bytes\` is what the process grows by, with a reference
to each of 100,000 actors kept. Erlang with one scheduler keeps everything on one thread too.`,
  programs: `How often per second each program of spec/bench/lua does its work. The same files run everywhere.
\`switch\` is a thousand pairs of resume and yield, in \`switch_in_pcall\` each yield is the first in a pcall of its own.`,
  start: `In one process that has imported the modules: from \`createSystem\` to an answer from its one node, and from
\`startNode\` to one of the second. The bare worker says that it is there and nothing else. \`command\` is
the whole run of a small program from the shell, on two nodes.`,
  scale: `Among few and among many of their kind. \`core_\`: nanoseconds to add one and take it away again.
Two nodes on two processors look before they sleep, three do not: hence the round trip among three.`,
};

const DIGITS = 3;

function number(value, unit) {
  if (unit === "ms" || value < 100) return String(Number(value.toPrecision(DIGITS)));
  return String(Number(Math.round(value).toPrecision(4))).replace(/\B(?=(\d{3})+$)/g, ",");
}

const row = (cells) => `| ${cells.join(" | ")} |`;

function table(head, rows) {
  return [row(head), row(head.map(() => "---")), ...rows.map(row)].join("\n");
}

function goalTable(goals) {
  return table(["goal", "at", "measured", "best runs", "reached"], goals.map(({ goal, value, at_best, least, most, missing, reached }) => [
    goal,
    least === undefined ? `most ${number(most)}` : `least ${number(least)}`,
    missing ? `missing: ${missing}` : number(value),
    missing ? "" : number(at_best),
    missing ? "" : reached ? "yes" : "no",
  ]));
}

function cell(line) {
  if (!line) return "";
  if (line.median === undefined) return `missing: ${line.missing}`;
  const range = line.runs > 1 ? ` (${number(line.min, line.unit)} to ${number(line.max, line.unit)})` : "";
  return `${number(line.median, line.unit)}${range}${line.failed ? `; only ${line.runs} runs: ${line.failed}` : ""}`;
}

function figureTable(lines) {
  const figures = [...new Set(lines.map((line) => line.figure))];
  const rows = figures.flatMap((figure) =>
    lines.filter((line) => line.figure === figure).map((line, i) => [
      i === 0 ? `\`${figure}\`` : "", line.who, cell(line), line.unit,
    ]));
  return table(["figure", "who", "median (least to most)", "unit"], rows);
}

function section(group, lines, goals) {
  const parts = [`## ${TITLES[group]}`, NOTES[group]];
  if (goals.length) parts.push(goalTable(goals));
  return [...parts, figureTable(lines)].join("\n\n");
}

/** All that was measured, a section for each group. */
export function tables(lines, goals) {
  const groups = [...new Set(lines.map((line) => line.group))];
  const of = (list, group) => list.filter((each) => each.group === group);
  return `${groups.map((group) => section(group, of(lines, group), of(goals, group))).join("\n\n")}\n`;
}

const BUSY = `

**The machine was busy with other things when this was measured: the figures below show that everything runs, and
little more.**`;

/** docs/benchmarks.md. */
export function page(about, lines, goals) {
  const { cpu, processors, memory_gib, platform, versions, runs, seconds, load_before, load_after } = about;
  const reached = goals.filter((goal) => goal.reached).length;
  const busy = load_before > processors / 2;
  return `# Benchmarks

\`make bench\` measures all of this, installs the peers it is measured against (npm packages into spec/bench, Erlang and
lua-cjson from Debian) and writes this page. \`make bench BENCH=calls\` runs one group and prints it, \`BENCH_RUNS\` and
\`BENCH_SECONDS\` make it shorter. Every program stands in spec/bench. In a page: [benchmarks-browser.md](benchmarks-browser.md).

Only ratios of one run mean something: machines differ, and under 30 % is noise. Everybody runs the same work with
arguments of the same size, in a process of its own, warmed up, in turn with the others, as its documentation says is
fastest. What could not run is there as missing. "Best runs" compares the run of each that was disturbed least.

- ${cpu ?? "unknown processor"}, ${processors} processors, ${memory_gib} GiB, ${platform}
- ${Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")}
- medians of ${runs} runs, ${seconds} s for each figure; load of the machine before ${load_before}, after ${load_after}
- goals reached: ${reached} of ${goals.length}${busy ? BUSY : ""}

${tables(lines, goals)}`;
}

/** docs/benchmarks-browser.md. */
export function browserPage(about, figures) {
  const { cpu, processors, memory_gib, platform, versions, load_before, load_after } = about;
  const rows = figures.map(({ name, value, min, max }) => {
    const [, who, figure, unit] = name.match(/^(.*): (.*?),? (\S+)$/);
    return [who, figure, `${number(value, unit)} (${number(min, unit)} to ${number(max, unit)})`, unit];
  });
  return `# Benchmarks in Chromium

\`make bench-browser\` measures this in one cross-origin isolated page and writes it: one integer there and back between
two workers, each figure the median of three runs in turn with the others. Only ratios of one run mean something.

- ${cpu ?? "unknown processor"}, ${processors} processors, ${memory_gib} GiB, ${platform}
- comlink ${versions.comlink}, wasmoon ${versions.wasmoon}
- load of the machine before ${load_before}, after ${load_after}${load_before > processors / 2 ? BUSY : ""}

${table(["who", "figure", "median (least to most)", "unit"], rows)}
`;
}
