// Lua to Lua over two threads, as one would put it together today: wasmoon in both, Comlink between.
// A hundred in flight are a hundred promises of one Lua thread: more than 45 threads of wasmoon's at a
// time corrupt its memory.
import { Worker } from "node:worker_threads";

import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { LuaFactory } from "wasmoon";

const PROGRAM = `
  function one_at_a_time(n)
    for i = 1, n do assert(echo(i):await() == i) end
  end
  function from_many(n)
    for _ = 1, n, 100 do
      local answers = {}
      for i = 1, 100 do answers[i] = echo(i) end
      for i = 1, 100 do assert(answers[i]:await() == i) end
    end
  end`;

export async function start() {
  const worker = new Worker(new URL("wasmoon-comlink-worker.mjs", import.meta.url));
  const proxy = Comlink.wrap(nodeEndpoint(worker));
  const lua = await new LuaFactory().createEngine();
  lua.global.set("echo", (value) => proxy.echo(value));
  await lua.doString(PROGRAM);
  return {
    echo: (value) => lua.doString(`return echo(${value}):await()`),
    oneAtATime: (n) => lua.doString(`one_at_a_time(${n})`),
    fromMany: (n) => lua.doString(`from_many(${n})`),
  };
}
