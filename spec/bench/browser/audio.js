/** Plays for `?seconds` and reports how that went. */
import { createSystem } from "../../../worker-shell/index.js";
import { play } from "../../browser/audio-run.js";

const report = (body) => fetch("/report", { method: "POST", body: JSON.stringify(body) });
try {
  const seconds = Number(new URLSearchParams(location.search).get("seconds"));
  const system = await createSystem({ workers: 2 });
  await report({ link: system.info().link, ...(await play(system, { seconds })) });
} catch (error) {
  await report({ error: String(error?.stack ?? error) });
}
