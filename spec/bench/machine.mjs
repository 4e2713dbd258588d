/** What the figures were measured on. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg, totalmem } from "node:os";

const PEERS = ["comlink", "workerpool", "piscina", "tinypool", "threads", "wasmoon", "fengari"];

function output(command, ...args) {
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return `${stdout ?? ""}${stderr ?? ""}`.trim();
}

function version(peer) {
  try {
    return JSON.parse(readFileSync(new URL(`node_modules/${peer}/package.json`, import.meta.url), "utf8")).version;
  } catch {
    return "not installed";
  }
}

const firstNumber = (text) => text.match(/\d+(\.\d+)+|\d+/)?.[0] ?? "not installed";

/** How many processes wanted a processor, over the last minute. */
export function load() {
  return Number(loadavg()[0].toFixed(2));
}

export function machine() {
  const linux = process.platform === "linux";
  return {
    cpu: linux ? readFileSync("/proc/cpuinfo", "utf8").match(/^model name\s*: (.*)$/m)?.[1] : undefined,
    processors: availableParallelism(),
    memory_gib: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    versions: {
      node: process.versions.node,
      "lua5.4": firstNumber(output("lua5.4", "-v").replace("Lua", "")),
      emscripten: firstNumber(output("emcc", "-dumpversion")),
      gcc: firstNumber(output("cc", "-dumpfullversion")),
      erlang: firstNumber(output("erl", "-noshell", "-eval", 'io:put_chars(erlang:system_info(otp_release)),halt().')),
      ...Object.fromEntries(PEERS.map((peer) => [peer, version(peer)])),
    },
  };
}
