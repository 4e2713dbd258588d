/** Runs the command line in a process of its own, and Lua programs from strings. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const CLI = fileURLToPath(new URL("../../worker-shell/cli.js", import.meta.url));
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const TIME_LIMIT_MS = 60_000;

/**
 * Runs a command until it ends.
 * @param {string} command
 * @param {string[]} args
 * @param {{ input?: string | Uint8Array, env?: Record<string, string>, cwd?: string, onStart?: (child: import("node:child_process").ChildProcess) => void }} [options]
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string, ms: number, endedAt: number }>}
 */
export function execute(command, args, { input = "", env = {}, cwd = ROOT, onStart } = {}) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, timeout: TIME_LIMIT_MS, killSignal: "SIGKILL" });
    const output = { stdout: [], stderr: [] };
    for (const name of ["stdout", "stderr"]) child[name].on("data", (bytes) => output[name].push(bytes));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const text = (name) => Buffer.concat(output[name]).toString("utf8");
      resolve({ code, signal, stdout: text("stdout"), stderr: text("stderr"), ms: performance.now() - start, endedAt: Date.now() });
    });
    child.stdin.on("error", () => {}); // it may end without reading
    if (input !== null) child.stdin.end(input);
    onStart?.(child);
  });
}

/** `mooncast ...args` */
export function mooncast(args, options) {
  return execute(process.execPath, [CLI, ...args], options);
}

/** A folder for programs; gone when `after` runs what it is given. */
export function programFolder(after) {
  const folder = mkdtempSync(join(tmpdir(), "mooncast-"));
  after(() => rmSync(folder, { recursive: true }));
  return (name, text) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
}

/** Two threads to start, one processor to run on, and somebody else's tests: less than the 30 s of a timeout. */
export const SOON_MS = 10_000;
