/** Plays through an AudioWorklet what a Lua worker writes, while another calls the actor in the worklet. */
import { createAudioNode } from "../../worker-shell/audio.js";

/** Frame n has the value of ((n % 65536) + 1) / 131072, exactly; audio-checker.js expects that. */
export const PROGRAM = `
local mc = require "mooncast"
local BLOCK <const> = 1024

local Feeder = mc.actor "Feeder"
function Feeder:init() self.next = 0 end
function Feeder:block(channels, frames)
  local block, at = mc.buffer(4 * channels * frames), 1
  for n = self.next, self.next + frames - 1 do
    for _ = 1, channels do
      block:set("f32", at, (n % 65536 + 1) / 131072)
      at = at + 4
    end
  end
  self.next = self.next + frames
  return block
end
function Feeder:write(samples, channels, frames)
  local to = self.next + frames
  while self.next < to do samples:write(self:block(channels, math.min(BLOCK, to - self.next))) end
end
function Feeder:sleep() mc.sleep(60) end

local Caller = mc.actor "Caller"
function Caller:call(name, rate, seconds)
  local actor, began, right, longest = mc.lookup(name), mc.now(), 0, 0
  for n = 1, rate * seconds do
    mc.sleep(math.max(0, began + n / rate - mc.now()))
    local at = mc.now()
    if actor:add(n, 0.5) == n + 0.5 then right = right + 1 end
    longest = math.max(longest, mc.now() - at)
  end
  return right, longest * 1000
end
mc.main(function() end)
`;

export const checkerUrl = new URL("./audio-checker.js", import.meta.url);

/** @returns {Promise<import("../../worker-shell/audio.js").ActorAudioNode>} one with the checker, connected */
export async function checkedNode(system, context, options = {}) {
  const audio = await createAudioNode(system, context, { actor: "checker", module: checkerUrl, ...options });
  audio.node.connect(context.destination);
  return audio;
}

/**
 * Plays for some seconds and calls the worklet's actor so many times a second meanwhile.
 * @returns {Promise<object>} what was played, as the ring and as the checker saw it, and the calls
 */
export async function play(system, { seconds, rate = 100, ahead }) {
  await system.runSource("audio.lua", PROGRAM);
  const context = new AudioContext({ sampleRate: 48_000 });
  await context.resume();
  const audio = await checkedNode(system, context, { ahead });
  const feeder = await system.spawn("Feeder", [], { on: "w1" });
  const caller = await system.spawn("Caller", [], { on: "w2" });
  const frames = seconds * context.sampleRate;
  const began = performance.now() - context.currentTime * 1000;
  const written = feeder.call("write", [audio.samples, 1, frames], { timeout: Infinity });
  // At once: what runs dry before that is an underrun.
  const played = written.then(() => audio.samples.call("finish"));
  const [right, longest] = await caller.call("call", ["audio", rate, seconds], { timeout: Infinity });
  await played;
  const stats = await audio.samples.call("stats");
  const report = await audio.actor.call("report");
  // How far the audio's clock is behind: callbacks that were left out; and what the browser itself says, if it does.
  const behind = performance.now() - began - context.currentTime * 1000;
  const late = context.playbackStats?.underrunEvents;
  await audio.close();
  await context.close();
  return { frames, calls: rate * seconds, right, longest, behind, late, stats, report };
}
