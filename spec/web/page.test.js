// The page of web/, as somebody uses it, in Chromium: built, served below a path, with and without isolation.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { deflateRawSync } from "node:zlib";

import { chromium } from "playwright-core";

import { buildPage, servePage } from "../../scripts/web.mjs";

const DESK = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const browser = {};
before(async () => {
  await buildPage();
  const chromiumPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  browser.it = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox", "--mute-audio"] });
});
after(() => browser.it?.close());

/** Opens the page, hands it over, and fails for anything that it complained about. */
async function onPage({ hash = "greeter", isolated = true, under = "/", pages = 1, ...options }, use) {
  const server = await servePage({ isolated, under });
  const context = await browser.it.newContext({ ...DESK, ...options });
  context.setDefaultTimeout(20_000);
  const problems = [];
  const open = async () => {
    const page = await context.newPage();
    page.on("pageerror", (error) => problems.push(error.stack));
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    await page.goto(`${server.address}#${hash}`);
    await state(page, "idle");
    return page;
  };
  try {
    const opened = [];
    for (let i = 0; i < pages; i++) opened.push(await open());
    await use(...opened);
  } finally {
    await context.close();
    await server.close();
  }
  assert.deepEqual(problems, []);
}

const state = (page, wanted) => page.waitForSelector(`#state[data-state="${wanted}"]`);
const line = (page, text) => page.locator("#log .line", { hasText: text }).first().waitFor();
const program = (page, text) => page.locator(".cm-content").fill(text);

async function type(page, entry) {
  await page.locator("#entry").fill(entry);
  await page.locator("#entry").press("Enter");
}

/** What has the focus: an id, a class, or what it is. */
function focused(page) {
  return page.evaluate(() => {
    const { id, classList, localName } = document.activeElement;
    return localName === "body" ? localName : id || classList[0] || localName;
  });
}

/** The program in the editor, which shows only a part of it. */
const source = (page) => page.evaluate(() => document.querySelector(".cm-content").cmTile.view.state.doc.toString());

/** Evaluates until the answer is the one. */
async function ask(page, entry, wanted) {
  await until(async () => {
    await type(page, entry);
    await until(async () => (await page.locator("#entry").inputValue()) === "");
    await page.waitForTimeout(50);
    return (await page.locator("#log .line .text").last().textContent()) === wanted;
  });
}

/** The pixels of the canvas, as how many different colours there are. */
function colours(page) {
  return page.evaluate(() => {
    const canvas = document.querySelector("#scene canvas");
    if (!canvas) return 0;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });
}

