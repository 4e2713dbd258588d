/**
 * The CBOR (RFC 8949) that envelope.cddl allows: heads in their shortest form, definite lengths,
 * floats of 64 bits, one NaN. The reader takes nothing else and never trusts a count beyond the
 * bytes that are left.
 */
import * as Major from "./cbor-major.js";
import { ActorError } from "./errors.js";

/** Tags of envelope.cddl. */
export const OBJECT_TAG = 27;
export const REF_TAG = 39;
export const BUFFER_TAG = 64;

/** The most bytes one envelope may have: MC_MAX_FRAME. */
export const MAX_FRAME = 256 << 20;

const FALSE = 0xf4;
const TRUE = 0xf5;
export const NULL = 0xf6;
export const FLOAT64 = 0xfb;
const NAN_HIGH = 0x7ff80000;
const LARGEST_INT = 2n ** 63n - 1n;

/** The most bytes that a writer keeps from one message to the next. */
const KEPT_CAPACITY = 64 * 1024;

/** Texts up to this many bytes are read without the decoder, and the last ones of them kept. */
const SHORT = 24;
const PLACES = 256;
const known = new Array(PLACES).fill("");

function isAt(text, bytes, at) {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) !== bytes[at + i]) return false;
  }
  return true;
}

/** @returns {string | undefined} undefined when it is not ASCII */
function shortText(bytes, at, length) {
  const place = (length * 31 + bytes[at] * 7 + bytes[at + (length >> 1)] * 3 + bytes[at + length - 1]) % PLACES;
  if (known[place].length === length && isAt(known[place], bytes, at)) return known[place];
  let text = "";
  for (let i = at; i < at + length; i++) {
    if (bytes[i] >= 0x80) return undefined;
    text += String.fromCharCode(bytes[i]);
  }
  return (known[place] = text);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
// In unicode mode this matches only a surrogate that has no partner.
const LONE_SURROGATE = /\p{Surrogate}/u;

/** @returns {ActorError} */
export function malformed(why) {
  return new ActorError("malformed", why);
}

/** Writes CBOR into a buffer that grows. */
export class Writer {
  #bytes;
  #view;
  #length = 0;

  constructor(capacity = 256) {
    this.#adopt(new Uint8Array(capacity));
  }

  get length() {
    return this.#length;
  }

  /** A copy of what was written, of exactly its size. */
  take() {
    return this.#bytes.slice(0, this.#length);
  }

  /** Forgets what was written. */
  clear() {
    this.#length = 0;
    if (this.#bytes.length > KEPT_CAPACITY) this.#adopt(new Uint8Array(KEPT_CAPACITY));
  }

  #adopt(bytes) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  #room(more) {
    const need = this.#length + more;
    if (need <= this.#bytes.length) return;
    if (need > MAX_FRAME) {
      throw new ActorError("unsendable", `a message is at most ${MAX_FRAME} bytes long`);
    }
    const grown = new Uint8Array(Math.max(need, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#adopt(grown);
  }

  /** @param {number} major @param {number | bigint} argument not negative */
  head(major, argument) {
    this.#room(9);
    const view = this.#view;
    const at = this.#length;
    const type = major << 5;
    if (argument < 24) {
      this.#bytes[at] = type | Number(argument);
      this.#length = at + 1;
    } else if (argument < 0x100) {
      view.setUint8(at, type | 24);
      view.setUint8(at + 1, Number(argument));
      this.#length = at + 2;
    } else if (argument < 0x10000) {
      view.setUint8(at, type | 25);
      view.setUint16(at + 1, Number(argument));
      this.#length = at + 3;
    } else if (argument < 0x100000000) {
      view.setUint8(at, type | 26);
      view.setUint32(at + 1, Number(argument));
      this.#length = at + 5;
    } else {
      view.setUint8(at, type | 27);
      view.setBigUint64(at + 1, BigInt(argument));
      this.#length = at + 9;
    }
  }

  uint(value) {
    this.head(Major.UINT, value);
  }

  /** @param {number | bigint} value an integer within 64 bits */
  int(value) {
    if (value >= 0) this.head(Major.UINT, value);
    else this.head(Major.NEGATIVE, typeof value === "bigint" ? -1n - value : -1 - value);
  }

  float(value) {
    this.#room(9);
    this.#view.setUint8(this.#length, FLOAT64);
    if (Number.isNaN(value)) {
      this.#view.setUint32(this.#length + 1, NAN_HIGH);
      this.#view.setUint32(this.#length + 5, 0);
    } else {
      this.#view.setFloat64(this.#length + 1, value);
    }
    this.#length += 9;
  }

  #byte(value) {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  null() {
    this.#byte(NULL);
  }

  bool(value) {
    this.#byte(value ? TRUE : FALSE);
  }

  bytes(value) {
    this.head(Major.BYTES, value.length);
    this.raw(value);
  }

  /** Appends bytes that are CBOR already. */
  raw(value) {
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** @returns {boolean} false, and nothing is written, when the string has a lone surrogate */
  text(value) {
    if (value.length < SHORT && this.#shortAscii(value)) return true;
    if (LONE_SURROGATE.test(value)) return false;
    const utf8 = encoder.encode(value);
    this.head(Major.TEXT, utf8.length);
    this.raw(utf8);
    return true;
  }

  /** Most texts are names: this spares them the encoder. */
  #shortAscii(value) {
    const length = value.length;
    this.#room(1 + length);
    const bytes = this.#bytes;
    const at = this.#length;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) return false;
      bytes[at + 1 + i] = code;
    }
    bytes[at] = (Major.TEXT << 5) | length;
    this.#length = at + 1 + length;
    return true;
  }

  array(count) {
    this.head(Major.ARRAY, count);
  }

  map(count) {
    this.head(Major.MAP, count);
  }

  tag(number) {
    this.head(Major.TAG, number);
  }
}

/** Reads CBOR that nobody vouches for. Throws an ActorError with code `malformed`. */
export class Reader {
  #bytes;
  #view;
  #at = 0;
  /** The argument of the head that was read last: a bigint beyond 2^53 - 1. */
  argument = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    // Node's Buffer is a Uint8Array whose slice() does not copy.
    this.#bytes =
      bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get #numbers() {
    const { buffer, byteOffset, byteLength } = this.#bytes;
    return (this.#view ??= new DataView(buffer, byteOffset, byteLength));
  }

  get left() {
    return this.#bytes.length - this.#at;
  }

  /** What was not read yet, not copied. */
  rest() {
    return this.#bytes.subarray(this.#at);
  }

  /** The next byte, which stays. */
  peek() {
    if (this.left === 0) throw malformed("the bytes end too early");
    return this.#bytes[this.#at];
  }

  /** Reads a head of any major type but 7. @returns {number} its major type */
  head() {
    const first = this.peek();
    const major = first >> 5;
    if (major === Major.SIMPLE) throw malformed("a simple value where something else belongs");
    this.#at += 1;
    this.#argument(first & 31);
    return major;
  }

  #argument(info) {
    if (info < 24) {
      this.argument = info;
      return;
    }
    if (info > 27) throw malformed("an indefinite or reserved length");
    const width = 1 << (info - 24);
    if (this.left < width) throw malformed("the bytes end too early");
    this.argument = this.#number(width);
    this.#at += width;
    const least = width === 1 ? 24 : 2 ** (4 * width);
    if (this.argument < least) throw malformed("a number that is not in its shortest form");
  }

  #number(width) {
    if (width === 1) return this.#bytes[this.#at];
    if (width === 2) return this.#numbers.getUint16(this.#at);
    if (width === 4) return this.#numbers.getUint32(this.#at);
    const wide = this.#numbers.getBigUint64(this.#at);
    return wide <= Number.MAX_SAFE_INTEGER ? Number(wide) : wide;
  }

  /** Null, a boolean or a float, whose head is next. */
  simple() {
    const first = this.peek();
    this.#at += 1;
    if (first === NULL) return null;
    if (first === FALSE || first === TRUE) return first === TRUE;
    if (first === FLOAT64) return this.#float();
    throw malformed("a simple value other than null, true, false and a float of 64 bits");
  }

  #float() {
    if (this.left < 8) throw malformed("the bytes end too early");
    const view = this.#numbers;
    const at = this.#at;
    const value = view.getFloat64(at);
    this.#at += 8;
    if (Number.isNaN(value) && (view.getUint32(at) !== NAN_HIGH || view.getUint32(at + 4) !== 0)) {
      throw malformed("a second form of NaN");
    }
    return value;
  }

  /** Takes a null that is next. @returns {boolean} whether there was one */
  takeNull() {
    if (this.peek() !== NULL) return false;
    this.#at += 1;
    return true;
  }

  /** The integer whose head was just read: a bigint beyond 2^53 - 1. */
  intFrom(major) {
    const argument = this.argument;
    if (argument > LARGEST_INT) throw malformed("an integer beyond 64 bits");
    if (major === Major.UINT) return argument;
    const value = typeof argument === "bigint" ? -1n - argument : -1 - argument;
    return Number.isSafeInteger(value) || typeof value === "bigint" ? value : BigInt(value);
  }

  #stringBytes() {
    const length = this.argument;
    if (length > this.left) throw malformed("a string longer than the bytes");
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }

  /** The byte string whose head was just read, as a copy. */
  bytesFrom() {
    return this.#stringBytes().slice();
  }

  /** The text whose head was just read. */
  textFrom() {
    const length = this.argument;
    if (length > 0 && length <= SHORT && length <= this.left) {
      const text = shortText(this.#bytes, this.#at, length);
      if (text !== undefined) {
        this.#at += length;
        return text;
      }
    }
    try {
      return decoder.decode(this.#stringBytes());
    } catch (error) {
      if (error instanceof ActorError) throw error;
      throw malformed("text that is not UTF-8");
    }
  }

  /** The count of the array or map whose head was just read; each item takes `width` bytes or more. */
  countFrom(width) {
    if (this.argument > this.left / width) throw malformed("more items than bytes");
    return this.argument;
  }

  #expect(major, what) {
    if (this.head() !== major) throw malformed(`a field that is no ${what}`);
  }

  uint(most = Number.MAX_SAFE_INTEGER) {
    this.#expect(Major.UINT, "number");
    if (this.argument > most) throw malformed("a number out of its range");
    return this.argument;
  }

  /** @returns {number | null} */
  uintOrNull(most) {
    return this.takeNull() ? null : this.uint(most);
  }

  bytes(length) {
    this.#expect(Major.BYTES, "byte string");
    if (this.argument !== length) throw malformed("a byte string of the wrong length");
    return this.bytesFrom();
  }

  /** A text of 1 to 255 bytes, or as many as are said. */
  name(least = 1, most = 255) {
    this.#expect(Major.TEXT, "text");
    if (this.argument < least || this.argument > most) throw malformed(`a name that is no text of ${least} to ${most} bytes`);
    return this.textFrom();
  }

  array() {
    this.#expect(Major.ARRAY, "array");
    return this.countFrom(1);
  }

  end() {
    if (this.left !== 0) throw malformed("bytes behind the end");
  }
}
