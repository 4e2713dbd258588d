// Plays in a browser what a Lua worker writes ahead, while another calls the actor in the AudioWorklet 100 times
// a second, with and without shared memory: `node spec/bench/audio.mjs [seconds] [chromium]`. Prints a JSON line
// for each, and fails for an underrun, a wrong sample or a call that was not answered.
import { loadavg } from "node:os";

import { openPage } from "../browser/engines.js";
import { startServer } from "../browser/server.js";

const seconds = Number(process.argv[2] ?? 60);
const engine = process.argv[3] ?? "chromium";
const STARTING_MS = 60_000;

function run(isolated) {
  return new Promise((resolve, reject) => {
    let page;
    const limit = setTimeout(() => end(reject, new Error("it did not end")), seconds * 1000 + STARTING_MS);
    const serving = startServer({ isolated, onReport: (report) => end(resolve, report) });
    async function end(settle, outcome) {
      clearTimeout(limit);
      await page?.close();
      await (await serving).close();
      settle(outcome);
    }
    serving.then(({ origin }) => {
      const url = `${origin}/spec/bench/browser/audio.html?seconds=${seconds}`;
      page = openPage(engine, url, { onExit: (why) => end(reject, new Error(why)) });
    }, reject);
  });
}

for (const isolated of [true, false]) {
  const { error, link, frames, calls, right, longest, behind, late, stats, report } = await run(isolated);
  if (error) throw new Error(error);
  const { underruns, missing, played, capacity } = stats;
  const load = loadavg()[0];
  const figures = { engine, link, seconds, frames, played, capacity, underruns, missing, wrong: report.wrong, calls, right, device_underruns: late };
  const rounded = { longest_call_ms: longest, clock_behind_ms: behind, load };
  for (const [name, value] of Object.entries(rounded)) figures[name] = Number(value.toFixed(1));
  console.log(JSON.stringify(figures));
  const sound = underruns === 0 && report.wrong === 0 && report.frames === frames && right === calls;
  if (!sound) process.exitCode = 1;
}
