// The prompt: what is piped into it, and what somebody sees who types at it.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";

import { CLI, ROOT, SOON_MS, mooncast } from "../support/cli.js";

const home = fs.mkdtempSync(join(tmpdir(), "mooncast-"));
after(() => fs.rmSync(home, { recursive: true }));

/** What a session prints when these lines are piped into it, without the banner. */
async function piped(lines, options = ["--workers", "2"]) {
  const run = await mooncast([...options, "-i"], { input: `${lines.join("\n")}\n`, env: { HOME: home } });
  assert.match(run.stdout, /^Mooncast .*\n/);
  return { ...run, stdout: run.stdout.replace(/^.*\n/, "") };
}

describe("lines that are piped into the prompt", () => {
  it("show the values of expressions, with and without return or =", async () => {
    const { stdout, stderr, code } = await piped(["1 + 1", "= 2", "return 3, nil, 'x'", "{ 1, { a = 2 } }", "nil", "print()"]);
    assert.equal(stdout, "2\n2\n3\tnil\tx\n{1, {a = 2}}\nnil\n\n");
    assert.deepEqual([stderr, code], ["", 0]);
  });

  it("go on at the next line until they are complete", async () => {
    const { stdout, stderr } = await piped(["for i = 1, 2 do", "  print(i)", "end", "function f(a,", "b) return a + b", "end", "f(1,", "2)", "[[a", "b]]"]);
    assert.equal(stdout, "1\n2\n3\na\nb\n");
    assert.equal(stderr, "");
  });

  it("share globals, and not locals", async () => {
    assert.equal((await piped(["x = 5", "local y = 6", "x, y"])).stdout, "5\tnil\n");
  });

  it("that fail show the error with its traceback, and the next one runs", async () => {
    const { stdout, stderr, code } = await piped(["function f() error 'oops' end", "f()", "x x", "error { code = 1 }", "error()", "'goes on'"]);
    assert.match(stderr, /^stdin:1: oops\nstack traceback:\n\t.*\n\tstdin:1: in function 'f'\n\t\(\.\.\.tail calls\.\.\.\)\n/);
    assert.match(stderr, /^stdin:1: syntax error near 'x'$/m);
    assert.match(stderr, /\{code = 1\}/);
    assert.doesNotMatch(stderr, /mooncast\.|xpcall/);
    assert.deepEqual([stdout, code], ["goes on\n", 0]);
  });

  for (const link of ["ring", "port"]) {
    it(`define actors that live on other workers, over ${link}s`, async () => {
      const { stdout, stderr } = await piped(
        [
          'Counter = mc.actor "Counter"',
          "function Counter:init(n) self.n = n end",
          "function Counter:inc(by)",
          "  self.n = self.n + (by or 1)",
          "  return self.n, mc.node()",
          "end",
          'counters = {}; for _, node in ipairs(mc.nodes()) do counters[#counters + 1] = mc.spawn({ Counter, on = node }, 10) end',
          "counters[1]:inc()",
          "counters[2]:inc(5)",
          "counters[3]:inc(5)",
          // A new version for new actors; the old ones go on as they were.
          "function Counter:inc() return 'new' end",
          'mc.spawn({ Counter, on = "w3" }, 1):inc()',
          "counters[3]:inc(1)",
        ],
        ["--workers", "3", "--link", link],
      );
      assert.equal(stderr, "");
      assert.equal(stdout, "11\tw1\n15\tw2\n15\tw3\nnew\n16\tw3\n");
    });
  }

  it("show the traceback of an actor on another worker as well", async () => {
    const { stderr } = await piped(['A = mc.actor "A"', "function A:fail()", " error 'over there' end", 'a = mc.spawn { A, on = "w2" }', "a:fail()"]);
    assert.match(stderr, /^stdin:2: over there\nstack traceback:\n(\t.*\n)*\tstdin:2: in .*\nstack traceback:\n(\t.*\n)*\tstdin:1: in main chunk\n$/);
  });

  it("may await, sleep and start tasks; output stands before the result", async () => {
    const { stdout } = await piped(["mc.sleep(0.01)", 'io.write "no newline "; return 1', "mc.async(function() return 'from a task' end):await()"]);
    assert.equal(stdout, "no newline 1\nfrom a task\n");
  });

  it("with a dot in front are commands", async () => {
    const { stdout, stderr } = await piped([".nodes", ".help", ".nothing", ".exit", "print 'not reached'"]);
    assert.match(stdout, /^w1\nw2\n\.help/);
    assert.match(stdout, /\.exit/);
    assert.doesNotMatch(stdout, /not reached/);
    assert.equal(stderr, "there is no command .nothing: .help lists them\n");
  });

  it("come after the script and -e that were given with -i", async () => {
    const { stdout } = await piped(["x"], ["--workers", "1", "-e", "x = 'set before'"]);
    assert.equal(stdout, "set before\n");
  });

  it("may end the process by os.exit", async () => {
    assert.equal((await piped(["os.exit(3)"])).code, 3);
  });

  it("end with what there is: an incomplete entry is told of, the process ends [J21]", async () => {
    const run = await piped(["1", "for i = 1, 2 do"]);
    assert.deepEqual([run.stdout, run.stderr, run.code], ["1\n", "the last entry is incomplete: for i = 1, 2 do\n", 0]);
  });
});

