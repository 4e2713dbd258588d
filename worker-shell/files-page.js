/** The files of a Lua node in a page: in memory, with its output posted to the host. */
import { Files, MemoryFiles } from "./files.js";

/** @param {{ files?: Record<string, string | Uint8Array> }} start @param {(fd: number, bytes: Uint8Array) => void} output */
export function makeFiles({ files }, output) {
  const stdout = (bytes) => output(1, bytes);
  const stderr = (bytes) => output(2, bytes);
  return new Files(new MemoryFiles({ stdout, stderr, files }));
}
