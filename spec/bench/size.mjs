/** What a page downloads to run an actor: the wasm, and the JavaScript of dist/ that it imports, each file by itself. */
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = new URL("../../dist/", import.meta.url);
const IMPORT = /(?:^|[;}])import(?:\{[^}]*\}from)?"(\.[^"]+)"/g;

/** The modules that a page loads with these. */
function modules(names, found = new Set()) {
  for (const name of names) {
    if (found.has(name)) continue;
    found.add(name);
    const imports = [...readFileSync(new URL(name, root), "utf8").matchAll(IMPORT)];
    modules(imports.map(([, path]) => path.slice("./".length)), found);
  }
  return [...found];
}

function sizes(files) {
  const sum = { files, raw: 0, gzip: 0, brotli: 0 };
  for (const file of files) {
    const bytes = readFileSync(new URL(file, root));
    sum.raw += bytes.length;
    sum.gzip += gzipSync(bytes, { level: 9 }).length;
    // At its best, which a server computes once.
    sum.brotli += brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }).length;
  }
  return sum;
}

/** @returns {{ what: string, files: string[], raw: number, gzip: number, brotli: number }[]} bytes */
export function shipped() {
  const wasm = ["mooncast.wasm"];
  const js = modules(["index.js", "worker.js"]);
  return Object.entries({ wasm, js, page: [...wasm, ...js] }).map(([what, files]) => ({ what, ...sizes(files) }));
}
