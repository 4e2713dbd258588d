// Writes the C file that holds the Lua library's sources: node scripts/embed.mjs OUT REST lua/*.lua
// REST lists the modules that are in the wasm's second part, see bindings/rest.txt.
// `lua/mooncast.lua` becomes the module "mooncast", `lua/x.lua` becomes "mooncast.x".
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

import { readList } from "./rest-list.mjs";
import { squeeze } from "./squeeze.mjs";

const [out, list, ...sources] = process.argv.slice(2);
const { modules } = readList(list);
const lines = ["// Made by scripts/embed.mjs from lua/*.lua.", '#include "embedded.h"', ""];
const entries = [];
for (const path of sources.sort()) {
  const module = basename(path, ".lua");
  const bytes = Buffer.from(squeeze(readFileSync(path, "utf8")));
  // A list of numbers: a string literal of this length is more than C promises to take.
  const rows = [];
  for (let i = 0; i < bytes.length; i += 32) rows.push(bytes.subarray(i, i + 32).join(",") + ",");
  const array = `source_${entries.length}`;
  lines.push(`static const unsigned char ${array}[] = {`, ...rows, "0};");
  const name = module === "mooncast" ? module : `mooncast.${module}`;
  entries.push(`  {"${name}", (const char *)${array}, ${bytes.length}, ${modules.has(path) ? 1 : 0}},`);
}
lines.push("const struct mc_embedded mc_embedded[] = {", ...entries, "  {0, 0, 0, 0},", "};", "");
writeFileSync(out, lines.join("\n"));
