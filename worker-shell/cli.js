#!/usr/bin/env node
/** The command: runs programs and the prompt, with lua's conventions. */
import fs from "node:fs";
import { isatty } from "node:tty";
import { fileURLToPath } from "node:url";

import { USAGE, UsageError, parseCommand } from "./cli-options.js";
import { ActorError } from "./errors.js";
import { startRepl } from "./repl.js";
import { createSystem } from "./system.js";
import { VERSION } from "./version.js";

const BANNER = `Mooncast ${VERSION}  Lua 5.4.7`;
const BUSTED = new URL("../spec/support/run_busted.lua", import.meta.url);
const SIGINT_STATUS = 130;

function fail(text) {
  process.stderr.write(`mooncast: ${text}\n`);
  process.exitCode = 1;
}

/** One line for what is wrong with a script's file, before anything was started. */
function checkReadable(path) {
  try {
    fs.closeSync(fs.openSync(path, "r"));
  } catch {
    throw new UsageError(`cannot open ${path}`);
  }
  if (fs.statSync(path).isDirectory()) throw new UsageError(`cannot read ${path}: it is a folder`);
}

async function readStdin() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

/** What an error that ended a program shows: its text, and the traceback of where it was raised. */
function report(error) {
  if (!(error instanceof ActorError)) return fail(error?.stack ?? String(error));
  const { message, traceback } = error;
  return fail(traceback && !message.includes(traceback) ? `${message}\n${traceback}` : message);
}

function requireStatement(text) {
  const at = text.indexOf("=");
  const [global, module] = at < 0 ? [text, text] : [text.slice(0, at), text.slice(at + 1)];
  return `_G[${luaString(global)}] = require(${luaString(module)})`;
}

function luaString(text) {
  return `"${text.replace(/[\\"\n\r\0]/g, (c) => `\\${String(c.charCodeAt(0)).padStart(3, "0")}`)}"`;
}

async function runGiven(system, { before, script, args }) {
  for (const { kind, text } of before) {
    const statement = kind === "stat" ? text : requireStatement(text);
    await system.runSource("=(command line)", new TextEncoder().encode(statement));
  }
  if (script === "-") await system.runSource("=stdin", await readStdin(), args);
  else if (script !== undefined) await system.run(script, ...args);
}

/** Fills in what the absence of a script means. */
function withDefaults(command) {
  const nothing = command.script === undefined && command.before.length === 0;
  if (nothing && !command.interactive && !command.version) {
    if (isatty(0)) command.interactive = true;
    else command.script = "-";
  }
  return command;
}

/** Our options come first, then busted's paths and options. */
function testCommand(words) {
  const { script, args, ...command } = parseCommand(words);
  return { ...command, script: fileURLToPath(BUSTED), args: script === undefined ? args : [script, ...args] };
}

/** -v alone. */
function isIdle({ interactive, script, before }) {
  return !interactive && script === undefined && before.length === 0;
}

async function run(command) {
  const { workers, link, codec, script, args } = command;
  if (script !== undefined && script !== "-") checkReadable(script);
  const onExit = (status) => process.exit(status);
  const system = await createSystem({ workers, link, codec, args: [script ?? "mooncast", ...args], onExit, detectStuck: true });
  try {
    await runGiven(system, command);
  } catch (error) {
    report(error);
    if (!command.interactive) return system.close();
  }
  if (command.interactive) await startRepl(system);
  return system.close();
}

async function main(words) {
  process.on("SIGINT", () => process.exit(SIGINT_STATUS));
  if (words[0] === "test") return run(testCommand(words.slice(1)));
  const command = withDefaults(parseCommand(words));
  if (command.help) return void process.stdout.write(USAGE);
  if (command.version) process.stdout.write(`${BANNER}\n`);
  else if (command.interactive) process.stdout.write(`${BANNER}  (.help for help)\n`);
  return isIdle(command) ? undefined : run(command);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) fail(error.message);
  else report(error);
}
