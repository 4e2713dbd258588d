/**
 * Declared arguments and results of an actor's methods, as text: lua/signature.lua says how, and both
 * say the same of the same values. JavaScript has one kind of number: 2.0 of Lua is an integer here.
 */
import { ActorError } from "./errors.js";
import { RemoteRef } from "./ref.js";

const TYPES = ["boolean", "integer", "number", "string", "table", "reference", "any"];

function kindOf(value) {
  if (value == null) return "nil";
  if (value instanceof RemoteRef) return "reference";
  if (typeof value === "string" || value instanceof Uint8Array) return "string";
  if (typeof value === "bigint" || Number.isInteger(value)) return "integer";
  if (typeof value === "number") return "float";
  if (typeof value !== "object") return typeof value;
  return value instanceof ArrayBuffer || value instanceof ActorError ? "userdata" : "table";
}

function fits(kind, type) {
  return kind === type || type === "any" || (type === "number" && (kind === "integer" || kind === "float"));
}

function list(part, text) {
  const inner = part.trim().replace(/^\((.*)\)$/, "$1").trim();
  const words = inner === "" ? [] : inner.split(",").map((word) => word.trim());
  return words.map((word, i) => {
    if (word === "..." && i === words.length - 1) return { rest: true };
    if (word === "...") throw new TypeError(`nothing can follow '...' in the signature '${text}'`);
    const [, type, optional] = /^(\w+)(\??)$/.exec(word) ?? [];
    if (!TYPES.includes(type)) throw new TypeError(`'${word}' is no type in the signature '${text}'`);
    return { type, optional: optional === "?" || type === "any" };
  });
}

function compile(text) {
  const [, args, results] = /^(.*?)(?:->(.*))?$/s.exec(text);
  return { args: list(args, text), results: results === undefined ? undefined : list(results, text) };
}

/** Why the values are not as declared. @returns {string | undefined} */
function problem(declared, values, what) {
  for (const [i, { rest, type, optional }] of declared.entries()) {
    if (rest) return undefined;
    const kind = i < values.length ? kindOf(values[i]) : "missing";
    if (kind === "nil" || kind === "missing" ? optional : fits(kind, type)) continue;
    return `${what} ${i + 1} is ${kind}, declared ${type}`;
  }
  const most = declared.length;
  return values.length > most ? `${values.length} ${what}s, at most ${most} are declared` : undefined;
}

/** What one object's methods declare. */
export class Signatures {
  #compiled = new Map();

  /** @param {Record<string, string>} [texts] by method; throws for one that is none */
  constructor(texts = {}) {
    for (const [method, text] of Object.entries(texts)) this.#compiled.set(method, compile(text));
  }

  checkArguments(method, values) {
    const declared = this.#compiled.get(method);
    const why = declared && problem(declared.args, values, "argument");
    if (why) throw new ActorError("bad_arguments", why);
  }

  checkResults(method, values) {
    const declared = this.#compiled.get(method)?.results;
    const why = declared && problem(declared, values, "result");
    if (why) throw new ActorError("bad_return", why);
  }
}
