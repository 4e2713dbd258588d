/** What a Web Worker runs: one Lua node. Its host is whoever started it. */
import { NodeShell } from "./node-shell.js";
import { makeFiles } from "./files-page.js";

if (typeof WorkerGlobalScope === "undefined") {
  throw new Error("worker.js runs inside a worker: import createSystem from index.js");
}

/** A worker may wait for an answer, as it waits for messages. */
function loadRest(address) {
  const request = new XMLHttpRequest();
  request.open("GET", address, false);
  request.responseType = "arraybuffer";
  try {
    request.send();
    if (request.status !== 200) throw new Error(`${request.status} ${request.statusText}`);
    return new WebAssembly.Module(request.response);
  } catch (error) {
    throw new Error(`cannot load ${address}: ${error.message}`, { cause: error });
  }
}

const post = (message, transfer = []) => self.postMessage(message, transfer);
const shell = new NodeShell(post, makeFiles, loadRest);
self.onmessage = ({ data }) => shell.receive(data);
