// Splits the linked wasm in two: node scripts/split.mjs WHOLE LIST FIRST REST
//
// FIRST gets what nearly every program runs, REST the functions and Lua modules that LIST names; see
// worker-shell/rest.js for how they come together. Functions that only those of the list call go with
// them. Names that no function has are passed over: compilers differ in what they inline.
import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";

import { binaryen } from "./binaryen.mjs";
import { readList } from "./rest-list.mjs";
import { squeeze } from "./squeeze.mjs";
import { parse } from "./wasm-calls.mjs";
import { callByTable } from "./wasm-by-table.mjs";
import { memoryOf, moveData } from "./wasm-data.mjs";
import { standIns } from "./wasm-stand-ins.mjs";
import { stringsOf } from "./wasm-strings.mjs";

const [whole, list, ...goals] = process.argv.slice(2);
// Programs that run meanwhile find the parts as they were: nodes load the second when they need it.
const [first, rest] = goals.map((_, i) => `${whole}.${i + 1}`);
const { functions: listed, modules } = readList(list);
const wholeText = binaryen("wasm-dis", whole, "-o", "-");
const { callers, kept } = parse(wholeText);

const moved = new Set(listed.filter((name) => callers.has(name)));
// Until nothing follows any more.
for (let before = -1; before !== moved.size; ) {
  before = moved.size;
  for (const [name, by] of callers) {
    if (!kept.has(name) && by.size > 0 && [...by].every((caller) => moved.has(caller))) moved.add(name);
  }
}

// Parts of one build know each other by this.
const part = `rest:${createHash("sha256").update(readFileSync(whole)).digest("hex").slice(0, 8)}`;
const functions = `${whole}.rest`;
writeFileSync(functions, [...moved].join("\n"));
binaryen("wasm-split", whole, `--split-funcs=@${functions}`, `--import-namespace=${part}`,
  `--placeholder-namespace=${part}`, "--export-prefix=%", "-o1", first, "-o2", rest);
const textOf = (file) => binaryen("wasm-dis", file, "-o", "-");
const linked = callByTable(standIns(textOf(first), part), textOf(rest), part);
for (const [file, text] of [[first, linked.first], [rest, linked.rest]]) {
  const source = `${whole}.wat`;
  writeFileSync(source, text);
  binaryen("wasm-as", source, "-o", file);
  binaryen("wasm-opt", file, "-Oz", "--strip-debug", "--strip-producers", "--strip-target-features", "-o", file);
}

// Where those modules' sources and those functions' messages lay in memory are zeros until the second part,
// when it comes, puts them there.
const memory = memoryOf(readFileSync(whole));
const sources = [...modules].map((path) => {
  const bytes = Buffer.from(squeeze(readFileSync(path, "utf8")));
  const at = memory.bytes.indexOf(bytes);
  if (at < 0) throw new Error(`the wasm has not ${path}`);
  return { address: memory.start + at, bytes };
});
const parts = moveData(readFileSync(first), readFileSync(rest), [...sources, ...stringsOf(wholeText, moved, memory)]);
writeFileSync(first, parts.from);
writeFileSync(rest, parts.to);
renameSync(rest, goals[1]);
renameSync(first, goals[0]);
