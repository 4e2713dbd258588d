/** What a worker thread of Node runs: one Lua node. Its host is the thread that started it. */
import { MessagePort, isMainThread, parentPort, receiveMessageOnPort } from "node:worker_threads";

import { NodeShell } from "./node-shell.js";
import { loadRest, makeFiles } from "./files-node.js";

if (isMainThread) {
  console.error("mooncast: worker-node.js runs inside a worker: start cli.js, or import createSystem from index.js");
  process.exit(1);
}

const post = (message, transfer) => parentPort.postMessage(message, transfer);
// Deno's can be read in the event loop only.
const poll = parentPort instanceof MessagePort ? () => receiveMessageOnPort(parentPort)?.message : undefined;
const shell = new NodeShell(post, makeFiles, loadRest, poll);
// The event loop would bring the first message 1 ms later.
shell.receive(poll?.());
parentPort.on("message", (message) => shell.receive(message));
