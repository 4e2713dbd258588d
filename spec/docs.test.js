// Runs every block of code in the documentation and compares what it prints with what the page says.
//
//   lua      a program: with rings, with ports, and natively, on three nodes each. What it prints is in
//            the `text` block behind it, or behind `-->` in its lines
//   js       a module of the page's reader: "mooncast" is this repository's package
//   sh       commands, one a line
//   html     a page, which spec/package runs
//   console  a session: `$` the command, `>` and `>>` what is typed, the other lines what is printed
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { blocks, pages, read, root } from "./support/docs.js";

const folder = fileURLToPath(root);
const scratch = `${folder}build/docs`;
mkdirSync(scratch, { recursive: true });

/** Commands that are not run here, and why. */
const NOT_RUN = new Map([["make test", "it is what runs this"]]);
/** What spec/package runs instead, where the package is installed. */
const PACKAGED = /^<!doctype html>|^esbuild app\.js/;
const TIME_LIMIT_MS = 120_000;
const cli = ["node", "worker-shell/cli.js", "--workers", "3"];
const native = { MOONCAST_WORKERS: "3", LUA_CPATH: "build/native/?.so" };

/** Runs a command in the repository's folder; what it prints, when all went well. */
function run([command, ...args], { input = "", env = {} } = {}) {
  const options = { cwd: folder, encoding: "utf8", input, timeout: TIME_LIMIT_MS, env: cleanEnv(env) };
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, options);
  assert.ifError(error);
  assert.equal(status, 0, `${command} ${args.join(" ")}: exit ${signal ?? status}\n${stdout}${stderr}`);
  return stdout;
}

/** Without what a make, or a test runner, around this one says to those below. */
function cleanEnv(more) {
  const env = { ...process.env, ...more };
  for (const name of ["MAKEFLAGS", "MAKELEVEL", "NODE_OPTIONS", "NODE_TEST_CONTEXT"]) delete env[name];
  return env;
}

/** Columns are separated by tabs in the output, by spaces on the page. */
function columns(text) {
  return text.trimEnd().split("\n").map((line) => line.trim().split(/\s+/).join(" "));
}

function file(page, line, extension) {
  return `${scratch}/${page.replaceAll(/\W/g, "-")}-${line}.${extension}`;
}

function promised({ text, output }) {
  if (output !== undefined) return output;
  return [...text.matchAll(/--> *(.*)$/gm)].map((match) => match[1]).join("\n");
}

const runners = {
  lua(t, page, block) {
    const expected = columns(promised(block));
    const path = file(page, block.line, "lua");
    assert.notDeepEqual(expected, [""], "the page does not say what the program prints");
    writeFileSync(path, block.text);
    assert.deepEqual(columns(run([...cli, "--link", "ring", path])), expected, "with rings");
    assert.deepEqual(columns(run([...cli, "--link", "port", path])), expected, "with ports");
    assert.deepEqual(columns(run(["lua5.4", path], { env: native })), expected, "natively");
  },
  js(t, page, block) {
    assert.notEqual(block.output, undefined, "the page does not say what the module prints");
    const path = file(page, block.line, "mjs");
    writeFileSync(path, block.text);
    assert.deepEqual(columns(run(["node", path])), columns(block.output));
  },
  sh(t, page, block) {
    const commands = block.text.trim().split("\n");
    let printed = "";
    for (const command of commands) {
      if (NOT_RUN.has(command)) t.diagnostic(`not run: ${command}: ${NOT_RUN.get(command)}`);
      else printed = run(["sh", "-ec", command]);
    }
    if (block.output !== undefined) assert.deepEqual(columns(printed), columns(block.output));
  },
  console(t, page, block) {
    const lines = block.text.trimEnd().split("\n");
    const command = lines.shift().replace(/^\$ /, "");
    const typed = lines.filter((line) => /^>>? /.test(line)).map((line) => line.replace(/^>>? /, ""));
    const expected = lines.filter((line) => !/^>>? /.test(line));
    // -i: standard input is no terminal here.
    const printed = run(["sh", "-ec", `${command} -i`], { input: `${typed.join("\n")}\n` });
    assert.deepEqual(columns(printed), columns(expected.join("\n")));
  },
};

for (const page of pages()) {
  for (const block of blocks(page)) {
    test(`${page}:${block.line}: ${block.language}`, (t) => {
      if (PACKAGED.test(block.text)) return t.diagnostic("spec/package/package.test.js runs it");
      assert.ok(Object.hasOwn(runners, block.language), `nothing runs ${block.language}`);
      return runners[block.language](t, page, block);
    });
  }
}

test("the README's program is web/examples/greeter.lua", () => {
  const [program] = blocks("README.md");
  assert.equal(program.text, readFileSync(new URL("web/examples/greeter.lua", root), "utf8"));
});

test("docs/lua.md describes every field of the library and no other", () => {
  const source = 'for name in pairs(require "mooncast") do print(name) end';
  const fields = run([...cli, "-e", source]).trim().split("\n").sort();
  const described = [...read("docs/lua.md").matchAll(/^### mc\.(\w+)/gm)].map((match) => match[1]).sort();
  assert.deepEqual(described, fields);
});

test("docs/systems.md ends in a whole system of under a hundred lines, which ran above [M1]", () => {
  const programs = blocks("docs/systems.md");
  const { language, text } = programs.at(-1);
  assert.ok(programs.length >= 4);
  assert.equal(language, "lua");
  assert.match(text, /mc\.transport/);
  assert.ok(text.split("\n").length < 100);
});

test("docs/wire.md has the numbers of runtime/envelope.cddl", () => {
  const numbers = (text, pattern) => Object.fromEntries([...text.matchAll(pattern)].map(([, a, b]) => [a, b]));
  const defined = numbers(read("runtime/envelope.cddl"), /^(\w+) +=\s*\[ kind: (\d+)/gm);
  assert.ok(Object.keys(defined).length > 5);
  assert.deepEqual(numbers(read("docs/wire.md"), /^\| (\w+) \| (\d+) \|/gm), defined);
});

test("what the pages link to is there", () => {
  for (const page of pages()) {
    for (const [, link] of read(page).matchAll(/\]\(([^)#:]+)\)/g)) {
      readFileSync(new URL(link, new URL(page, root)));
    }
  }
});

test("the README's table has the versions that are fetched and locked", () => {
  const readme = read("README.md");
  const archive = read("scripts/fetch.sh").match(/lua-(\d[\d.]*\d)\.tar\.gz/)[1];
  const cjson = read("scripts/fetch.sh").match(/lua-cjson-(\d[\d.]*\d)\.tar\.gz/)[1];
  assert.ok(readme.includes(`| Lua ${archive} |`));
  assert.ok(readme.includes(`| lua-cjson ${cjson} |`));
});

test("--help names every option", () => {
  const help = run(["node", "worker-shell/cli.js", "--help"]);
  const options = [...read("worker-shell/cli-options.js").matchAll(/^ {2}"(--?\w+)":/gm)].map((match) => match[1]);
  assert.ok(options.length > 5);
  for (const option of options) assert.match(help, new RegExp(`(^|[ ,])${option}\\b`, "m"));
});
