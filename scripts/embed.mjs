// Writes the C file that holds the Lua library's sources: node scripts/embed.mjs OUT lua/*.lua
// `lua/mooncast.lua` becomes the module "mooncast", `lua/x.lua` becomes "mooncast.x".
//
// Comments and indentation stay behind, a third of what a page downloads for this; lines stay where
// they are, so that tracebacks name the right ones.
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

// Comments of both kinds, strings of all kinds, the space on both sides of a line's end.
const TOKEN =
  /[ \t]*--\[(=*)\[.*?\]\1\]|[ \t]*--[^\n]*|\[(=*)\[.*?\]\2\]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[ \t]*\n[ \t]*/gs;

function squeeze(source) {
  return source.replace(TOKEN, (token) => {
    const text = token.trimStart();
    if (text.startsWith("--")) return text.replace(/[^\n]/g, "") || " ";
    return text === "" ? "\n" : token;
  });
}

const [out, ...sources] = process.argv.slice(2);
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
  entries.push(`  {"${name}", (const char *)${array}, ${bytes.length}},`);
}
lines.push("const struct mc_embedded mc_embedded[] = {", ...entries, "  {0, 0, 0},", "};", "");
writeFileSync(out, lines.join("\n"));
