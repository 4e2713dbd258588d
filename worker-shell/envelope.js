/**
 * Envelopes and the frames they travel in, as envelope.cddl has them. A link is a stream of bytes
 * that may be cut anywhere; a FrameReader puts the frames together again.
 */
import * as Major from "./cbor-major.js";
import { MAX_FRAME, Reader, Writer, malformed } from "./cbor.js";
import * as Kind from "./kind.js";
import { encodeValue, encodeValues } from "./value.js";

export const WIRE_VERSION = 1;
/** Calls that wait for one another: MC_MAX_CHAIN. */
export const MAX_CHAIN = 32;
/** Bytes of the names that a probe collects: MC_MAX_CYCLE. */
export const MAX_CYCLE = 2048;
/** Bytes of what travels with a call beside its arguments: MC_MAX_CONTEXT. */
export const MAX_CONTEXT = 4096;

const FRAME_HEAD = 5;
const BYTES_OF_32_BITS = 0x5a;
const UINT32_MAX = 0xffffffff;
/** Items in the array of each kind. */
const FIELDS = [4, 11, 8, 3, 5, 4, 3, 4, 9];

const utf8 = new TextEncoder();

/** Hashes that were asked for before; types are few, but names may come from anywhere. */
const hashes = new Map();
const MAX_HASHES = 1000;

