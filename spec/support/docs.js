/** The pages of documentation, cut into their fenced blocks. */
import { readFileSync, readdirSync } from "node:fs";

const FENCE = /^```(\w+)\n(.*?)^```$/gms;

export const root = new URL("../../", import.meta.url);

/** The pages, by their path from the repository's folder. */
export function pages() {
  const docs = readdirSync(new URL("docs/", root)).filter((name) => name.endsWith(".md")).sort();
  return ["README.md", "CHANGELOG.md", ...docs.map((name) => `docs/${name}`)];
}

export function read(page) {
  return readFileSync(new URL(page, root), "utf8");
}

/**
 * @typedef {object} Block
 * @property {string} language @property {string} text @property {number} line where it begins
 * @property {string} [output] the text of the `text` block behind it: what it prints
 */

/** @returns {Block[]} without the `text` blocks, which stand with what prints them */
export function blocks(page) {
  const source = read(page);
  const found = [];
  for (const { 1: language, 2: text, index } of source.matchAll(FENCE)) {
    const line = source.slice(0, index).split("\n").length;
    if (language !== "text") found.push({ language, text, line });
    else if (found.length === 0 || found.at(-1).output !== undefined) throw new Error(`${page}:${line}: output of what?`);
    else found.at(-1).output = text;
  }
  return found;
}
