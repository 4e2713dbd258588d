// Writes worker-shell/error-codes.js from the list in the C header: node scripts/error-codes.mjs
// With --check it writes nothing and fails when the file is not what it would write.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const header = new URL("../runtime/include/mooncast.h", import.meta.url);
const target = new URL("../worker-shell/error-codes.js", import.meta.url);

/** The codes of MC_ERRORS in their order, which is their number on the wire. */
export function codesFromHeader() {
  const list = readFileSync(header, "utf8").match(/#define MC_ERRORS\(X\)((?:.*\\\n)+.*)/);
  return [...list[1].matchAll(/X\(\w+, "(\w+)"\)/g)].map((match) => match[1]);
}

/** The text of the module. */
export function render() {
  const lines = codesFromHeader().map((code) => `  "${code}",`);
  return [
    "// Made by scripts/error-codes.mjs from MC_ERRORS in runtime/include/mooncast.h.",
    "",
    "/** The codes of system errors; a code's number on the wire is its place here, from 1. */",
    "export const errorCodes = Object.freeze([",
    ...lines,
    "]);",
    "",
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes("--check")) writeFileSync(target, render());
  else if (readFileSync(target, "utf8") !== render()) {
    console.error("worker-shell/error-codes.js is stale: node scripts/error-codes.mjs");
    process.exitCode = 1;
  }
}
