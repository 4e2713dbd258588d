// web/examples/wordcount.lua says of any files what coreutils say of them.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "mooncast-wordcount-"));
after(() => rmSync(folder, { recursive: true }));

function write(name, content) {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

// In a UTF-8 locale, because wc in the C locale does not count words without an ASCII character.
/** The same words every time, of all lengths, between white space of all kinds. */
function text(bytes) {
  const spaces = [" ", " ", " ", "\n", "  ", "\t", "\r\n", "\n\n", "\v", "\f"];
  let state = 1;
  const next = (n) => (state = (state * 48271) % 2147483647) % n;
  const parts = [];
  for (let length = 0; length < bytes; ) {
    const word = "word".repeat(1 + (next(8) === 0 ? next(50) : 0)) + next(300);
    parts.push(word, spaces[next(spaces.length)]);
    length += parts.at(-2).length + parts.at(-1).length;
  }
  return parts.join("");
}

const MEBIBYTE = 1 << 20;
const files = [
  write("large.txt", text(3.3 * MEBIBYTE)),
  // Words, and a space, exactly where a range ends.
  write("edge.txt", `${"a".repeat(MEBIBYTE - 1)} ${"b".repeat(MEBIBYTE + 5)} c${"\n".repeat(MEBIBYTE)}last`),
  write("empty.txt", ""),
  write("no-newline.txt", "one two"),
  write("utf8.txt", "Grüße an die Welt\nмир 世界a\n"),
];

function coreutils(script, paths) {
  const options = { cwd: root, encoding: "utf8", env: { ...process.env, LC_ALL: "C" }, maxBuffer: 64 * MEBIBYTE };
  return execFileSync("sh", ["-ec", script, "sh", ...paths], options).trimEnd().split("\n");
}

const fields = (lines) => lines.map((line) => line.trim().split(/\s+/).join(" "));

function expected(paths) {
  const frequent = "cat \"$@\" | tr -s '[:space:]' '\\n' | sed '/^$/d' | sort | uniq -c | sort -k1,1nr -k2 | head";
  return { counts: fields(coreutils('LC_ALL=C.UTF-8 wc "$@"', paths)), words: fields(coreutils(frequent, paths)) };
}

function parse(output) {
  const [counts, words, summary] = output.trimEnd().split("\n\n").map((part) => part.split("\n"));
  assert.equal(words.shift(), "most frequent words");
  return { result: { counts: fields(counts), words: fields(words) }, summary: summary.join("\n") };
}

function mooncast(...args) {
  return spawnSync("node", ["worker-shell/cli.js", ...args], { cwd: root, encoding: "utf8", maxBuffer: 64 * MEBIBYTE });
}

for (const workers of [1, 4]) {
  for (const link of ["ring", "port"]) {
    test(`${workers} workers, ${link}: as wc, sort and uniq`, () => {
      const options = ["--workers", String(workers), "--link", link];
      const { status, stdout, stderr } = mooncast(...options, "web/examples/wordcount.lua", ...files);
      assert.equal(status, 0, stderr);
      const { result, summary } = parse(stdout);
      assert.deepEqual(result, expected(files));
      assert.match(summary, new RegExp(`^workers: ${workers}, seconds: \\d+\\.\\d+$`));
    });
  }
}

function make(...args) {
  const env = { ...process.env };
  delete env.MAKEFLAGS;
  delete env.MAKELEVEL;
  return spawnSync("make", ["-s", "run", ...args], { cwd: root, encoding: "utf8", env });
}

/** From the first row of counts on. */
function withoutBuild(output) {
  return output.slice(output.search(/^ *\d+ +\d+ +\d+ /m));
}

test("make run counts the repository's own texts on several workers", () => {
  const { status, stdout, stderr } = make();
  assert.equal(status, 0, stderr);
  const { result, summary } = parse(withoutBuild(stdout));
  const paths = result.counts.slice(0, -1).map((line) => line.split(" ")[3]);
  assert.ok(paths.includes("README.md"));
  assert.deepEqual(result, expected(paths));
  assert.ok(Number(summary.match(/^workers: (\d+), seconds: /)[1]) > 1);
});

test("make run FILES=... counts those", () => {
  const { status, stdout, stderr } = make("FILES=LICENSE Makefile", "WORKERS=2");
  assert.equal(status, 0, stderr);
  assert.deepEqual(parse(withoutBuild(stdout)).result, expected(["LICENSE", "Makefile"]));
});

test("a file that is missing, a folder, no file at all: one clear line, and exit 1", () => {
  const cases = [
    [["nowhere.txt"], "wordcount: nowhere.txt: No such file or directory\n"],
    [["LICENSE", folder], `wordcount: ${folder}: Is a directory\n`],
    [[], "wordcount: usage: mooncast wordcount.lua FILE...\n"],
  ];
  for (const [args, message] of cases) {
    const { status, stdout, stderr } = mooncast("--workers", "2", "web/examples/wordcount.lua", ...args);
    assert.deepEqual({ status, stdout, stderr }, { status: 1, stdout: "", stderr: message });
  }
});