async function until(condition) {
  const end = Date.now() + 20_000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `it never came to: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe("the page", () => {
  for (const isolated of [true, false]) {
    it(`runs an example, isolated: ${isolated}, below a path`, () =>
      onPage({ isolated, under: "/some/where/" }, async (page) => {
        assert.match(await page.textContent("#link"), isolated ? /rings/ : /ports/);
        await page.click("#run");
        await line(page, "Hello, world!");
        await state(page, "ended");
        await page.locator('.card[data-node="w1"]').waitFor();
        await page.locator(".types", { hasText: "Greeter 1" }).waitFor();
      }));
  }

  it("evaluates at the prompt: more lines, history, completion, what a program has left", () =>
    onPage({}, async (page) => {
      await page.click("#run");
      await state(page, "ended");
      const entry = page.locator("#entry");
      await type(page, "x = 20");
      await line(page, "x = 20");
      await type(page, "for i = 1, 2 do");
      await until(async () => (await entry.inputValue()) === "for i = 1, 2 do\n");
      await page.keyboard.type("x = x + i end");
      await entry.press("Enter");
      await until(async () => (await entry.inputValue()) === "");
      await type(page, "x, mc.node()");
      await line(page, "23\tw1");
      await entry.press("ArrowUp");
      assert.equal(await entry.inputValue(), "x, mc.node()");
      await entry.press("ArrowUp");
      assert.equal(await entry.inputValue(), "for i = 1, 2 do\nx = x + i end");
      await entry.fill("mc.serve_f");
      await entry.press("Tab");
      await until(async () => (await entry.inputValue()) === "mc.serve_forever");
      await type(page, "error 'no'");
      await page.locator("#log .bad", { hasText: "stdin:1: no" }).waitFor();
    }));

  it("stops a program that never ends", () =>
    onPage({}, async (page) => {
      await program(page, 'print "on" while true do end');
      await page.click("#run");
      await line(page, "on");
      await page.click("#stop");
      await state(page, "idle");
      await type(page, "6 * 7");
      await line(page, "42");
    }));

  it("shows an error at its line, and goes there", () =>
    onPage({}, async (page) => {
      await program(page, "local a\n\nprint(a.b)\n");
      await page.click("#run");
      await state(page, "failed");
      await page.locator(".cm-lint-marker-error").waitFor();
      await page.locator(".at", { hasText: "greeter.lua:3" }).first().click();
      assert.equal(await page.textContent(".cm-activeLine"), "print(a.b)");
    }));

  it("shows output by node, and hides a node's", () =>
    onPage({}, async (page) => {
      await program(page, 'local mc = require "mooncast"\nprint("of " .. mc.node())\nmc.main(function() end)');
      await page.click("#run");
      await line(page, "of w1");
      await line(page, "of w2");
      await page.locator("#filters button", { hasText: "w2" }).click();
      const shown = page.locator("#log .line:visible");
      assert.deepEqual(await shown.locator(".text").allTextContents(), ["of w1"]);
    }));

  it("is used by the keyboard alone", () =>
    onPage({}, async (page) => {
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.id), "example");
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.id), "run");
      for (const next of ["stop", "share", "cm-content"]) {
        await page.keyboard.press("Tab");
        assert.equal(await focused(page), next);
      }
      await page.keyboard.press("Control+A");
      await page.keyboard.type('print("typed")');
      await page.keyboard.press("Control+Enter");
      await line(page, "typed");
      await page.keyboard.press("Escape");
      assert.equal(await focused(page), "entry");
    }));

  it("has everything that can be used where Tab gets to, with a name and a mark", () =>
    onPage({ hash: "mandelbrot" }, async (page) => {
      await page.click("#run");
      await line(page, "a pixel is 0.00667 wide");
      await page.evaluate(() => document.activeElement.blur());
      const reached = [];
      for (let at = ""; at !== "run"; ) {
        await page.keyboard.press(at === "cm-content" ? "Escape" : "Tab");
        at = await focused(page);
        reached.push(at);
        assert.ok(reached.length < 40, reached.join(" "));
        // Behind the last comes the browser's own.
        if (at === "body") continue;
        // The editor shows it a moment later.
        await page.waitForFunction(() => {
          const { outlineStyle } = getComputedStyle(document.activeElement);
          const around = document.activeElement.closest(".cm-editor, #prompt");
          return outlineStyle !== "none" || (around && getComputedStyle(around).boxShadow !== "none");
        });
      }
      // From Run on, around to it. Escape leaves the editor; what it goes past is reached backwards.
      for (const wanted of ["example", "stop", "share", "cm-content", "entry", "canvas", "workers"]) {
        assert.ok(reached.includes(wanted), `${wanted} in ${reached.join(" ")}`);
      }
      const names = await page.evaluate(() =>
        [...document.querySelectorAll("button, select, textarea, canvas, [tabindex]")]
          .filter((each) => each.checkVisibility())
          .map((each) => each.ariaLabel || each.labels?.[0]?.textContent.trim() || each.textContent.trim()),
      );
      assert.ok(names.length > 10 && names.every((name) => name !== ""), JSON.stringify(names));
    }));

  it("clicks into a canvas by the keyboard", () =>
    onPage({ hash: "mandelbrot" }, async (page) => {
      await page.click("#run");
      await line(page, "a pixel is 0.00667 wide");
      await page.focus("#scene canvas");
      await page.keyboard.press("ArrowLeft");
      assert.equal(await page.locator(".cross").isVisible(), true);
      await page.keyboard.press("Enter");
      await line(page, "a pixel is 0.00222 wide");
      await page.keyboard.press("Shift+Enter");
      await until(async () => (await page.locator("#log .line", { hasText: "0.00667 wide" }).count()) === 2);
    }));

  it("shares a program in its address, and opens one without running it", () =>
    onPage({ permissions: ["clipboard-read", "clipboard-write"] }, async (page) => {
      const text = 'print("shared, with ü and 🌙")\n'.repeat(30);
      await program(page, text);
      await page.click("#share");
      await page.locator("#share", { hasText: "Link copied" }).waitFor();
      const link = await page.evaluate(() => navigator.clipboard.readText());
      assert.match(link, /#greeter~z[\w-]{20,200}$/);
      await page.goto("about:blank");
      await page.goto(link);
      await state(page, "idle");
      assert.equal(await source(page), text);
      assert.equal(await page.locator("#log .line").count(), 0);
      await page.click("#run");
      await line(page, "shared, with ü and 🌙");
    }));

  it("says that a link is broken, or too long, and shows the example", () =>
    onPage({}, async (page) => {
      const bomb = deflateRawSync(Buffer.alloc(1 << 20, " ")).toString("base64url");
      const wrong = { "life~zAAAA": "cannot be read", "life~z": "cannot be read", "life~t_w": "cannot be read", "life~q": "cannot be read" };
      for (const [hash, problem] of Object.entries({ ...wrong, [`life~z${bomb}`]: "longer than 256 KiB" })) {
        await page.click("#clear");
        await page.evaluate((to) => (location.hash = to), hash);
        await page.locator("#log .bad", { hasText: problem }).waitFor();
        assert.doesNotMatch(await page.textContent("#log"), /Failed to execute/);
        assert.match(await source(page), /Conway's game of life/);
      }
      await state(page, "idle");
      await program(page, randomBytes(30_000).toString("base64"));
      await page.click("#share");
      await page.locator("#share", { hasText: "too long" }).waitFor();
    }));

  it("on a phone shows one panel at a time, none wider than the screen", () =>
    onPage({ ...PHONE, hash: "life" }, async (page) => {
      for (const name of ["console", "nodes", "code"]) {
        await page.locator(`nav [data-panel="${name}"]`).tap();
        assert.equal(await page.locator("main .panel:visible").count(), 1);
        assert.equal(await page.locator(`#${name}`).isVisible(), true);
      }
      await page.locator("#run").tap();
      await page.locator("#scene canvas").waitFor();
      assert.equal(await page.locator("#stage").isVisible(), true);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
    }));
});

