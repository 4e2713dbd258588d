/**
 * JavaScript values and the values of envelope.cddl.
 *
 *   safe integer <-> Lua integer      other number <-> Lua float (-0 too)
 *   BigInt       <-> Lua integer      which is beyond 2^53 on the way to JavaScript
 *   string       <-> text             Uint8Array   <-> bytes
 *   Array        <-> 1..n table       plain object <-> table with string keys
 *   Map          <-> any other table  undefined, null -> nil -> null
 *   RemoteRef    <-> ref              ActorError   <-> mc.Error
 *   ArrayBuffer  <-> mc.buffer, copied
 *
 * What cannot be sent is refused with the path to it, before anything was sent.
 */
import * as Major from "./cbor-major.js";
import { BUFFER_TAG, FLOAT64, NULL, OBJECT_TAG, REF_TAG, Reader, malformed } from "./cbor.js";
import { ActorError, RAISED, bareText, errorCodes } from "./errors.js";
import { RemoteRef, addressKey } from "./ref.js";

/** Containers in one another: MC_MAX_DEPTH. */
export const MAX_DEPTH = 100;

export const ERROR_TYPE = "mc.Error";
const PAYLOAD_TYPE = "mc.codec";
const SMALLEST_INT = -(2n ** 63n);
const LARGEST_INT = 2n ** 63n - 1n;
const INT64_RANGE = 2 ** 63;
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What a codec made of arguments, results or an error: one value of the registered type mc.codec. */
export class Payload {
  /** @param {string} codec its name @param {string} text */
  constructor(codec, text) {
    this.codec = codec;
    this.text = text;
  }
}

/* ---- to the wire ------------------------------------------------------------------------------ */

/** Thrown with the inner end of a path, which grows on the way out. */
export class Unsendable extends Error {
  constructor(what) {
    super(what);
    this.path = "";
  }
}

export function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  // Objects of another realm (an iframe, node:vm) are plain too.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function className(value) {
  const name = value.constructor?.name;
  return typeof name === "string" && name ? name : "object without a name";
}

function article(word) {
  return /^[AEIOUaeiou]/.test(word) ? `an ${word}` : `a ${word}`;
}

export function step(key) {
  if (typeof key === "number") return `[${key}]`;
  if (typeof key !== "string") return `[${typeof key === "bigint" ? key : typeof key}]`;
  return IDENTIFIER.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

/** Encodes values into a Writer; one object per message, for its record of what encloses what. */
class Encoder {
  #writer;
  #open = [];

  constructor(writer) {
    this.#writer = writer;
  }

  value(value) {
    switch (typeof value) {
      case "number":
        return this.#number(value);
      case "string":
        return this.#text(value);
      case "boolean":
        return this.#writer.bool(value);
      case "bigint":
        return this.#bigint(value);
      case "undefined":
        return this.#writer.null();
      case "object":
        return value === null ? this.#writer.null() : this.#object(value);
      default:
        throw new Unsendable(article(typeof value));
    }
  }

  #number(value) {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) this.#writer.int(value);
    else this.#writer.float(value);
  }

  #bigint(value) {
    if (value < SMALLEST_INT || value > LARGEST_INT) throw new Unsendable("a BigInt beyond 64 bits");
    this.#writer.int(value);
  }

  #text(value) {
    if (!this.#writer.text(value)) throw new Unsendable("a string with a lone surrogate");
  }

  #object(value) {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === Array.prototype) return this.#container(value);
    if (value instanceof Uint8Array) return this.#writer.bytes(value);
    const address = RemoteRef.addressOf(value);
    if (address) return this.#ref(address);
    if (value instanceof ActorError) return this.#error(value);
    if (value instanceof ArrayBuffer) return this.#buffer(value);
    if (value instanceof Payload) return this.#payload(value);
    return this.#container(value);
  }

  #buffer(value) {
    this.#writer.tag(BUFFER_TAG);
    this.#writer.bytes(new Uint8Array(value));
  }

  #container(value) {
    if (this.#open.includes(value)) throw new Unsendable("a table that contains itself");
    if (this.#open.length >= MAX_DEPTH) throw new Unsendable(`what is nested deeper than ${MAX_DEPTH}`);
    this.#open.push(value);
    if (Array.isArray(value)) this.#array(value);
    else if (value instanceof Map) this.#map(value);
    else if (isPlain(value)) this.#record(value);
    else throw new Unsendable(article(className(value)));
    this.#open.pop();
  }

  /** One part of a container; puts its key before the path of what is refused. */
  part(key, value) {
    try {
      this.value(value);
    } catch (error) {
      if (error instanceof Unsendable) error.path = step(key) + error.path;
      throw error;
    }
  }

  #array(value) {
    const length = value.length;
    this.#writer.array(length);
    // Positions count from 1, as the side that gets them counts.
    for (let i = 0; i < length; i++) this.part(i + 1, value[i]);
  }

  #record(value) {
    const keys = Object.keys(value);
    const items = [];
    let kept = 0;
    for (const key of keys) {
      const item = value[key];
      items.push(item);
      if (item !== undefined && item !== null) kept += 1;
    }
    this.#writer.map(kept);
    for (let i = 0; i < keys.length; i++) {
      if (items[i] === undefined || items[i] === null) continue;
      this.#text(keys[i]);
      this.part(keys[i], items[i]);
    }
  }

  #map(value) {
    const entries = [...value].filter(([, item]) => item !== undefined && item !== null);
    const seen = new Set();
    this.#writer.map(entries.length);
    for (const [key, item] of entries) {
      this.#key(key);
      const identity = keyIdentity(key);
      if (seen.has(identity)) throw new Unsendable("two keys that are the same in Lua");
      seen.add(identity);
      this.part(key, item);
    }
  }

  #key(key) {
    const writer = this.#writer;
    if (typeof key === "number") {
      if (Number.isNaN(key)) throw new Unsendable("NaN as a key");
      if (!isIntegral(key)) return writer.float(key);
      return writer.int(Number.isSafeInteger(key) ? key : BigInt(key));
    }
    if (key instanceof Uint8Array) return writer.bytes(key);
    const address = RemoteRef.addressOf(key);
    if (address) return this.#ref(address);
    if (key === null || typeof key === "object" || key === undefined) {
      throw new Unsendable(`${key ? "an object" : "nil"} as a key`);
    }
    return this.value(key);
  }

  #ref(address) {
    const writer = this.#writer;
    writer.tag(REF_TAG);
    writer.array(5);
    writer.text(address.node);
    writer.uint(address.incarnation);
    writer.uint(address.instance);
    writer.bytes(address.secret);
    writer.text(address.type);
  }

  #payload({ codec, text }) {
    this.#writer.tag(OBJECT_TAG);
    this.#writer.array(2);
    this.#writer.text(PAYLOAD_TYPE);
    this.#array([codec, text]);
  }

  #error(error) {
    if (error.code === RAISED) return this.value(error.value);
    const fields = { code: error.code, message: bareText(error), node: error.node, id: error.id };
    this.#writer.tag(OBJECT_TAG);
    this.#writer.array(2);
    this.#writer.text(ERROR_TYPE);
    return this.#record(fields);
  }
}

