// web/examples/piano.lua from the command line: a file with the whole piece, in tune.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "mooncast-piano-"));
after(() => rmSync(folder, { recursive: true }));

const RATE = 48_000;
const NOTE = 1 / 4.8;
/** What a note must be nearer to than to its neighbours: these many cents. */
const CENTS = [-18, -12, -6, 0, 6, 12, 18];

const mooncast = (...args) =>
  spawnSync("node", ["worker-shell/cli.js", "--workers", "2", "web/examples/piano.lua", ...args], { cwd: root, encoding: "utf8" });

describe("the piano", () => {
  let samples;
  before(() => {
    const path = join(folder, "prelude.wav");
    const { status, stderr } = mooncast(path);
    assert.deepEqual([status, stderr], [0, ""]);
    const bytes = readFileSync(path);
    assert.deepEqual([bytes.toString("latin1", 0, 4), bytes.toString("latin1", 8, 16)], ["RIFF", "WAVEfmt "]);
    assert.equal(bytes.readUInt32LE(40), bytes.length - 44);
    samples = new Int16Array(bytes.buffer.slice(bytes.byteOffset + 44));
  });

  /** How much of a frequency there is in a note, by its number. */
  function strength(frequency, note) {
    const [first, count] = [Math.round(note * NOTE * RATE), Math.round(0.19 * RATE)];
    let [re, im] = [0, 0];
    for (let i = 0; i < count; i++) {
      const phase = (2 * Math.PI * frequency * i) / RATE;
      const sample = samples[first + i] * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / count));
      re += sample * Math.cos(phase);
      im += sample * Math.sin(phase);
    }
    return Math.hypot(re, im) / count;
  }

  it("plays all of the piece, not too loud and to its end", () => {
    const seconds = samples.length / RATE;
    // 19 bars of 16 notes, one more, and what fades away.
    assert.ok(seconds > 305 * NOTE && seconds < 320 * NOTE, `${seconds} s`);
    const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    assert.ok(peak > 10_000 && peak < 32_000, `${peak}`);
    assert.ok(samples.subarray(-RATE / 10).every((sample) => Math.abs(sample) < 500));
  });

  it("is in tune", () => {
    const notes = { C4: [261.63, 0], E4: [329.63, 1], C5: [523.25, 3], E5: [659.26, 4] };
    for (const [name, [frequency, note]] of Object.entries(notes)) {
      const strengths = CENTS.map((cents) => strength(frequency * 2 ** (cents / 1200), note));
      assert.equal(CENTS[strengths.indexOf(Math.max(...strengths))], 0, `${name}: ${strengths.map(Math.round)}`);
      assert.ok(Math.max(...strengths) > 100, `${name} sounds`);
    }
  });

  it("says what it needs where there is neither a page nor a file", () => {
    assert.match(mooncast().stdout, /needs the page/);
  });
});