function fnv1a(name) {
  let hash = 0x811c9dc5;
  for (const byte of utf8.encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** A type's name in the header of calls: FNV-1a, 32 bits. */
export function typeHash(name) {
  const known = hashes.get(name);
  if (known !== undefined) return known;
  if (hashes.size >= MAX_HASHES) hashes.clear();
  hashes.set(name, fnv1a(name));
  return hashes.get(name);
}

/* ---- writing ---------------------------------------------------------------------------------- */

let spare = new Writer();
const noHead = new Uint8Array(FRAME_HEAD);

/** A frame around what `write` puts into it. */
function frame(kind, write) {
  // An accessor of an object that is sent may send something itself: the writer is taken meanwhile.
  const writer = spare ?? new Writer();
  spare = undefined;
  try {
    writer.clear();
    writer.raw(noHead);
    writer.array(FIELDS[kind]);
    writer.uint(kind);
    write(writer);
    return withHead(writer.take());
  } finally {
    spare = writer;
  }
}

function withHead(bytes) {
  const size = bytes.length - FRAME_HEAD;
  bytes[0] = BYTES_OF_32_BITS;
  for (let i = 0; i < 4; i++) bytes[1 + i] = size >>> (24 - 8 * i);
  return bytes;
}

function writeUintOrNull(writer, value) {
  if (value === null || value === undefined) writer.null();
  else writer.uint(value);
}

function writeContext(writer, context) {
  if (context) writer.bytes(context);
  else writer.null();
}

function writeRecipient(writer, { instance, secret, type, method }) {
  writer.uint(instance);
  writer.bytes(secret);
  writer.uint(type);
  writer.text(method);
}

/** @returns {Uint8Array} a frame */
export function encodeHello({ node, incarnation, version = WIRE_VERSION }) {
  return frame(Kind.HELLO, (writer) => {
    writer.uint(version);
    writer.text(node);
    writer.uint(incarnation);
  });
}

/** @returns {Uint8Array} a frame */
export function encodeCall(call) {
  return frame(Kind.CALL, (writer) => {
    writer.uint(call.call);
    writeRecipient(writer, call);
    writeUintOrNull(writer, call.remaining);
    writeUintOrNull(writer, call.trace);
    writer.array(call.chain.length);
    for (const id of call.chain) writer.uint(id);
    writeContext(writer, call.context);
    encodeValues(writer, call.args, "arguments");
  });
}

/** @returns {Uint8Array} a frame */
export function encodeCast(cast) {
  return frame(Kind.CAST, (writer) => {
    writeRecipient(writer, cast);
    writeUintOrNull(writer, cast.trace);
    writeContext(writer, cast.context);
    encodeValues(writer, cast.args, "arguments");
  });
}

/** @returns {Uint8Array} a frame */
export function encodeReply({ call, results }) {
  return frame(Kind.REPLY, (writer) => {
    writer.uint(call);
    encodeValues(writer, results, "results");
  });
}

/** @param {{ call: number, code: number, value: unknown, traceback?: string | null }} error */
export function encodeError({ call, code, value, traceback = null }) {
  return frame(Kind.ERROR, (writer) => {
    writer.uint(call);
    writer.uint(code);
    encodeValue(writer, value, "error");
    encodeValue(writer, traceback, "traceback");
  });
}

/** What names a call and its actor, and no more. */
function encodeNamed(kind, { call, instance, secret }) {
  return frame(kind, (writer) => {
    writer.uint(call);
    writer.uint(instance);
    writer.bytes(secret);
  });
}

/** @returns {Uint8Array} a frame */
export function encodeStop(stop) {
  return encodeNamed(Kind.STOP, stop);
}

/** @returns {Uint8Array} a frame */
export function encodeCredit({ instance, count }) {
  return frame(Kind.CREDIT, (writer) => {
    writer.uint(instance);
    writer.uint(count);
  });
}

/** @returns {Uint8Array} a frame */
export function encodeCancel(cancel) {
  return encodeNamed(Kind.CANCEL, cancel);
}

/** @param {{ incarnation: number, probe: number, count: number, cycle: string }} probe and the call that it is for */
export function encodeProbe({ incarnation, probe, count, call, instance, secret, cycle }) {
  return frame(Kind.PROBE, (writer) => {
    writer.uint(incarnation);
    writer.uint(probe);
    writer.uint(count);
    writer.uint(call);
    writer.uint(instance);
    writer.bytes(secret);
    writer.text(cycle);
  });
}

/* ---- reading ---------------------------------------------------------------------------------- */

/** How each kind's header is read; arguments, results and value stay undecoded in `body`. */
const readers = [
  (reader) => ({ version: reader.uint(UINT32_MAX), node: reader.name(), incarnation: reader.uint() }),
  (reader) => ({ call: reader.uint(), ...readRecipient(reader), ...readCircumstances(reader), context: readContext(reader), body: reader.rest() }),
  (reader) => ({ ...readRecipient(reader), trace: readTrace(reader), context: readContext(reader), body: reader.rest() }),
  (reader) => ({ call: reader.uint(), body: reader.rest() }),
  (reader) => ({ call: reader.uint(), code: reader.uint(255), body: reader.rest() }),
  readNamed,
  (reader) => ({ instance: reader.uint(), count: reader.uint(UINT32_MAX) }),
  readNamed,
  readProbe,
];

function readNamed(reader) {
  return { call: reader.uint(), instance: reader.uint(), secret: reader.bytes(16) };
}

function readProbe(reader) {
  const whose = { incarnation: reader.uint(), probe: reader.uint(), count: reader.uint(255) };
  return { ...whose, ...readNamed(reader), cycle: reader.name(0, MAX_CYCLE) };
}

function readRecipient(reader) {
  return {
    instance: reader.uint(),
    secret: reader.bytes(16),
    type: reader.uint(UINT32_MAX),
    method: reader.name(),
  };
}

function readTrace(reader) {
  const trace = reader.uintOrNull();
  // The core has 0 for none: on the wire it would be a second form of null.
  if (trace === 0) throw malformed("a trace that is 0");
  return trace;
}

function readContext(reader) {
  if (reader.takeNull()) return null;
  if (reader.head() !== Major.BYTES || reader.argument === 0 || reader.argument > MAX_CONTEXT) {
    throw malformed(`a context that is not 1 to ${MAX_CONTEXT} bytes`);
  }
  return reader.bytesFrom();
}

function readCircumstances(reader) {
  const remaining = reader.uintOrNull();
  const trace = readTrace(reader);
  const length = reader.array();
  if (length > MAX_CHAIN) throw malformed(`a chain of more than ${MAX_CHAIN} calls`);
  const chain = [];
  for (let i = 0; i < length; i++) chain.push(reader.uint());
  return { remaining, trace, chain };
}

/**
 * Reads an envelope's header.
 * @param {Uint8Array} bytes the inside of a frame
 * @returns {{ kind: number, body?: Uint8Array } & Record<string, any>}
 */
export function decodeEnvelope(bytes) {
  const reader = new Reader(bytes);
  const count = reader.array();
  const kind = reader.uint(readers.length - 1);
  if (count !== FIELDS[kind]) throw malformed("an envelope with too many or too few fields");
  const envelope = { kind, ...readers[kind](reader) };
  if (!envelope.body) reader.end();
  return envelope;
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  #pieces = [];
  #length = 0;

  /** How many bytes wait for the rest of their frame. */
  get waiting() {
    return this.#length;
  }

  /**
   * Takes bytes, which must not change afterwards.
   * @param {Uint8Array} bytes
   * @returns {Uint8Array[]} the envelopes that are complete now
   */
  push(bytes) {
    if (bytes.length === 0) return [];
    this.#pieces.push(bytes);
    this.#length += bytes.length;
    const envelopes = [];
    for (;;) {
      const size = this.#frameSize();
      if (this.#length < size) return envelopes;
      envelopes.push(this.#take(size).subarray(FRAME_HEAD));
    }
  }

  /** The size of the frame that comes next, its head included; Infinity while its head is cut. */
  #frameSize() {
    if (this.#length === 0) return Infinity;
    if (this.#pieces[0][0] !== BYTES_OF_32_BITS) throw malformed("what is on the link is no frame");
    if (this.#length < FRAME_HEAD) return Infinity;
    if (this.#pieces[0].length < FRAME_HEAD) this.#pieces = [this.#join(this.#length)];
    const [first] = this.#pieces;
    const size = new DataView(first.buffer, first.byteOffset).getUint32(1);
    if (size > MAX_FRAME) throw malformed(`a frame of ${size} bytes`);
    return FRAME_HEAD + size;
  }

  #join(size) {
    const whole = new Uint8Array(size);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece.subarray(0, size - at), at);
      at = Math.min(size, at + piece.length);
    }
    return whole;
  }

  #take(size) {
    const [first] = this.#pieces;
    this.#length -= size;
    if (first.length > size) {
      this.#pieces[0] = first.subarray(size);
      return first.subarray(0, size);
    }
    if (first.length === size) return this.#pieces.shift();
    const whole = this.#join(size);
    // Only the last piece can reach beyond this frame.
    const last = this.#pieces.at(-1);
    this.#pieces = this.#length > 0 ? [last.subarray(last.length - this.#length)] : [];
    return whole;
  }
}