/**
 * Appends an array of values: arguments or results.
 * @param {import("./cbor.js").Writer} writer
 * @param {unknown[]} values
 * @param {string} what how a path begins: "arguments" or "results"
 */
export function encodeValues(writer, values, what) {
  const encoder = new Encoder(writer);
  writer.array(values.length);
  refused(what, () => {
    for (let i = 0; i < values.length; i++) encoder.part(i + 1, values[i]);
  });
}

/** Appends one value. */
export function encodeValue(writer, value, what = "value") {
  refused(what, () => new Encoder(writer).value(value));
}

export function refused(what, encode) {
  try {
    return encode();
  } catch (error) {
    if (!(error instanceof Unsendable)) throw error;
    throw new ActorError("unsendable", `cannot send ${error.message} at ${what}${error.path}${advice(error)}`);
  }
}

function advice(error) {
  return error.message === "a function" ? ": pass an actor's reference instead" : "";
}

/* ---- from the wire ---------------------------------------------------------------------------- */

/** Whether a float is what Lua would make an integer key of. */
function isIntegral(value) {
  return Number.isInteger(value) && value >= -INT64_RANGE && value < INT64_RANGE;
}

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function bytesIdentity(bytes) {
  try {
    return `s${new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)}`;
  } catch {
    return `x${toHex(bytes)}`;
  }
}

/** Text that is equal for keys that Lua takes for the same. */
function keyIdentity(key) {
  if (typeof key === "string") return `s${key}`;
  if (key instanceof Uint8Array) return bytesIdentity(key);
  if (typeof key === "number") return `n${isIntegral(key) ? BigInt(key) : key}`;
  if (typeof key === "object") return `r${addressKey(RemoteRef.addressOf(key))}`;
  return `${typeof key === "bigint" ? "n" : "b"}${key}`;
}

class Decoder {
  #reader;
  #refs;
  #depth = 0;

  constructor(reader, refs) {
    this.#reader = reader;
    this.#refs = refs;
  }

  value() {
    const reader = this.#reader;
    if (reader.peek() >> 5 === Major.SIMPLE) return reader.simple();
    const major = reader.head();
    switch (major) {
      case Major.UINT:
      case Major.NEGATIVE:
        return reader.intFrom(major);
      case Major.BYTES:
        return reader.bytesFrom();
      case Major.TEXT:
        return reader.textFrom();
      case Major.TAG:
        return this.#tagged();
      default:
        return this.#nested(major);
    }
  }

  #nested(major) {
    if (++this.#depth > MAX_DEPTH) throw malformed(`nested deeper than ${MAX_DEPTH}`);
    const value = major === Major.ARRAY ? this.#array() : major === Major.MAP ? this.#map() : this.#registered();
    this.#depth -= 1;
    return value;
  }

