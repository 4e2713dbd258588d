// Calls between two workers in a browser, beside raw messages, Comlink and wasmoon in the same page: prints a JSON
// line for each figure, the median of three; in Chromium it also writes docs/benchmarks-browser.md.
// `node spec/bench/browser.mjs [chromium|firefox|webkit]`
import { writeFileSync } from "node:fs";

import { openPage } from "../browser/engines.js";
import { startServer } from "../browser/server.js";
import { load, machine } from "./machine.mjs";
import { browserPage } from "./table.mjs";

const engine = process.argv[2] ?? "chromium";
const LIMIT_MS = 120_000;

let end;
const ended = new Promise((resolve) => (end = resolve));
const fail = (why) => {
  console.error(why);
  process.exitCode = 1;
  end();
};

const figures = [];
const rounded = (value) => Number(value.toFixed(value < 1000 ? 1 : 0));

function onReport({ name, value, min, max, error, end: last }) {
  if (error) return fail(error);
  if (last) return end();
  figures.push({ name, value: rounded(value), min: rounded(min), max: rounded(max) });
  return console.log(JSON.stringify({ engine, ...figures.at(-1) }));
}

const about = { ...machine(), load_before: load() };
const server = await startServer({ isolated: true, onReport, onMissing: (path) => fail(`${path} is not there: npm ci in spec/bench`) });
const page = openPage(engine, `${server.origin}/spec/bench/browser/index.html`, { onExit: fail });
const limit = setTimeout(() => fail(`it took longer than ${LIMIT_MS / 1000} s`), LIMIT_MS);
await ended;
clearTimeout(limit);
await page.close();
await server.close();
about.load_after = load();
if (engine === "chromium" && process.exitCode === undefined) {
  writeFileSync(new URL("../../docs/benchmarks-browser.md", import.meta.url), browserPage(about, figures));
}
