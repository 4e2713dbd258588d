// A page that plays into memory: says which samples it heard to the server that gave it.
import { createSystem } from "mooncast";
import { createAudioNode } from "mooncast/audio";

const report = (body) => fetch("/report", { method: "POST", body: JSON.stringify(body) });
addEventListener("securitypolicyviolation", ({ violatedDirective }) => report({ error: `against ${violatedDirective}` }));
try {
  const system = await createSystem({ workers: 1 });
  const context = new OfflineAudioContext(1, 256, 48_000);
  const audio = await createAudioNode(system, context);
  audio.node.connect(context.destination);
  await audio.samples.call("write", [Float32Array.of(0.5, -0.25).buffer]);
  await audio.samples.cast("finish");
  await audio.samples.call("stats");
  const played = await context.startRendering();
  await report({ heard: [...played.getChannelData(0)].filter((sample) => sample !== 0) });
} catch (error) {
  await report({ error: String(error?.stack ?? error) });
}
