/** Runs the busted specs on workers of this page, over the link that the system chooses by itself. */
import { createSystem } from "../../worker-shell/index.js";
import { report } from "./report.js";

const RUNNER = "spec/support/run_busted.lua";
// Two nodes besides the one that the specs run on.
const WORKERS = 3;

const { files, args } = await (await fetch("/lua-suite.json")).json();
const decoder = new TextDecoder();

/** What busted prints, a line at a time. */
let rest = "";
function write(bytes) {
  const lines = (rest + decoder.decode(bytes)).split("\n");
  rest = lines.pop();
  for (const line of lines) {
    if (line.startsWith("begins ")) report({ type: "start", name: line.slice(7) });
    else report({ type: "output", text: `${line}\n` });
  }
}

const ended = new Promise((resolve) => {
  run(resolve).catch((error) => {
    console.error(error);
    resolve();
  });
});

async function run(onExit) {
  // What the specs make the nodes log is meant to be logged.
  const system = await createSystem({ workers: WORKERS, files, stdout: write, stderr: write, log: () => {}, onExit });
  report({ type: "info", info: system.info(), isolated: crossOriginIsolated });
  await system.runSource(RUNNER, new TextEncoder().encode(files[RUNNER]), args);
}

await ended;
report({ type: "end" });
