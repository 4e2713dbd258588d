/** The part of here.js that is Node's. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Worker } from "node:worker_threads";

let folder;

export function program(name, text) {
  if (!folder) {
    folder = mkdtempSync(join(tmpdir(), "mooncast-"));
    process.on("exit", () => rmSync(folder, { recursive: true }));
  }
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

export const startThread = (url) => new Worker(url);

export const readText = (url) => readFile(url, "utf8");

const THREADS = new Set(["MessagePort", "Worker"]);
export const threads = () => process.getActiveResourcesInfo().filter((kind) => THREADS.has(kind)).length;
