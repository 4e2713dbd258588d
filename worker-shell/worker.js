/** What a Web Worker runs: one Lua node. Its host is whoever started it. */
import { Files, MemoryFiles } from "./files.js";
import { NodeShell } from "./node-shell.js";

if (typeof WorkerGlobalScope === "undefined") {
  throw new Error("worker.js runs inside a worker: import createSystem from index.js");
}

function makeFiles({ files }, output) {
  const stdout = (bytes) => output(1, bytes);
  const stderr = (bytes) => output(2, bytes);
  return new Files(new MemoryFiles({ stdout, stderr, files }));
}

const shell = new NodeShell((message, transfer = []) => self.postMessage(message, transfer), makeFiles);
self.onmessage = ({ data }) => shell.receive(data);
