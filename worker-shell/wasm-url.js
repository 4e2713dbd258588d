/** Where the wasm is, beside what imports this. scripts/dist.mjs and bundlers look for exactly this form. */
export const wasmUrl = new URL("../build/mooncast.wasm", import.meta.url);
