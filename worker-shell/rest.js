/**
 * The wasm is in two parts, so that pages download little: mooncast.wasm has what nearly every program
 * runs, mooncast-rest.wasm the functions that bindings/rest.txt lists and the Lua modules that few
 * programs use. A node links the second part to its instance when it first calls one of these: they
 * share memory and table, and the second part puts its functions where stand-ins were (scripts/split.mjs),
 * which call the import `load`.
 * That happens in the middle of a call of the wasm's, so a node has to load it synchronously. A page's own
 * thread cannot: a node in there starts with both.
 *
 * Both parts name what is between them by the hash of the whole, so that only parts of one build fit.
 */

/** Whether this is what a first part calls its second. */
export const isRest = (part) => part.startsWith("rest:");

/** Whether this module has a second part. */
export function hasRest(module) {
  return WebAssembly.Module.imports(module).some((entry) => isRest(entry.module));
}

/** @param {WebAssembly.Module} rest @param {string} part its name @param {WebAssembly.Exports} first */
export function linkRest(rest, part, first) {
  if (WebAssembly.Module.imports(rest)[0]?.module !== part) {
    throw new Error("mooncast-rest.wasm is of another build than mooncast.wasm: reload the page, or copy both");
  }
  new WebAssembly.Instance(rest, { [part]: first });
}

/** Where the second part is: as somebody says, or beside the first part that they chose. */
export function restSource({ wasm, wasmRest }, otherwise) {
  if (wasmRest !== undefined) return wasmRest;
  if (typeof wasm !== "string" && !(wasm instanceof URL)) return otherwise;
  const beside = String(wasm).replace(/\.wasm(?=$|[?#])/, "-rest.wasm");
  return wasm instanceof URL ? new URL(beside) : beside;
}
