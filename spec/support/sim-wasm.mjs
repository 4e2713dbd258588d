// Runs a Lua program in build/sim/mooncast.wasm, whose one node then drives simulated ones:
// node spec/support/sim-wasm.mjs prog.lua [arguments]; natively that is build/sim/lua prog.lua.
import { createSystem } from "../../worker-shell/system.js";

const [script, ...args] = process.argv.slice(2);
const wasm = new URL("../../build/sim/mooncast.wasm", import.meta.url);
const onExit = (status) => process.exit(status);
const system = await createSystem({ workers: 1, link: "port", wasm, args: [script, ...args], onExit });
try {
  await system.run(script, ...args);
} catch (error) {
  console.error(error.message, error.traceback ?? "");
  process.exitCode = 1;
}
await system.close();
