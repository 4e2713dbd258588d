// The program of every page here: says what it saw to the server that gave it.
import { createSystem } from "mooncast";

import { greet } from "./greet.js";

const report = (body) => fetch("/report", { method: "POST", body: JSON.stringify(body) });
addEventListener("securitypolicyviolation", ({ violatedDirective }) => report({ error: `against ${violatedDirective}` }));
try {
  await report(await greet(createSystem));
} catch (error) {
  await report({ error: String(error?.stack ?? error) });
}
