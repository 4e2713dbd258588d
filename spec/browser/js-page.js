/** Runs the JavaScript specs, file by file. */
import { report } from "./report.js";
import { run } from "./node-test.js";
import { createSystem } from "../../worker-shell/index.js";

const system = await createSystem({ workers: 1 });
report({ type: "info", info: system.info(), isolated: crossOriginIsolated });
await system.close();

for (const path of await (await fetch("/js-suite.json")).json()) {
  report({ type: "start", name: path });
  try {
    await import(path);
    await run(path);
  } catch (error) {
    const text = `${error}\n${error.stack}\nIf it is Node's alone, name it in spec/browser/excluded.js.`;
    report({ type: "fail", name: path, text });
  }
}
report({ type: "end" });
