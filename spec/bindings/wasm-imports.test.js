// What build/mooncast.wasm wants of its host and offers it: the linker takes whatever name C uses for
// an import, so a misspelt or a new one would show only when it is called.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { isRest } from "../../worker-shell/rest.js";

const module = new WebAssembly.Module(readFileSync("build/mooncast.wasm"));

const IMPORTS = `
  env.emscripten_notify_memory_growth
  env.mc_connect env.mc_log env.mc_now env.mc_random env.mc_send
  env.mc_file_cwd env.mc_file_list env.mc_file_open env.mc_file_remove env.mc_file_rename env.mc_file_stat
  env.mc_parse_number env.mc_timezone
  Math.acos Math.asin Math.atan2 Math.cos Math.exp Math.log Math.log10 Math.log2 Math.pow Math.sin Math.tan
  wasi_snapshot_preview1.clock_time_get
  wasi_snapshot_preview1.environ_get wasi_snapshot_preview1.environ_sizes_get
  wasi_snapshot_preview1.fd_close wasi_snapshot_preview1.fd_fdstat_get wasi_snapshot_preview1.fd_read
  wasi_snapshot_preview1.fd_seek wasi_snapshot_preview1.fd_write
  wasi_snapshot_preview1.proc_exit
`;

const EXPORTS = `
  memory _initialize mc_open mc_buffer mc_peer mc_deliver mc_run mc_step mc_peer_down mc_close
`;

const words = (text) => text.trim().split(/\s+/).sort();

test("the wasm imports exactly what the shell gives", () => {
  const imports = WebAssembly.Module.imports(module).filter((i) => !isRest(i.module));
  assert.deepEqual(imports.map((i) => `${i.module}.${i.name}`).sort(), words(IMPORTS));
  assert.ok(imports.every((i) => i.kind === "function"));
});

test("the wasm exports what the shell calls", () => {
  const exports = WebAssembly.Module.exports(module).map((e) => e.name);
  assert.deepEqual(words(EXPORTS).filter((name) => !exports.includes(name)), []);
});
