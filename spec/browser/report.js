/**
 * What a test page tells the runner, in order: a test that starts, one that passed or failed, an
 * error that nobody caught, the end.
 */
let sending = Promise.resolve();

/** @param {object} report */
export function report(report) {
  sending = sending.then(() => fetch("/report", { method: "POST", body: JSON.stringify(report) }));
  return sending;
}

const text = (value) => (value instanceof Error ? `${value.message}\n${value.stack}` : String(value));

for (const name of ["error", "warn"]) {
  const usual = console[name];
  console[name] = (...args) => {
    report({ type: "console", text: args.map(text).join(" ") });
    usual.apply(console, args);
  };
}
addEventListener("error", (event) => {
  const { message, error, target } = event;
  report({ type: "console", text: error ? text(error) : (message ?? `cannot load ${target?.src ?? target?.href}`) });
}, true);
addEventListener("unhandledrejection", ({ reason }) => report({ type: "console", text: `unhandled rejection: ${text(reason)}` }));
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  report({ type: "console", text: `the policy ${violatedDirective} was violated by ${blockedURI}` });
});
