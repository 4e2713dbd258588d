// A node in an AudioWorklet. What is played exactly is tested with a context that renders into memory; in its
// time only in Chromium: without a sound card Firefox and WebKit never start an AudioContext.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createAudioNode } from "../../worker-shell/audio.js";
import { createSystem } from "../../worker-shell/index.js";
import { PROGRAM, checkedNode, play } from "./audio-run.js";

const RATE = 48_000;
const playsInTime = /Chrome/.test(navigator.userAgent);

const sampleOf = (n) => ((n % 65536) + 1) / 131072;

/** @param {(system: object, context: OfflineAudioContext) => Promise<void>} use */
async function offline({ channels = 1, frames = RATE }, use) {
  const system = await createSystem({ workers: 2 });
  try {
    await system.runSource("audio.lua", PROGRAM);
    await lua(system, 'mc = require "mooncast"');
    await use(system, new OfflineAudioContext(channels, frames, RATE));
  } finally {
    await system.close();
  }
}

async function lua(system, entry) {
  const { status, text } = await system.eval(entry);
  assert.equal(status, "ok", text);
  return text;
}

describe("a node in an AudioWorklet", () => {
  it("plays every sample that Lua wrote, in order, in all channels, and then silence", () =>
    offline({ channels: 2 }, async (system, context) => {
      const audio = await checkedNode(system, context, { channels: 2, ahead: 0.5 });
      const feeder = await system.spawn("Feeder", [], { on: "w2" });
      await feeder.call("write", [audio.samples, 2, 20_000]);
      await audio.samples.cast("finish");
      assert.equal((await audio.samples.call("stats")).ahead, 20_000);
      const played = await context.startRendering();
      for (let channel = 0; channel < 2; channel++) {
        const data = played.getChannelData(channel);
        const first = data.findIndex((sample) => sample !== 0);
        for (let n = 0; n < 20_000; n++) assert.equal(data[first + n], sampleOf(n), `frame ${n} of channel ${channel}`);
        assert.ok(data.subarray(first + 20_000).every((sample) => sample === 0));
      }
      const { wrong, frames } = await audio.actor.call("report");
      const { underruns, missing } = await audio.samples.call("stats");
      assert.deepEqual({ wrong, frames, underruns, missing }, { wrong: 0, frames: 20_000, underruns: 0, missing: 0 });
    }));

  it("counts an underrun when it is starved, and the frames of silence", () =>
    offline({}, async (system, context) => {
      const audio = await checkedNode(system, context, { ahead: 0.25 });
      const feeder = await system.spawn("Feeder");
      await feeder.call("write", [audio.samples, 1, 10_000]);
      await context.startRendering();
      const { underruns, missing, played } = await audio.samples.call("stats");
      assert.deepEqual({ underruns, missing, played }, { underruns: 1, missing: RATE - 10_000, played: 10_000 });
    }));

  it("is an actor for Lua on every node: text, references, deadlines, and its end", () =>
    offline({}, async (system, context) => {
      const audio = await checkedNode(system, context, { name: "there" });
      assert.match(audio.actor.node, /^host\.\d+$/);
      await lua(system, 'there = mc.lookup "there"');
      assert.equal(await lua(system, "there:add(1, 2), there:echo('grüße 🌙')"), "3\tgrüße 🌙8");
      assert.match(await lua(system, "select(2, pcall(there.none, there)).code"), /no_such_method/);
      // The worklet's scope has no timers of its own.
      const feeder = await system.spawn("Feeder", [], { on: "w2" });
      assert.deepEqual(await audio.actor.call("nap", [feeder]), ["timeout", true]);
      assert.match(await lua(system, "select(2, pcall(mc.lookup('there.samples').write, mc.lookup 'there.samples', 'abc'))"), /1 to a frame/);
      await audio.close();
      assert.equal(await lua(system, "select(2, pcall(there.add, there, 1, 2)).code"), "node_down");
    }));

  it("has a volume and a peak, and several have one context", () =>
    offline({ frames: 12_800 }, async (system, context) => {
      const [one, other] = [await createAudioNode(system, context), await createAudioNode(system, context, { name: "other", actorOptions: { volume: 0.5 } })];
      one.node.connect(context.destination);
      other.node.connect(context.destination);
      await lua(system, 'one, other = mc.lookup "audio", mc.lookup "other"');
      assert.equal(await lua(system, "one:volume(0), other:volume(), (select(2, pcall(one.volume, one, -1)))"), "0\t0.5\ta volume is a number from 0, not -1");
      const loud = Float32Array.from({ length: 12_800 }, () => 0.5);
      for (const { samples } of [one, other]) {
        await samples.call("write", [loud.slice().buffer]);
        await samples.cast("finish");
      }
      await context.startRendering();
      const [peak, half] = [await one.actor.call("peak"), await other.actor.call("peak")];
      // It went down in steps, from the first frame on.
      assert.ok(peak > 0.4 && peak < 0.5, `${peak}`);
      assert.equal(half, 0.25);
      assert.equal(await one.actor.call("peak"), 0);
    }));

  it("is down when its callback fails", () =>
    offline({}, async (system, context) => {
      const audio = await checkedNode(system, context);
      const events = system.events();
      await audio.actor.call("fail");
      await context.startRendering();
      const { value } = await events.next();
      assert.deepEqual([value.type, value.node, /its processor failed/.test(value.reason)], ["down", audio.actor.node, true]);
      await assert.rejects(audio.actor.call("report"), { code: "node_down" });
    }));

  it("that cannot be is refused", () =>
    offline({}, async (system, context) => {
      await assert.rejects(createAudioNode(system, context, { channels: 0 }), /channels is a whole number/);
      await assert.rejects(createAudioNode(system, context, { ahead: -1 }), /ahead is a number of seconds/);
      await assert.rejects(createAudioNode(system, context, { actor: "nobody" }), /no actor is registered as nobody/);
      const insecure = { sampleRate: RATE };
      await assert.rejects(createAudioNode(system, insecure), /it wants https, or localhost/);
    }));

  it("plays in its time what workers write ahead, while 100 calls a second are answered there [I14]", { skip: !playsInTime }, async () => {
    const system = await createSystem({ workers: 2 });
    const { frames, calls, right, stats, report } = await play(system, { seconds: 3 });
    assert.deepEqual({ right, wrong: report.wrong, frames: report.frames }, { right: calls, wrong: 0, frames });
    // How often it ran dry is the machine's affair here; that no silence goes unnoticed is ours.
    assert.deepEqual([stats.played, stats.missing], [frames, report.silent]);
    await system.close();
  });

  it("goes on in order when it was starved, and says so, and is down when its context is closed", { skip: !playsInTime }, async () => {
    const system = await createSystem({ workers: 1 });
    await system.runSource("audio.lua", PROGRAM);
    const context = new AudioContext({ sampleRate: RATE });
    const audio = await checkedNode(system, context, { ahead: 0.1 });
    const feeder = await system.spawn("Feeder");
    const { capacity } = await audio.samples.call("stats");
    await feeder.call("write", [audio.samples, 1, capacity]);
    for (let stats; !stats?.underruns; ) stats = await audio.samples.call("stats");
    await feeder.call("write", [audio.samples, 1, capacity]);
    await audio.samples.call("finish");
    const { underruns, missing, played } = await audio.samples.call("stats");
    const report = await audio.actor.call("report");
    assert.deepEqual([played, report.frames, report.wrong], [2 * capacity, 2 * capacity, 0]);
    assert.ok(underruns >= 1 && missing > 0);
    const events = system.events();
    await context.close();
    const { value } = await events.next();
    assert.deepEqual([value.type, value.node, value.code], ["down", audio.actor.node, "node_down"]);
    await assert.rejects(audio.actor.call("report"), { code: "node_down" });
    await system.close();
  });
});
