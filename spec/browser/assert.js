/** Node's strict assertions as far as the specs use them, in a page: see node-test.js. */

class AssertionError extends Error {
  name = "AssertionError";
  code = "ERR_ASSERTION";
}

function show(value) {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? "-0" : String(value);
  if (value instanceof Error || value instanceof RegExp) return String(value);
  if (value instanceof Map) return `Map [${[...value].map(show).join(", ")}]`;
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    return `${value.constructor.name} [${Array.from(value.length > 200 ? value.slice(0, 200) : value, show).join(", ")}]`;
  }
  return `{${Object.entries(value).map(([key, each]) => `${key}: ${show(each)}`).join(", ")}}`;
}

function fail(message, usual) {
  if (message instanceof Error) throw message;
  throw new AssertionError(message ?? usual ?? "failed");
}

function sameEntries(a, b, seen) {
  const [keys, others] = [Reflect.ownKeys(a), Reflect.ownKeys(b)].map((list) =>
    list.filter((key) => key !== "length" && !(a instanceof Error && key === "stack")));
  if (keys.length !== others.length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key], seen));
}

function sameMap(a, b, seen) {
  if (a.size !== b.size) return false;
  return [...a].every(([key, value]) => {
    const at = b.has(key) ? key : [...b.keys()].find((other) => same(key, other, seen));
    return b.has(at) && same(value, b.get(at), seen);
  });
}

function same(a, b, seen = new Map()) {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (seen.get(a) === b) return true;
  seen.set(a, b);
  if (a instanceof Date) return Object.is(a.getTime(), b.getTime());
  if (a instanceof RegExp) return String(a) === String(b);
  if (ArrayBuffer.isView(a)) return a.length === b.length && a.every((each, i) => Object.is(each, b[i]));
  if (Array.isArray(a) && a.length !== b.length) return false;
  if (a instanceof Error && (a.message !== b.message || a.name !== b.name)) return false;
  if (a instanceof Map) return sameMap(a, b, seen);
  if (a instanceof Set) return a.size === b.size && [...a].every((each) => [...b].some((other) => same(each, other, seen)));
  return sameEntries(a, b, seen);
}

/** Whether an error is what was expected: a class, a pattern, a function or an object of properties. */
function checkError(error, expected) {
  if (expected === undefined || typeof expected === "string") return;
  if (expected instanceof RegExp) return assert.match(String(error), expected);
  if (typeof expected === "function") {
    const isClass = expected.prototype !== undefined;
    if (isClass ? error instanceof expected : expected(error) === true) return;
    fail(undefined, `not the error expected: ${error}`);
  }
  for (const [key, value] of Object.entries(expected)) {
    if (value instanceof RegExp && typeof error[key] === "string") assert.match(error[key], value);
    else if (!same(error[key], value)) fail(undefined, `the error's ${key} is ${show(error[key])}, not ${show(value)}: ${error}`);
  }
}

function assert(value, message) {
  if (!value) fail(message, `${show(value)} is not true`);
}

Object.assign(assert, {
  AssertionError,
  ok: assert,
  fail: (message) => fail(message),
  equal(a, b, message) {
    if (!Object.is(a, b)) fail(message, `${show(a)} is not ${show(b)}`);
  },
  notEqual(a, b, message) {
    if (Object.is(a, b)) fail(message, `${show(a)} should not be`);
  },
  deepEqual(a, b, message) {
    if (!same(a, b)) fail(message, `${show(a)}\nis not\n${show(b)}`);
  },
  notDeepEqual(a, b, message) {
    if (same(a, b)) fail(message, `${show(a)} should not be`);
  },
  match(text, pattern, message) {
    if (typeof text !== "string" || !pattern.test(text)) fail(message, `${show(text)} does not match ${pattern}`);
  },
  doesNotMatch(text, pattern, message) {
    if (typeof text !== "string" || pattern.test(text)) fail(message, `${show(text)} matches ${pattern}`);
  },
  throws(body, expected, message) {
    let error;
    try {
      body();
    } catch (thrown) {
      error = { thrown };
    }
    if (!error) fail(message, "nothing was thrown");
    checkError(error.thrown, expected);
  },
  async rejects(promise, expected, message) {
    const given = typeof promise === "function" ? promise() : promise;
    const error = await given.then(() => undefined, (thrown) => ({ thrown }));
    if (!error) fail(message, "it was not rejected");
    checkError(error.thrown, expected);
  },
});

export default assert;
