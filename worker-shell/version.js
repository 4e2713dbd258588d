/** The version of the library; the wasm reports the same. */
export const VERSION = "0.1.0";
