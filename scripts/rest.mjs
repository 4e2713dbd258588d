// Writes bindings/rest.txt anew: node scripts/rest.mjs, after `make wasm`.
//
// The programs below run in an instrumented wasm. What they do not call is listed; so are the Lua modules
// that RARE names.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { createSystem } from "../worker-shell/system.js";
import { binaryen } from "./binaryen.mjs";
import { parse } from "./wasm-calls.mjs";

const root = fileURLToPath(new URL("../", import.meta.url));
const list = join(root, "bindings/rest.txt");
const whole = join(root, "build/wasm/whole.wasm");

const PROGRAMS = [
  ["spec/fixtures/ordinary.lua"],
  ["web/examples/greeter.lua"],
  ["web/examples/wordcount.lua", "README.md"],
  ["spec/bench/programs.lua", 1e-6],
];

const folder = mkdtempSync(join(tmpdir(), "mooncast-rest-"));
const profiles = [];
process.env.MOONCAST_PROFILES = folder;
binaryen("wasm-split", whole, "--instrument", "-g", "-o", join(folder, "whole.wasm"));
for (const link of ["ring", "port"]) {
  for (const [file, ...args] of PROGRAMS) {
    const system = await createSystem({
      workers: 2,
      link,
      wasm: join(folder, "whole.wasm"),
      workerUrl: new URL("./rest-worker.mjs", import.meta.url),
      stdout: () => {},
    });
    await system.run(join(root, file), ...args);
    await system.close();
  }
}
for (const name of readdirSync(folder)) if (name.endsWith(".profile")) profiles.push(readFileSync(join(folder, name)));
rmSync(folder, { recursive: true });
if (profiles.length === 0) throw new Error("no node has written what it called");

// A profile is a hash of the wasm, and of each function when it was first called.
const names = [...parse(binaryen("wasm-dis", whole, "-o", "-")).callers.keys()];
const called = (i) => profiles.some((profile) => profile.readUInt32LE(8 + 4 * i) !== 0);
const rare = names.filter((_, i) => !called(i)).sort();
const head = readFileSync(list, "utf8").match(/^(?:[^\n]*\S[^\n]*\n)*/)[0];
writeFileSync(list, `${head}\n${rare.join("\n")}\n`);
console.log(`${rare.length} of ${names.length} functions are rare`);
