// A node of scripts/rest.mjs: when it closes it writes down which of its functions were called.
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const { Instance } = WebAssembly;
let exports;
WebAssembly.Instance = class extends Instance {
  constructor(...args) {
    super(...args);
    exports = this.exports;
  }
};

const { NodeInstance } = await import("../worker-shell/node-instance.js");
const { close } = NodeInstance.prototype;
NodeInstance.prototype.close = function () {
  close.call(this);
  const size = exports.__write_profile(0, 0);
  const at = exports.mc_buffer(size) >>> 0;
  exports.__write_profile(at, size);
  const profile = new Uint8Array(exports.memory.buffer, at, size);
  writeFileSync(join(process.env.MOONCAST_PROFILES, `${randomUUID()}.profile`), profile);
};
await import("../worker-shell/worker-node.js");
