/**
 * What travels with a call beside its arguments: the trace, a number, and the context, a few keys with
 * plain values. Between nodes a context is the bytes of one map, which nobody on the way looks into.
 */
import { Reader, Writer, malformed } from "./cbor.js";
import { MAX_CONTEXT } from "./envelope.js";
import { ActorError } from "./errors.js";
import { randomId } from "./random.js";
import { decodeValue, encodeValue } from "./value.js";

const EMPTY = Object.freeze({});
const SCALARS = new Set(["boolean", "number", "bigint", "string"]);

function isScalar(value) {
  return SCALARS.has(typeof value) || value instanceof Uint8Array;
}

function bad(text) {
  return new ActorError("bad_arguments", text);
}

/** @param {Uint8Array | null} bytes as they came @returns {Readonly<Record<string, unknown>>} */
export function decodeContext(bytes) {
  if (!bytes) return EMPTY;
  const reader = new Reader(bytes);
  const context = decodeValue(reader, undefined);
  reader.end();
  const plain = typeof context === "object" && context !== null && Object.getPrototypeOf(context) === Object.prototype;
  if (!plain || Object.keys(context).length === 0 || !Object.values(context).every(isScalar)) {
    throw malformed("a context that is no map of names and plain values");
  }
  return Object.freeze(context);
}

/**
 * @param {Uint8Array | null} inherited
 * @param {Record<string, unknown> | undefined} more keys that are new or other
 * @returns {Uint8Array | null}
 */
function mergeContext(inherited, more) {
  if (more === undefined || more === null) return inherited;
  if (typeof more !== "object") throw bad(`context is an object, not a ${typeof more}`);
  const context = { ...decodeContext(inherited) };
  for (const [key, value] of Object.entries(more)) {
    if (!isScalar(value)) throw bad(`context.${key} is a boolean, a number or a string, not a ${typeof value}`);
    context[key] = value;
  }
  if (Object.keys(context).length === 0) return null;
  const writer = new Writer();
  encodeValue(writer, context, "context");
  const bytes = writer.take();
  if (bytes.length > MAX_CONTEXT) throw bad(`a context of ${bytes.length} bytes: ${MAX_CONTEXT} are the most`);
  return bytes;
}

function traceOf(inherited, trace) {
  if (trace === undefined || trace === null) return inherited;
  if (trace === true) return randomId();
  if (Number.isSafeInteger(trace) && trace > 0) return trace;
  throw bad(`trace is true or an integer from 1 to 2^53 - 1, not ${trace}`);
}

/**
 * What a call carries: what the handler that makes it was given, and what its options say.
 * @param {{ trace: number | null, context: Uint8Array | null }} inherited
 * @param {{ trace?: number | true, context?: Record<string, unknown> }} options
 */
export function carriedBy(inherited, { trace, context }) {
  return { trace: traceOf(inherited.trace, trace), context: mergeContext(inherited.context, context) };
}

/** What a call carries that no handler makes. */
export const NOTHING = Object.freeze({ trace: null, context: null });