  #array() {
    const items = [];
    for (let count = this.#reader.countFrom(1); count > 0; count--) items.push(this.value());
    return items;
  }

  /** An object, up to the first key that is no string. */
  #map() {
    const record = {};
    let entries = null;
    for (let count = this.#reader.countFrom(2); count > 0; count--) {
      const key = this.#key();
      if (this.#reader.peek() === NULL) throw malformed("a nil in a map");
      const value = this.value();
      if (typeof key !== "string") entries ??= Object.entries(record);
      if (entries) entries.push([key, value]);
      else setField(record, key, value);
    }
    return entries ? toMap(entries) : record;
  }

  #key() {
    const float = this.#reader.peek() === FLOAT64;
    const key = this.value();
    if (typeof key === "string") return key;
    if (float && isIntegral(key)) throw malformed("a float as a key that Lua would make an integer of");
    if (key === null || Array.isArray(key)) throw malformed("a key of a kind that cannot be one");
    if (typeof key === "number" && Number.isNaN(key)) throw malformed("NaN as a key");
    if (typeof key === "object" && !(key instanceof Uint8Array) && !RemoteRef.addressOf(key)) {
      throw malformed("a key of a kind that cannot be one");
    }
    return key;
  }

  #tagged() {
    const tag = this.#reader.argument;
    if (tag === REF_TAG) return this.#ref();
    if (tag === BUFFER_TAG) return this.#buffer();
    if (tag === OBJECT_TAG) return this.#nested(Major.TAG);
    throw malformed("an unknown tag");
  }

  #buffer() {
    const reader = this.#reader;
    if (reader.head() !== Major.BYTES) throw malformed("a buffer that is no byte string");
    return reader.bytesFrom().buffer;
  }

  #ref() {
    const reader = this.#reader;
    if (reader.array() !== 5) throw malformed("a ref that has not five fields");
    const node = reader.name();
    const incarnation = reader.uint();
    const instance = reader.uint();
    const secret = reader.bytes(16);
    return this.#refs.get({ node, incarnation, instance, secret, type: reader.name() });
  }

  #registered() {
    if (this.#reader.array() !== 2) throw malformed("a registered value that has not two fields");
    const type = this.#reader.name();
    if (type === PAYLOAD_TYPE) return this.#payload(this.value());
    if (type !== ERROR_TYPE) throw new ActorError("type_not_allowed", `nothing is registered as ${type}`);
    return toError(this.value());
  }

  #payload(value) {
    if (this.#depth > 1) throw malformed("a payload inside of a value");
    if (!Array.isArray(value)) throw malformed("a payload without its codec's name");
    const [codec, text] = value.map((item) => (item instanceof Uint8Array ? new TextDecoder().decode(item) : item));
    if (typeof codec !== "string" || typeof text !== "string") throw malformed("a payload without its codec's name");
    return new Payload(codec, text);
  }
}

function setField(record, key, value) {
  if (Object.hasOwn(record, key)) throw malformed("a key that stands twice in a map");
  // Assigned, this one would change what the object inherits.
  if (key === "__proto__") {
    Object.defineProperty(record, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    record[key] = value;
  }
}

export function toRecord(entries) {
  const record = {};
  for (const [key, value] of entries) setField(record, key, value);
  return record;
}

export function toMap(entries) {
  const seen = new Set();
  for (const [key] of entries) {
    const identity = keyIdentity(key);
    if (seen.has(identity)) throw malformed("a key that stands twice in a map");
    seen.add(identity);
  }
  return new Map(entries);
}

/** A field of what Lua has as a table with string keys, which may all come as bytes. */
function stringField(value, name) {
  const entries = value instanceof Map ? [...value] : Object.entries(value ?? {});
  const field = entries.find(([key]) => keyIdentity(key) === `s${name}`)?.[1];
  return field instanceof Uint8Array ? new TextDecoder().decode(field) : field;
}

export function toError(value) {
  const [code, message, node, id] = ["code", "message", "node", "id"].map((name) => stringField(value, name));
  if (!errorCodes.includes(code) || typeof message !== "string") throw malformed("an mc.Error without its fields");
  const text = (field) => (typeof field === "string" ? field : undefined);
  return new ActorError(code, message, { transport: false, node: text(node), id: text(id) });
}

/**
 * Reads an array of values that is all of what the bytes hold.
 * @param {Uint8Array} bytes
 * @param {{ get(address: import("./ref.js").Address): object }} refs makes the refs
 * @returns {unknown[]}
 */
export function decodeValues(bytes, refs) {
  const reader = new Reader(bytes);
  const decoder = new Decoder(reader, refs);
  const values = [];
  for (let count = reader.array(); count > 0; count--) values.push(decoder.value());
  reader.end();
  return values;
}

/** Reads one value and leaves the reader behind it. */
export function decodeValue(reader, refs) {
  return new Decoder(reader, refs).value();
}
