/**
 * The payload codec "json": lua/json.lua in JavaScript. Its text is the list of values; what JSON has
 * no word for is an object with one marked key:
 *
 *   {"$ref": id, "type": name}  {"$type": name, "value": v}  {"$map": [[key, value], ...]}
 *   {"$bytes": hex}  {"$int": "9007199254740993"}  {"$float": "nan" | "inf" | "-inf"}
 */
import { malformed } from "./cbor.js";
import { ActorError, RAISED, bareText } from "./errors.js";
import { RemoteRef } from "./ref.js";
import { ERROR_TYPE, MAX_DEPTH, Payload, Unsendable, isPlain, refused, step, toError, toHex, toMap, toRecord } from "./value.js";

export const name = "json";

/* ---- writing ---------------------------------------------------------------------------------- */

const FLOATS = new Map([["nan", NaN], ["inf", Infinity], ["-inf", -Infinity]]);

function number(value) {
  if (Number.isFinite(value)) return value;
  return { $float: Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf" };
}

function text(value) {
  if (/\p{Surrogate}/u.test(value)) throw new Unsendable("a string with a lone surrogate");
  return value;
}

function idOf({ node, incarnation, instance, secret }) {
  return `${node}.${incarnation.toString(16)}/${instance.toString(16)}/${toHex(secret)}`;
}

/** What JSON.stringify makes the right text of. `open`: the containers around it. */
function tree(value, open) {
  switch (typeof value) {
    case "number":
      return number(value);
    case "string":
      return text(value);
    case "boolean":
      return value;
    case "bigint":
      return { $int: String(value) };
    case "undefined":
      return null;
    case "object":
      return value === null ? null : object(value, open);
    default:
      throw new Unsendable(`a ${typeof value}`);
  }
}

function object(value, open) {
  if (value instanceof Uint8Array) return { $bytes: toHex(value) };
  const address = RemoteRef.addressOf(value);
  if (address) return { $ref: idOf(address), type: address.type };
  if (value instanceof ActorError) return error(value, open);
  if (open.includes(value)) throw new Unsendable("a table that contains itself");
  if (open.length >= MAX_DEPTH) throw new Unsendable(`what is nested deeper than ${MAX_DEPTH}`);
  const inside = [...open, value];
  if (Array.isArray(value)) return value.map((item, i) => part(i + 1, item, inside));
  if (value instanceof Map) return pairs([...value], inside);
  if (!isPlain(value)) throw new Unsendable("an object of a class");
  const entries = Object.entries(value);
  return entries.some(([key]) => key.startsWith("$")) ? pairs(entries, inside) : record(entries, inside);
}

function part(key, value, open) {
  try {
    return tree(value, open);
  } catch (refusal) {
    if (refusal instanceof Unsendable) refusal.path = step(key) + refusal.path;
    throw refusal;
  }
}

function record(entries, open) {
  return toRecord(entries.filter(([, item]) => item !== undefined && item !== null).map(([key, item]) => [text(key), part(key, item, open)]));
}

function pairs(entries, open) {
  const kept = entries.filter(([, item]) => item !== undefined && item !== null);
  return { $map: kept.map(([key, item]) => [tree(key, open), part(key, item, open)]) };
}

function error(value, open) {
  if (value.code === RAISED) return tree(value.value, open);
  return { $type: ERROR_TYPE, value: record(Object.entries({ code: value.code, message: bareText(value), node: value.node }), open) };
}

/** @param {unknown[]} values @param {string} what how a path begins @returns {Payload} */
export function toJson(values, what) {
  return refused(what, () => new Payload("json", JSON.stringify(values.map((value, i) => part(i + 1, value, [])))));
}

/* ---- reading ---------------------------------------------------------------------------------- */

const INT64_BITS = 64;

function string(value) {
  if (typeof value !== "string") throw malformed("JSON with a mark that is no text");
  return value;
}

function fromHex(hex) {
  if (!/^([0-9a-f]{2})*$/.test(string(hex))) throw malformed("JSON with bytes that are none");
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

const marked = {
  $ref: ({ $ref, type }, { refs }) => {
    const [, node, incarnation, instance, secret] = /^(.+)\.([0-9a-f]{1,14})\/([0-9a-f]{1,14})\/([0-9a-f]{32})$/s.exec(string($ref)) ?? [];
    if (secret === undefined) throw malformed("JSON with an id that is none");
    const numbers = [incarnation, instance].map((digits) => Number.parseInt(digits, 16));
    if (!numbers.every(Number.isSafeInteger)) throw malformed("JSON with an id that is none");
    return refs.get({ node, incarnation: numbers[0], instance: numbers[1], secret: fromHex(secret), type: string(type) });
  },
  $map: ({ $map }, reader) => {
    if (!Array.isArray($map) || !$map.every((pair) => Array.isArray(pair) && pair.length === 2)) throw malformed("JSON with a map that is none");
    return toMap($map.map(([key, value]) => [keyOf(key, reader), read(value, reader)]));
  },
  $type: ({ $type, value }, reader) => {
    if ($type !== ERROR_TYPE) throw new ActorError("type_not_allowed", `nothing is registered as ${string($type)}`);
    return toError(read(value, reader));
  },
  $bytes: ({ $bytes }) => fromHex($bytes),
  $int: ({ $int }) => {
    if (!/^-?\d{1,19}$/.test(string($int))) throw malformed("JSON with an integer that is none");
    const value = BigInt.asIntN(INT64_BITS, BigInt($int));
    if (String(value) !== $int) throw malformed("JSON with an integer beyond 64 bits");
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  },
  $float: ({ $float }) => {
    if (!FLOATS.has($float)) throw malformed("JSON with a float that is none");
    return FLOATS.get($float);
  },
};

function keyOf(value, reader) {
  const key = read(value, reader);
  const isKey = typeof key !== "object" || key instanceof Uint8Array || RemoteRef.addressOf(key);
  if (key === null || !isKey || Number.isNaN(key)) throw malformed("JSON with a key that cannot be one");
  return key;
}

function read(value, reader) {
  if (typeof value !== "object" || value === null) return value;
  if (reader.depth >= MAX_DEPTH) throw malformed(`nested deeper than ${MAX_DEPTH}`);
  const inner = { refs: reader.refs, depth: reader.depth + 1 };
  if (Array.isArray(value)) return value.map((item) => read(item, inner));
  const mark = Object.keys(value).find((key) => key.startsWith("$"));
  if (mark === undefined) return toRecord(Object.entries(value).filter(([, item]) => item !== null).map(([key, item]) => [key, read(item, inner)]));
  if (!Object.hasOwn(marked, mark)) throw malformed(`JSON with an unknown mark ${mark}`);
  return marked[mark](value, inner);
}

/**
 * The values in a payload.
 * @param {Payload} payload
 * @param {{ get(address: import("./ref.js").Address): object }} refs
 * @returns {unknown[]}
 */
export function fromJson(payload, refs) {
  if (payload.codec !== "json") throw new ActorError("type_not_allowed", `codec ${payload.codec} is not known to JavaScript`);
  let values;
  try {
    values = JSON.parse(payload.text);
  } catch (cause) {
    throw malformed(`JSON that is none: ${cause.message}`);
  }
  if (!Array.isArray(values)) throw malformed("JSON that is no list");
  return values.map((value) => read(value, { refs, depth: 0 }));
}
