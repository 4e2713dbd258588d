/**
 * What an AudioWorklet loads: the processor of createAudioNode in audio.js. It plays what is in its ring, and
 * is a node that hosts one actor in JavaScript. Calls are handled between two callbacks; in the callback itself
 * nothing is allocated, awaited or locked.
 *
 * A module of the page's, given to createAudioNode as `module`, registers actors of its own:
 *
 *   registerActor("tremolo", class {
 *     constructor(options) { this.depth = options.depth; this.phase = 0; }
 *     set(depth) { this.depth = depth; }                      // Lua: mc.lookup("audio"):set(0.5)
 *     _render(channels, frames) { ... }                       // in the callback, after the ring was read
 *   });
 */
import { equip } from "./worklet-scope.js";
import { PortNode } from "./port-node.js";
import { SampleRing } from "./sample-ring.js";
import { INTERLEAVE, makeSamples } from "./samples.js";

/** How fast the volume follows: a step in each frame, too small to be heard. */
const VOLUME_STEP = 1 / 2048;

/** The actor of a node that was asked for no other. */
class Player {
  /** @param {{ volume?: number }} options */
  constructor({ volume = 1 } = {}) {
    this._volume = this._wanted = volume;
    this._peak = 0;
  }

  /** The volume, 1 for what was written; with an argument it goes there. */
  volume(wanted) {
    if (wanted === undefined) return this._wanted;
    if (!(wanted >= 0)) throw new TypeError(`a volume is a number from 0, not ${wanted}`);
    this._wanted = wanted;
    return wanted;
  }

  /** The loudest sample since the last time. */
  peak() {
    const peak = this._peak;
    this._peak = 0;
    return peak;
  }

  _render(channels, frames) {
    let volume = this._volume;
    for (let i = 0; i < frames; i++) {
      const more = this._wanted - volume;
      volume += more > VOLUME_STEP ? VOLUME_STEP : more < -VOLUME_STEP ? -VOLUME_STEP : more;
      for (let channel = 0; channel < channels.length; channel++) {
        const sample = channels[channel][i] * volume;
        channels[channel][i] = sample;
        if (sample > this._peak) this._peak = sample;
        else if (-sample > this._peak) this._peak = -sample;
      }
    }
    this._volume = volume;
  }
}

const actors = new Map([["player", Player]]);
globalThis.registerActor = (name, actor) => void actors.set(name, actor);

class Processor extends AudioWorkletProcessor {
  #ring;
  #actor;
  #running = true;

  constructor() {
    super();
    const open = (node, more) => this.#open(node, more);
    new PortNode(this.port, { open, close: () => (this.#running = false) });
  }

  #open(node, { scope, name, actor, options, channels, ring, frames }) {
    equip(scope);
    const Actor = actors.get(actor);
    if (!Actor) throw new Error(`no actor is registered as ${actor} in the worklet`);
    this.#actor = new Actor(options);
    node.expose(name, this.#actor);
    this.#ring = new SampleRing(ring ?? new ArrayBuffer(SampleRing.bytes(frames, channels)), channels);
    // Without shared memory samples come here as calls.
    if (!ring) node.expose(`${name}.samples`, makeSamples(this.#ring, sampleRate), { interleave: INTERLEAVE });
  }

  process(inputs, outputs) {
    if (this.#ring !== undefined && outputs.length > 0 && outputs[0].length > 0) {
      const channels = outputs[0];
      this.#ring.read(channels);
      if (this.#actor._render !== undefined) this.#actor._render(channels, channels[0].length);
    }
    return this.#running;
  }
}

registerProcessor("mooncast", Processor);
