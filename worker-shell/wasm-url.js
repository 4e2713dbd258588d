/** Where the wasm's two parts are, beside what imports this. scripts/dist.mjs and bundlers look for exactly this form. */
export const wasmUrl = new URL("../build/mooncast.wasm", import.meta.url);
export const restUrl = new URL("../build/mooncast-rest.wasm", import.meta.url);
