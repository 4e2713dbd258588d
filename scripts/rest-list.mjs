/** What bindings/rest.txt lists. */
import { readFileSync } from "node:fs";

/** @returns {{ functions: string[], modules: Set<string> }} C functions, and paths of Lua modules */
export function readList(path) {
  const words = readFileSync(path, "utf8").replace(/#.*/g, "").split(/\s+/).filter((word) => word !== "");
  const isModule = (word) => word.endsWith(".lua");
  return { functions: words.filter((word) => !isModule(word)), modules: new Set(words.filter(isModule)) };
}
