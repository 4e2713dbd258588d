/** Answers of calls: how a host node writes its own errors. */
import { encodeError } from "./envelope.js";
import { ActorError, bareText, codeNumber, errorText } from "./errors.js";
import { toJson } from "./json.js";

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
