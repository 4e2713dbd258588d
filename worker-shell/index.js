/** Mooncast: Lua 5.4 actors on workers, from JavaScript. */
export { ActorError, errorCodes } from "./errors.js";
export { results } from "./results.js";
export { RemoteRef } from "./ref.js";
export { System, createSystem } from "./system.js";
export { VERSION } from "./version.js";
