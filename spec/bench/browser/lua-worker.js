/** Lua to Lua in a page, as one would put it together today: wasmoon in two workers, Comlink between. */
import * as Comlink from "../node_modules/comlink/dist/esm/comlink.mjs";
import "../node_modules/wasmoon/dist/index.js";

const WASM = new URL("../node_modules/wasmoon/dist/glue.wasm", import.meta.url).href;

// A hundred in flight are a hundred promises of one Lua thread: more than 45 threads of wasmoon's at a time
// corrupt its memory.
const PROGRAM = `
  function echo(value) return value end
  function calls(in_flight, till)
    local count = 0
    while now() < till do
      local answers = {}
      for i = 1, in_flight do answers[i] = ask(i) end
      for i = 1, in_flight do assert(answers[i]:await() == i) end
      count = count + in_flight
    end
    return count
  end`;

async function engine() {
  const lua = await new globalThis.wasmoon.LuaFactory(WASM).createEngine();
  await lua.doString(PROGRAM);
  return lua;
}

const roles = {
  async first() {
    const lua = await engine();
    return lua.doString("return 1 + 1");
  },
  async answer({ port }) {
    const lua = await engine();
    const echo = lua.global.get("echo");
    Comlink.expose({ echo: (value) => echo(value) }, port);
  },
  async ask({ port, inFlight, ms }) {
    const lua = await engine();
    const other = Comlink.wrap(port);
    lua.global.set("now", () => performance.now());
    lua.global.set("ask", (value) => other.echo(value));
    const start = performance.now();
    const count = await lua.doString(`return calls(${inFlight}, ${start + ms})`);
    return (count / (performance.now() - start)) * 1000;
  },
};

self.onmessage = async ({ data }) => {
  // A worker's error says nothing of its cause to the page.
  self.postMessage(await roles[data.role](data).catch((error) => ({ error: String(error) })));
};
