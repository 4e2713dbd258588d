/**
 * The one error class of Mooncast. What the system says has a `code` of the list that C defines;
 * what a handler raised has the code "raised" and arrives as it was, in `value`.
 */
import { errorCodes } from "./error-codes.js";

export { errorCodes };

/** The code of an error that a handler raised; on the wire it is the number 0. */
export const RAISED = "raised";

/**
 * The number of a code on the wire.
 * @param {string} code
 * @returns {number} from 1; 0 for what is no code of the system
 */
export function codeNumber(code) {
  return errorCodes.indexOf(code) + 1;
}

export class ActorError extends Error {
  /**
   * @param {string} code one of errorCodes, or "raised"
   * @param {string} message what happened, where, and what to do
   * @param {{ node?: string, id?: string, value?: unknown, traceback?: string, transport?: boolean, cause?: unknown }} [more]
   */
  constructor(code, message, more = {}) {
    super(withCode(code, message), "cause" in more ? { cause: more.cause } : undefined);
    this.name = "ActorError";
    this.code = code;
    /** True only when this runtime made the error itself, for a call of its own. */
    this.transport = more.transport ?? code !== RAISED;
    if (more.node !== undefined) this.node = more.node;
    if (more.id !== undefined) this.id = more.id;
    if (more.traceback !== undefined) this.traceback = more.traceback;
    if ("value" in more) this.value = more.value;
  }

  /**
   * What a handler raised, for the one who called it.
   * @param {unknown} value
   * @param {string} [traceback] of the side that raised
   * @param {string} [node] where that was
   */
  static raised(value, traceback, node) {
    // Another runtime's system error that a handler let through is a value like any other.
    if (value instanceof ActorError) return Object.assign(value, { traceback, node: value.node ?? node });
    return new ActorError(RAISED, raisedText(value), { value, traceback, node, transport: false });
  }
}

/** A system error's text begins with its code, whoever wrote it. */
function withCode(code, message) {
  if (code === RAISED || message.startsWith(`${code}:`)) return message;
  return message ? `${code}: ${message}` : code;
}

/** An error's text without its code: how it stands on the wire. */
export function bareText(error) {
  if (error.message === error.code) return "";
  const prefix = `${error.code}: `;
  return error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
}

/** What a system error says when the answering system said no more than its code. */
const descriptions = {
  timeout: "it did not answer in time",
  cancelled: "it was cancelled",
  dead_actor: "the actor has ended, or never was",
  overloaded: "its mailbox is full",
  deadlock: "the actor waits, through the calls of this handler, for this very call",
  call_depth: "more than 32 calls wait for one another",
  out_of_memory: "its node is out of memory",
};

/**
 * A system error that a node answered a call with.
 * @param {string} code
 * @param {string | null} text what the node said
 * @param {{ type: string, method: string, node: string, cause?: unknown }} call cause: why its
 *   caller took it back
 */
export function answeredError(code, text, { type, method, node, cause }) {
  const label = `${type}:${method}`;
  // The text is the type that the actor has.
  if (code === "type_mismatch" && text) {
    const error = new ActorError(code, `${label}: the actor is a ${text}, not a ${type}`, { node });
    return Object.assign(error, { expected: type, found: text });
  }
  const more = code === "cancelled" && cause !== undefined ? { node, cause } : { node };
  return new ActorError(code, `${label}: ${text || (descriptions[code] ?? "it failed")}`, more);
}

function raisedText(value) {
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (value && typeof value === "object" && typeof value.message === "string") return value.message;
  if (value && typeof value === "object") return "a table was raised";
  return value === null || value === undefined ? "nil" : String(value);
}

/** The text of anything that was thrown. */
export function errorText(error) {
  return error instanceof Error ? error.message || error.name : String(error);
}
