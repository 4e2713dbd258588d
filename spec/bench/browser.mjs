// Calls between two workers in a browser, beside raw messages and Comlink in the same page: prints a JSON
// line for each figure, the median of three. `node spec/bench/browser.mjs [chromium|firefox|webkit]`
import { openPage } from "../browser/engines.js";
import { startServer } from "../browser/server.js";

const engine = process.argv[2] ?? "chromium";
const LIMIT_MS = 120_000;

let end;
const ended = new Promise((resolve) => (end = resolve));
const fail = (why) => {
  console.error(why);
  process.exitCode = 1;
  end();
};

function onReport({ name, value, error, end: last }) {
  if (error) return fail(error);
  if (last) return end();
  const digits = value < 1000 ? 1 : 0;
  return console.log(JSON.stringify({ engine, name, value: Number(value.toFixed(digits)) }));
}

const server = await startServer({ isolated: true, onReport, onMissing: (path) => fail(`${path} is not there: npm ci in spec/bench`) });
const page = openPage(engine, `${server.origin}/spec/bench/browser/index.html`, { onExit: fail });
const limit = setTimeout(() => fail(`it took longer than ${LIMIT_MS / 1000} s`), LIMIT_MS);
await ended;
clearTimeout(limit);
await page.close();
await server.close();
