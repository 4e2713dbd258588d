// What TypeScript makes of the types of the package; what must not compile is expected to fail.
import { ActorError, createSystem, errorCodes, type ErrorCode, RemoteRef, type System, type Value, VERSION } from "mooncast";
import { createAudioNode } from "mooncast/audio";
import { finished, system as pageSystem } from "mooncast/auto";

const system: System = await createSystem({ workers: 2, link: "port", callTimeout: 1000, maxMemory: 1 << 26 });
await system.run("program.lua", "an argument");
const greeter: RemoteRef = await system.spawn("Greeter", ["Hello"], { on: "w2", timeout: 50 });
const answer: Value = await greeter.call("hello", ["types"], { signal: AbortSignal.timeout(9) });
await greeter.cast("hello", [answer]);
const found: RemoteRef | undefined = await system.lookup("page");
system.expose("page", { title: (text: string) => text.length });
const { status, text } = await system.eval("1 + 1");
const word: "ok" | "more" | "error" = status;
try {
  await found?.call("title");
} catch (error) {
  if (error instanceof ActorError && error.transport) console.log(error.code, error.traceback?.length, word, text);
}
const audio = await createAudioNode(system, new OfflineAudioContext(1, 128, 48_000), { ahead: 0.5, channels: 1 });
const ahead: number = await audio.samples.call("write", [new ArrayBuffer(512)]);
const volume: number = await audio.actor.proxy.volume(0.5);
console.log(ahead, volume, audio.node.numberOfOutputs, (await audio.samples.call("stats")).underruns);
await audio.close();
const codes: readonly ErrorCode[] = errorCodes;
const version: string = VERSION;
const link: "ring" | "port" | "memory" = system.info().link;
console.log(codes.length, version, link, await finished, (await pageSystem).nodes());
await system.close();

// @ts-expect-error: text is no samples
await audio.samples.call("write", ["text"]);
// @ts-expect-error: no such link
await createSystem({ link: "pipe" });
// @ts-expect-error: arguments are one list
await greeter.call("hello", "types");
// @ts-expect-error: not a method
system.spwan("Greeter");
// @ts-expect-error: no such code
const code: ErrorCode = "tired";
console.log(code);
