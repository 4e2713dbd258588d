/** What the test pages run, collected from the project's folder. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { excludedImports, excludedJs, excludedLuaTests, excludedSpecs } from "./excluded.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Where Debian's packages put busted and what it needs. */
const LUA_PATH = "/usr/share/lua/5.4";

function filesIn(folder, extension) {
  return readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(extension)).sort();
}

/** Test files in JavaScript: those that import node's test runner. */
export function jsFiles() {
  const files = filesIn(join(ROOT, "spec"), "js").map((name) => `spec/${name}`);
  const isTest = (path) => /^import .* from "node:test";$/m.test(readFileSync(join(ROOT, path), "utf8"));
  return files.filter((path) => /\.m?js$/.test(path) && !path.includes("node_modules") && isTest(path));
}

/** What is excluded, and what is said to stand for it, is there. */
function checkExcluded() {
  const named = [...Object.keys(excludedJs), ...Object.keys(excludedSpecs), ...Object.keys(excludedImports).map((name) => `spec/${name}`)];
  for (const reason of Object.values(excludedJs)) named.push(...(reason.match(/spec\/\S+\.js/g) ?? []));
  for (const path of named) if (!existsSync(join(ROOT, path))) throw new Error(`spec/browser/excluded.js names ${path}, which is not there`);
}

/** Those of them that a page runs. @param {string} [only] what their paths contain */
export function jsSuite(only = "") {
  checkExcluded();
  const unfit = (path) => {
    const source = readFileSync(join(ROOT, path), "utf8");
    return path in excludedJs || Object.keys(excludedImports).some((name) => source.includes(`${name}";`));
  };
  return jsFiles().filter((path) => path.includes(only) && !unfit(path)).map((path) => `/${path}`);
}

/** What busted is called with, and the files that a node's memory must hold for it. */
export function luaSuite() {
  const files = {};
  for (const folder of ["spec", "lua", "web/examples"]) {
    for (const name of filesIn(join(ROOT, folder), ".lua")) add(`${folder}/${name}`, join(ROOT, folder, name));
  }
  for (const [folder, extension] of [["spec/vectors", ".json"], ["docs", ".md"]]) {
    for (const name of filesIn(join(ROOT, folder), extension)) add(`${folder}/${name}`, join(ROOT, folder, name));
  }
  for (const name of filesIn(LUA_PATH, ".lua")) add(`${LUA_PATH}/${name}`, join(LUA_PATH, name));
  // Those under sim/ want a driver of simulated nodes and skip themselves.
  const specs = Object.keys(files).filter((path) => /^spec\/.*_spec\.lua$/.test(path) && !path.startsWith("spec/sim/"));
  const without = Object.keys(excludedLuaTests).map((name) => `--filter-out=${name}`);
  return { files, args: ["--helper=spec/support/leaks.lua", "-Xoutput=names", ...without, ...specs.filter((path) => !(path in excludedSpecs))] };

  function add(path, from) {
    files[path] = readFileSync(from, "utf8");
  }
}

/** What spec/browser/transcript.test.js compares with: its program's output in Node. */
export function transcript() {
  const args = ["one", "two words", ""];
  const cli = ["worker-shell/cli.js", "--workers", "1", "spec/support/transcript.lua"];
  const expected = execFileSync("node", [...cli, ...args], { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return { args, expected };
}
