/**
 * An actor for the worklet that checks what is played: frame n of what was written is expected to have the value
 * of `sampleOf(n)` in every channel, and silence is 0.
 */
registerActor("checker", class {
  constructor() {
    this._next = 0;
    this._silent = 0;
    this._gap = 0;
    this._wrong = 0;
    this._callbacks = 0;
  }

  add(a, b) {
    return a + b;
  }

  echo(text) {
    return `${text}${text.length}`;
  }

  async nap(ref) {
    const began = performance.now();
    const error = await this.call(ref, "sleep", [], { timeout: 30 }).catch(({ code }) => code);
    return [error, performance.now() - began >= 29];
  }

  fail() {
    this._fails = true;
  }

  /** Only silence between samples is counted. */
  report() {
    return { frames: this._next, silent: this._silent, wrong: this._wrong, callbacks: this._callbacks };
  }

  _render(channels, frames) {
    this._callbacks += 1;
    if (this._fails) throw new Error("the callback failed");
    for (let i = 0; i < frames; i++) {
      const sample = channels[0][i];
      for (let channel = 1; channel < channels.length; channel++) if (channels[channel][i] !== sample) this._wrong += 1;
      if (sample === 0) {
        if (this._next > 0) this._gap += 1;
        continue;
      }
      this._silent += this._gap;
      this._gap = 0;
      if (sample !== ((this._next % 65536) + 1) / 131072) this._wrong += 1;
      this._next += 1;
    }
  }
});
