/** What stands in the table for functions of the wasm's second part, in the first part's text. */
import { callOf } from "./wasm-by-table.mjs";

/**
 * wasm-split imports a function for each, so that instantiating would make hundreds in JavaScript. These are instead
 * of the wasm: each calls the one import `load`, then whatever is in its place now.
 * @param {string} text as wasm-dis writes it @param {string} part the second's name
 */
export function standIns(text, part) {
  const imported = new RegExp(`^ \\(import "${part}" "(\\d+)" \\(func (\\S+)((?: \\((?:param|result)[^)]*\\))*)\\)\\)\\n`, "gm");
  const found = [...text.matchAll(imported)].map(([, index, name, type]) => ({ index, name, type }));
  if (found.length === 0) throw new Error(`nothing is imported from ${part}`);
  const load = ` (import "${part}" "load" (func $load))\n`;
  const at = text.indexOf(` (import "${part}"`);
  const without = (text.slice(0, at) + load + text.slice(at)).replace(imported, "");
  // Alike beside alike: they compress better.
  const functions = found
    .sort((a, b) => (a.type < b.type ? -1 : a.type > b.type ? 1 : 0))
    .map(({ index, name, type }) => callOf({ func: name, type, place: index, before: "(call $load) " }));
  return without.replace(/\)\s*$/, `${functions.join("\n")}\n)\n`);
}
