import type { System } from "./index.js";

/** The system that the page's scripts run on. */
export const system: Promise<System>;
/** When all scripts have ended. */
export const finished: Promise<void>;
