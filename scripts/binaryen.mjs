/** Binaryen's tools, where emscripten has them. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

// What clang makes by default, and exceptions.
const FEATURES = ["exception-handling", "mutable-globals", "bulk-memory", "sign-ext", "nontrapping-float-to-int"];

let root;

/** Runs a tool. @returns {string} what it prints */
export function binaryen(tool, ...args) {
  root ??= execFileSync("em-config", ["BINARYEN_ROOT"], { encoding: "utf8" }).trim();
  const features = FEATURES.map((name) => `--enable-${name}`);
  const options = { encoding: "utf8", maxBuffer: 2 ** 30, stdio: ["ignore", "pipe", "pipe"] };
  return execFileSync(join(root, "bin", tool), [...features, ...args], options);
}