/** A session in a terminal of its own, by script(1). */
class Terminal {
  #child;
  #seen = "";
  #from = 0;
  #heard = () => {};
  ended;

  constructor() {
    const command = `stty cols 80; exec ${process.execPath} ${CLI} --workers 2`;
    const env = { ...process.env, HOME: home, TERM: "xterm" };
    this.#child = spawn("script", ["-qec", command, "/dev/null"], { cwd: ROOT, env });
    this.#child.stdout.on("data", (bytes) => {
      this.#seen += bytes.toString("utf8");
      this.#heard();
    });
    this.ended = new Promise((resolve) => this.#child.on("close", resolve));
  }

  /** Waits until the screen shows the text, behind what was waited for before. */
  async sees(text, ms = 10_000) {
    const deadline = performance.now() + ms;
    for (;;) {
      const at = this.#seen.indexOf(text, this.#from);
      if (at >= 0) {
        this.#from = at + text.length;
        return;
      }
      assert.ok(performance.now() < deadline, `"${text}" never came; there is: ${JSON.stringify(this.#seen.slice(this.#from))}`);
      await new Promise((resolve) => {
        this.#heard = resolve;
        setTimeout(resolve, 200);
      });
    }
  }

  types(text) {
    this.#child.stdin.write(text);
  }

  /** Types a line and waits for what it shows. */
  async enters(line, shown) {
    await this.sees("> ");
    this.types(`${line}\r`);
    await this.sees(shown);
  }

  kill() {
    this.#child.kill("SIGKILL");
  }
}

const UP = "\x1b[A";
const CTRL_C = "\x03";
const CTRL_D = "\x04";
const hasScript = spawnSync("script", ["--version"]).status === 0;

describe("somebody at a terminal", { skip: hasScript ? false : "script(1) is missing" }, () => {
  async function session(run) {
    const terminal = new Terminal();
    try {
      await terminal.sees("Mooncast");
      await run(terminal);
      return await terminal.ended;
    } finally {
      terminal.kill();
    }
  }

  it("sees a prompt, another one inside an entry, and results", async () => {
    const code = await session(async (terminal) => {
      await terminal.enters("1 + 1", "\r\n2\r\n");
      await terminal.enters("for i = 1, 2 do", ">> ");
      terminal.types("print('number', i) end\r");
      await terminal.sees("number\t1\r\nnumber\t2\r\n");
      await terminal.enters("error 'oops'", "stdin:1: oops\r\nstack traceback:");
      await terminal.sees("> ");
      terminal.types(CTRL_D);
    });
    assert.equal(code, 0);
  });

  it("gets completions of names, fields and methods by Tab", async () => {
    await session(async (terminal) => {
      await terminal.enters('Counter = mc.actor "Counter"; function Counter:increment() return "incremented" end', "\n");
      await terminal.enters('c = mc.spawn { Counter, on = "w2" }', "\n");
      await terminal.sees("> ");
      terminal.types("c:inc\t");
      await terminal.sees("c:increment");
      terminal.types("()\r");
      await terminal.sees("incremented\r\n");
      await terminal.sees("> ");
      terminal.types("string.forma\t");
      await terminal.sees("string.format");
      terminal.types(CTRL_C);
      await terminal.sees("> ");
      terminal.types(CTRL_D);
    });
  });

  it("drops a line or an entry by ctrl-C, and waits no longer by a second one", async () => {
    const code = await session(async (terminal) => {
      await terminal.enters("for i = 1, 2 do", ">> ");
      terminal.types(`print "never"${CTRL_C}`);
      await terminal.enters("'a new entry'", "a new entry\r\n");
      await terminal.sees("> ");
      terminal.types("mc.sleep(1000)\r");
      await terminal.sees("\n");
      terminal.types(CTRL_C);
      await terminal.sees("still running");
      terminal.types(CTRL_C);
    });
    assert.equal(code, 130);
  });

  it("finds the lines of an earlier session by the arrow keys", async () => {
    await session(async (terminal) => {
      await terminal.enters("'remembered ' .. 'line'", "remembered line\r\n");
      await terminal.sees("> ");
      terminal.types(CTRL_D);
    });
    assert.match(fs.readFileSync(join(home, ".mooncast_history"), "utf8"), /'remembered ' \.\. 'line'\n$/);
    await session(async (terminal) => {
      await terminal.sees("> ");
      terminal.types(`${UP}\r`);
      await terminal.sees("remembered line\r\n");
      await terminal.sees("> ");
      terminal.types(CTRL_D);
    });
  });

  it("never loses what a program wrote without a newline", async () => {
    await session(async (terminal) => {
      await terminal.enters("do io.write 'un' io.write 'finished' end", "unfinished");
      await terminal.sees(" \r"); // away from there, before the prompt is drawn
      await terminal.sees("> ");
      terminal.types(CTRL_D);
    });
  });

  it("is out at once by ctrl-D or .exit [J21]", async () => {
    for (const way of [CTRL_D, ".exit\r"]) {
      let start;
      await session(async (terminal) => {
        await terminal.sees("> ");
        start = performance.now();
        terminal.types(way);
      });
      assert.ok(performance.now() - start < SOON_MS);
    }
  });
});
