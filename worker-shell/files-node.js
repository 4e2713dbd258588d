/** What a Lua node needs of Node: files, and the wasm's second part. */
import fs from "node:fs";
import { fileURLToPath } from "node:url";

import { Files, NodeFiles } from "./files.js";

/** Node's files, with standard output and error given to somebody else. */
class CapturedFiles extends NodeFiles {
  #output;

  constructor(output) {
    super(fs);
    this.#output = output;
  }

  standard(fd) {
    if (fd === 0) return super.standard(fd);
    return {
      terminal: true, // lines are wanted as they come
      read: () => refuse("EBADF"),
      write: (bytes) => this.#output(fd, bytes.slice()),
      seek: () => refuse("ESPIPE"),
      close: () => {},
    };
  }
}

function refuse(code) {
  throw Object.assign(new Error(code), { code });
}

/** The files of a Lua node in a thread of Node. */
export function makeFiles({ capture }, output) {
  return new Files(capture ? new CapturedFiles(output) : new NodeFiles(fs), process.env);
}

/** Of a file that is given as a path or as a URL. */
export const pathOf = (source) => (source instanceof URL || /^file:/.test(source) ? fileURLToPath(source) : source);

/** The wasm's second part. */
export function loadRest(source) {
  try {
    return new WebAssembly.Module(fs.readFileSync(pathOf(source)));
  } catch (error) {
    throw new Error(`cannot load ${source}: ${error.message}`, { cause: error });
  }
}