describe("the examples", () => {
  it("draw the Mandelbrot set, closer after a click", () =>
    onPage({ hash: "mandelbrot" }, async (page) => {
      await page.click("#run");
      await line(page, "a pixel is 0.00667 wide");
      assert.ok((await colours(page)) > 50);
      await page.locator("#scene canvas").click();
      await line(page, "a pixel is 0.00222 wide");
      await page.locator(".buttons button", { hasText: "Step back" }).click();
      await until(async () => (await page.locator("#log .line", { hasText: "0.00667 wide" }).count()) === 2);
    }));

  it("let life go on, over all workers", () =>
    onPage({ hash: "life" }, async (page) => {
      await page.click("#run");
      await until(async () => (await colours(page)) === 3);
      await page.locator('.card[data-node="w2"] .types', { hasText: "Strip 1" }).waitFor();
    }));

  for (const isolated of [true, false]) {
    it(`play the piano, isolated: ${isolated}, and stop it and play it again`, () =>
      onPage({ hash: "piano", isolated }, async (page) => {
        await page.click("#run");
        await until(async () => (await colours(page)) > 8);
        await type(page, "audio, samples = mc.lookup 'audio', mc.lookup 'audio.samples'");
        await line(page, "audio, samples =");
        const press = (name) => page.locator(".buttons button", { hasText: name }).click();
        await press("Stop");
        await ask(page, "samples:stats().ahead == 0", "true");
        await ask(page, "audio:peak()", "0");
        await press("Softer");
        await ask(page, "audio:volume() < 1", "true");
        await press("Play");
        await ask(page, "audio:peak() > 0.05", "true");
      }));
  }

  it("chat from tab to tab", () =>
    onPage({ hash: "chat", pages: 2 }, async (one, two) => {
      for (const page of [one, two]) {
        await page.click("#run");
        await page.locator(".talk input").waitFor();
      }
      for (const page of [one, two]) await page.locator(".talk li", { hasText: "is here" }).waitFor();
      await one.locator(".talk input").fill("Good evening");
      await one.locator(".talk input").press("Enter");
      await two.locator(".talk li:not(.mine)", { hasText: "Good evening" }).waitFor();
      await two.click("#stop");
      await one.locator(".talk li", { hasText: "left" }).waitFor();
    }));

  it("count the words of a text that the page has", () =>
    onPage({ hash: "wordcount" }, async (page) => {
      await page.click("#run");
      await line(page, "most frequent words");
      await state(page, "ended");
    }));
});
