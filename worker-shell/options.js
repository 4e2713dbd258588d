/** What createSystem takes: see index.d.ts. */
import { MAX_NODES } from "./pool.js";

const whole = (least, most) => (value) => Number.isInteger(value) && value >= least && value <= most;
const milliseconds = ["a number of milliseconds above 0", (value) => typeof value === "number" && value > 0];
const text = ["a string", (value) => typeof value === "string"];
const callback = ["a function", (value) => typeof value === "function"];
const object = ["an object", (value) => typeof value === "object" && value !== null];
const anything = ["", () => true];

const OPTIONS = {
  workers: [`a whole number from 0 to ${MAX_NODES}`, whole(0, MAX_NODES)],
  main: text,
  args: ["an array", Array.isArray],
  link: ['"ring" or "port"', (value) => value === "ring" || value === "port"],
  codec: text,
  callTimeout: milliseconds,
  maxMemory: ["a whole number of bytes above 0", whole(1, Infinity)],
  startTimeout: milliseconds,
  hangTimeout: milliseconds,
  wasm: anything,
  wasmRest: anything,
  workerUrl: anything,
  files: object,
  stdout: callback,
  stderr: callback,
  log: callback,
  onExit: callback,
  policy: callback,
  detectStuck: anything,
};

/** Refuses what is none of these, before anything is started for it. */
export function checkOptions(options) {
  check("options", options, object);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(OPTIONS, name)) throw new TypeError(`createSystem has no option ${name}`);
    if (value !== undefined) check(name, value, OPTIONS[name]);
  }
}

export const checkText = (name, value) => check(name, value, text);

function check(name, value, [what, fits]) {
  if (!fits(value)) throw new RangeError(`${name} is ${what}, not ${value}`);
}
