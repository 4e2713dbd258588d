/** Answers of calls: how a host node writes its own and what it makes of those it gets. */
import { Reader } from "./cbor.js";
import { encodeError } from "./envelope.js";
import { ActorError, answeredError, bareText, codeNumber, errorCodes, errorText } from "./errors.js";
import { decodeValue } from "./value.js";

/** The answer of the system itself. @returns {Uint8Array} a frame */
export function encodeRefusal(call, error) {
  const code = error instanceof ActorError ? codeNumber(error.code) : 0;
  if (code === 0) return encodeRaised(call, error);
  return encodeError({ call, code, value: bareText(error) || null });
}

/**
 * The answer for what a handler threw: an Error goes as its text, with its stack as traceback.
 * @returns {Uint8Array} a frame
 */
export function encodeRaised(call, error) {
  const traceback = error instanceof Error ? wellFormed(error.traceback ?? error.stack ?? "") : null;
  const value = error instanceof Error && !(error instanceof ActorError) ? wellFormed(errorText(error)) : error;
  try {
    return encodeError({ call, code: 0, value, traceback });
  } catch {
    // What cannot be sent is told by its text.
    return encodeError({ call, code: 0, value: wellFormed(errorText(error)), traceback });
  }
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
  if (code === 0) return ActorError.raised(value, traceback === null ? undefined : asText(traceback), call.node);
  return answeredError(errorCodes[code - 1] ?? "malformed", value === null ? null : asText(value), call);
}

function asText(value) {
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value);
}

/** What a call resolves with: no result is undefined, one is itself, several are an array. */
export function outcome(values) {
  return values.length > 1 ? values : values[0];
}
