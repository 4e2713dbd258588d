// The same in Node, Deno and Bun: prints what it saw, and ends by itself.
import { createSystem } from "mooncast";

import { greet } from "./greet.js";

console.log(JSON.stringify(await greet(createSystem)));
