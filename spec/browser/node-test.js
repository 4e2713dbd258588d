/**
 * Node's test runner as far as the specs use it, in a page: they import "node:test", which the page's
 * import map sends here. Tests run one after the other when `run` is called.
 */
import { report } from "./report.js";

/** A busy browser on a busy machine; no test here waits for a time. */
const TEST_LIMIT_MS = 60_000;
/** So often the runner hears that the page is there: a test has its own limit. */
const ALIVE_MS = 20_000;

const newSuite = (name, parent) => ({ name, parent, items: [], before: [], after: [], beforeEach: [], afterEach: [] });
const root = newSuite("", undefined);
let current = root;

const split = (options, fn) => (typeof options === "function" ? [{}, options] : [options, fn]);

export function describe(name, options, fn) {
  const [{ skip }, body] = split(options, fn);
  const suite = newSuite(name, current);
  if (skip) return;
  current.items.push(suite);
  current = suite;
  try {
    body();
  } finally {
    current = suite.parent;
  }
}

export function it(name, options, fn) {
  const [{ skip, timeout = TEST_LIMIT_MS }, body] = split(options, fn);
  if (!skip) current.items.push({ name, body, timeout });
}

const hook = (kind) => (fn) => void current[kind].push(fn);
export const before = hook("before");
export const after = hook("after");
export const beforeEach = hook("beforeEach");
export const afterEach = hook("afterEach");
export { it as test };
export default it;

function limited(promise, ms) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it took longer than ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Runs a body; whether it went well. */
async function attempt(name, body, ms = TEST_LIMIT_MS) {
  try {
    await limited((async () => body({ diagnostic() {} }))(), ms);
    return true;
  } catch (error) {
    report({ type: "fail", name, text: `${error?.message ?? error}\n${error?.stack ?? ""}` });
    return false;
  }
}

async function runTest(test, suite, path) {
  const name = `${path} > ${test.name}`;
  report({ type: "start", name });
  const around = [];
  for (let each = suite; each; each = each.parent) around.unshift(each);
  const ok = await attempt(name, async (context) => {
    for (const { beforeEach } of around) for (const fn of beforeEach) await fn();
    try {
      await test.body(context);
    } finally {
      for (const { afterEach } of around.reverse()) for (const fn of afterEach) await fn();
    }
  }, test.timeout);
  if (ok) await report({ type: "pass", name });
}

async function runSuite(suite, path) {
  for (const fn of suite.before) if (!(await attempt(`${path}, before`, fn))) return;
  for (const item of suite.items) {
    if (item.items) await runSuite(item, `${path} > ${item.name}`);
    else await runTest(item, suite, path);
  }
  for (const fn of suite.after) await attempt(`${path}, after`, fn);
}

/** Runs what was declared since the last time. */
export async function run(name) {
  const suite = { ...root, items: root.items.splice(0), before: root.before.splice(0), after: root.after.splice(0) };
  const alive = setInterval(() => report({ type: "alive" }), ALIVE_MS);
  await runSuite(suite, name);
  clearInterval(alive);
}
