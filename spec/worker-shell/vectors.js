/** The golden vectors, which C, Lua and JavaScript all read. */
import { readText } from "../support/here.js";

export async function vectors(name) {
  return JSON.parse(await readText(new URL(`../vectors/${name}.json`, import.meta.url)));
}

export function fromHex(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Arrays in one another. */
export function nested(depth) {
  let value = [];
  for (let i = 1; i < depth; i++) value = [value];
  return value;
}
