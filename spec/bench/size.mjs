/** What a page downloads: the wasm, and the JavaScript that it imports, each file by itself. */
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = new URL("../../", import.meta.url);
/** Loaded in Node only. */
const NOT_IN_PAGES = /platform-node\.js$/;
const REFERENCE = /\bfrom "(\.[^"]+)"|\bimport "(\.[^"]+)"|new URL\("(\.[^"]+\.js)", import\.meta\.url\)/g;

/** The modules that these import, and workers start, themselves included. */
function modules(urls, found = new Set()) {
  for (const url of urls) {
    if (found.has(url.href) || NOT_IN_PAGES.test(url.href)) continue;
    found.add(url.href);
    const references = [...readFileSync(url, "utf8").matchAll(REFERENCE)].map((match) => match[1] ?? match[2] ?? match[3]);
    modules(references.map((reference) => new URL(reference, url)), found);
  }
  return found;
}

const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };

function sizes(urls) {
  const total = { raw: 0, gzip: 0, brotli: 0 };
  for (const url of urls) {
    const bytes = readFileSync(new URL(url));
    total.raw += bytes.length;
    total.gzip += gzipSync(bytes, { level: 9 }).length;
    total.brotli += brotliCompressSync(bytes, brotli).length;
  }
  return total;
}

/** @returns {{ what: string, files: number, raw: number, gzip: number, brotli: number }[]} bytes */
export function shipped() {
  const wasm = [new URL("build/mooncast.wasm", root).href];
  const js = [...modules([new URL("worker-shell/index.js", root)])];
  const all = { wasm, js, page: [...wasm, ...js] };
  return Object.entries(all).map(([what, urls]) => ({ what, files: urls.length, ...sizes(urls) }));
}
