import { parentPort } from "node:worker_threads";

import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { LuaFactory } from "wasmoon";

const lua = await new LuaFactory().createEngine();
await lua.doString("function echo(value) return value end");
const echo = lua.global.get("echo");
Comlink.expose({ echo: (value) => echo(value) }, nodeEndpoint(parentPort));
