import { Worker } from "node:worker_threads";

import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";

export async function start() {
  const proxy = Comlink.wrap(nodeEndpoint(new Worker(new URL("comlink-worker.mjs", import.meta.url))));
  return { echo: (value) => proxy.echo(value) };
}
