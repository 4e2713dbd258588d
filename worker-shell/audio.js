/**
 * A node in an AudioWorklet: it plays samples that Lua writes ahead, and hosts an actor in JavaScript.
 *
 *   const audio = await createAudioNode(system, context);
 *   audio.node.connect(context.destination);
 *
 *   mc.lookup "audio.samples":write(buffer)      mc.lookup "audio":volume(0.5)
 */
import { attach } from "./attached.js";
import { SampleRing } from "./sample-ring.js";
import { INTERLEAVE, makeSamples } from "./samples.js";

const MOST_CHANNELS = 32;
/** Enough for the secrets of a node's actors. */
const RANDOM_BYTES = 64;

/** What was loaded into each context. */
const contexts = new WeakMap();

async function load(context, url) {
  if (!context.audioWorklet) throw new Error("this page has no AudioWorklet: it wants https, or localhost");
  await context.audioWorklet.addModule(url ?? new URL("./worklet.js", import.meta.url));
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data: { id, ms } }) => setTimeout(() => port1.postMessage(id), ms);
  return port2;
}

/** Loads the worklet's module once. @returns {Promise<MessagePort | undefined>} for the first node: its scope's timers */
async function loaded(context, url) {
  if (contexts.has(context)) return void (await contexts.get(context));
  const loading = load(context, url);
  contexts.set(context, loading);
  // Another attempt may have a better address.
  loading.catch(() => contexts.delete(context));
  return loading;
}

function check({ channels, ahead }) {
  if (!(Number.isInteger(channels) && channels >= 1 && channels <= MOST_CHANNELS)) {
    throw new RangeError(`channels is a whole number from 1 to ${MOST_CHANNELS}, not ${channels}`);
  }
  if (!(ahead > 0 && ahead <= 60)) throw new RangeError(`ahead is a number of seconds up to 60, not ${ahead}`);
}

/**
 * Makes a node in the AudioWorklet of a context.
 * @param {import("./index.js").System} system
 * @param {BaseAudioContext} context
 * @param {import("./audio.js").AudioNodeOptions} [options]
 * @returns {Promise<import("./audio.js").ActorAudioNode>}
 */
export async function createAudioNode(system, context, options = {}) {
  const { name = "audio", channels = 1, ahead = 0.25, actor = "player", actorOptions = {} } = options;
  check({ channels, ahead });
  const timers = await loaded(context, options.workletUrl);
  if (options.module) await context.audioWorklet.addModule(options.module);
  const frames = Math.ceil(ahead * context.sampleRate);
  const ring = system.info().sharedMemory
    ? new SampleRing(new SharedArrayBuffer(SampleRing.bytes(frames, channels)), channels)
    : undefined;
  const node = new AudioWorkletNode(context, "mooncast", { numberOfInputs: 0, outputChannelCount: [channels] });
  const scope = { random: crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)), timers };
  const more = { scope, name, actor, options: actorOptions, channels, frames, ring: ring?.buffer };
  const attached = await attach(system, node.port, more, timers ? [timers] : []);
  node.onprocessorerror = () => attached.die(`node ${attached.name} went down: its processor failed`);
  // A context that has rendered into memory is closed, too, but its worklet lives on.
  const onState = () => context.state === "closed" && attached.die(`node ${attached.name} went down: its context was closed`);
  if (typeof context.close === "function") context.addEventListener("statechange", onState);
  const samples = ring && system.expose(`${name}.samples`, makeSamples(ring, context.sampleRate), { interleave: INTERLEAVE });
  return {
    node,
    actor: await system.lookup(name),
    samples: samples ?? (await system.lookup(`${name}.samples`)),
    async close() {
      context.removeEventListener("statechange", onState);
      attached.close();
      node.disconnect();
      await samples?.stop().catch(() => {});
    },
  };
}
