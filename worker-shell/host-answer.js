/** Answers of calls: how a host node writes its own and what it makes of those it gets. */
import { Reader, malformed } from "./cbor.js";
import { encodeError } from "./envelope.js";
import { ActorError, answeredError, bareText, codeNumber, errorCodes, errorText } from "./errors.js";
import { fromJson, toJson } from "./json.js";
import { Payload, decodeValue, decodeValues } from "./value.js";

/** The answer of the system itself. @returns {Uint8Array} a frame */
export function encodeRefusal(call, error) {
  const code = error instanceof ActorError ? codeNumber(error.code) : 0;
  if (code === 0) return encodeRaised(call, error);
  return encodeError({ call, code, value: bareText(error) || null });
}

/**
 * The answer for what a handler threw: an Error goes as its text, with its stack as traceback.
 * @param {string} [codec] of the call
 * @returns {Uint8Array} a frame
 */
export function encodeRaised(call, error, codec) {
  const traceback = error instanceof Error ? wellFormed(error.traceback ?? error.stack ?? "") : null;
  const value = error instanceof Error && !(error instanceof ActorError) ? wellFormed(errorText(error)) : error;
  try {
    return encodeError({ call, code: 0, value: packError(value, codec), traceback });
  } catch {
    // What cannot be sent is told by its text.
    return encodeError({ call, code: 0, value: packError(wellFormed(errorText(error)), codec), traceback });
  }
}

/** System errors go as they are, in every codec. */
function packError(value, codec) {
  return codec && !(value instanceof ActorError) ? toJson([value], "error") : value;
}

function wellFormed(text) {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

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
  if (value instanceof Payload) return fromJson(value, refs)[0] ?? null;
  if (codec && !(value instanceof ActorError)) throw malformed(`${type}:${method}: the answer is not in codec ${codec}`);
  return value;
}

/** The results of a call that was made in a codec, or in none. */
export function decodeResults(body, { codec, type, method }, refs) {
  const values = decodeValues(body, refs);
  if (!codec) return values;
  if (values.length !== 1 || !(values[0] instanceof Payload)) throw malformed(`${type}:${method}: the answer is not in codec ${codec}`);
  return fromJson(values[0], refs);
}

function asText(value) {
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value);
}

/** What a call resolves with: no result is undefined, one is itself, several are an array. */
export function outcome(values) {
  return values.length > 1 ? values : values[0];
}
