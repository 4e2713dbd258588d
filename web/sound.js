/** Lets programs be heard: a node in an AudioWorklet, which they find as "audio" and "audio.samples". */
import { createAudioNode } from "../worker-shell/audio.js";

const RATE = 48_000;

export class Sound {
  #system;
  #context;

  constructor(system) {
    this.#system = system;
  }

  /** Opens the loudspeaker; samples are 32-bit floats, 48000 a second. */
  async open(channels = 1, ahead = 0.25) {
    if (this.#context) return;
    this.#context = new AudioContext({ sampleRate: RATE });
    this.wake();
    const workletUrl = new URL("worklet.js", import.meta.url);
    const { node } = await createAudioNode(this.#system, this.#context, { channels, ahead, workletUrl });
    node.connect(this.#context.destination);
  }

  /** Browsers keep a page silent until it is clicked: this wants to be called in a click. */
  wake() {
    if (this.#context?.state === "suspended") this.#context.resume().catch(() => {});
  }

  close() {
    this.#context?.close();
    this.#context = undefined;
  }
}
