/** Answers of calls: what a host node makes of those that it gets. */
import { Reader, malformed } from "./cbor.js";
import { ActorError, answeredError, errorCodes } from "./errors.js";
import { Payload, decodeValue, decodeValues } from "./value.js";

/**
 * The error that an error envelope stands for.
 * @param {{ code: number, body: Uint8Array }} envelope
 * @param {{ type: string, method: string, node: string }} call what was asked
 * @param {import("./ref.js").RefTable} refs
 */
export function decodeError({ code, body }, call, refs) {
  const reader = new Reader(body);
  const value = decodeValue(reader, refs);
  const traceback = decodeValue(reader, refs);
  reader.end();
  if (code === 0) return ActorError.raised(unpackError(value, call, refs), traceback === null ? undefined : asText(traceback), call.node);
  return answeredError(errorCodes[code - 1] ?? "malformed", value === null ? null : asText(value), call);
}

function unpackError(value, { codec, type, method }, refs) {
  const packed = value instanceof Payload;
  // System errors go as they are, in every codec.
  if (packed ? !codec : codec && !(value instanceof ActorError)) throw otherCodec(codec, type, method);
  return packed ? (codec.fromJson(value, refs)[0] ?? null) : value;
}

/** The results of a call that was made in a codec, or in none. */
export function decodeResults(body, { codec, type, method }, refs) {
  const values = decodeValues(body, refs);
  if (!codec) return values;
  if (values.length !== 1 || !(values[0] instanceof Payload)) throw otherCodec(codec, type, method);
  return codec.fromJson(values[0], refs);
}

function otherCodec(codec, type, method) {
  return malformed(`${type}:${method}: the answer is not in codec ${codec?.name ?? "cbor"}`);
}

function asText(value) {
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value);
}

/** What a call resolves with: no result is undefined, one is itself, several are an array. */
export function outcome(values) {
  return values.length > 1 ? values : values[0];
}
