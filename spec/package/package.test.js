// The package as npm pack makes it, installed from its archive into projects: `make test-package`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { openPage } from "../browser/engines.js";
import { ISOLATED, startServer } from "../browser/server.js";
import { blocks } from "../support/docs.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const here = `${root}spec/package`;
const project = `${root}build/package`;
const tools = createRequire(`${here}/package.json`);
const ran = promisify(execFile);

const LIMIT_MS = 120_000;
const EXPECTED = { answer: ["Hello, package!", "w2"], printed: "main ran\t1970\n" };

/** Runs a command in the project; its output. */
async function run(command, ...args) {
  const env = { ...process.env, PATH: `${root}node_modules/.bin:${process.env.PATH}` };
  for (const name of ["NODE_OPTIONS", "NODE_TEST_CONTEXT", "MAKEFLAGS"]) delete env[name];
  const { stdout } = await ran(command, args, { cwd: project, env, timeout: LIMIT_MS });
  return stdout;
}

/** What npm ships, by path. */
let shipped;

before(async () => {
  rmSync(project, { recursive: true, force: true });
  cpSync(`${here}/project`, project, { recursive: true });
  writeFileSync(`${project}/package.json`, JSON.stringify({ name: "project", private: true, type: "module" }));
  // Vite starts from it.
  writeFileSync(`${project}/index.html`, '<!doctype html><script type="module" src="/app.js"></script>\n');
  // dist/ was made already.
  const [packed] = JSON.parse(await run("npm", "pack", root, "--json", "--ignore-scripts"));
  shipped = packed.files.map(({ path }) => path);
  await run("npm", "install", `./${packed.filename}`, "--offline", "--no-audit", "--no-fund");
});

/** A folder with a page that loads `script`. */
function site(name, script) {
  const folder = `${project}/${name}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/index.html`, `<!doctype html><title>${name}</title><script type="module" src="${script}"></script>\n`);
  return folder;
}

/** Opens the page of a folder in Chromium until it reports, or prints what `until` waits for; what it reported. */
async function open(folder, { isolated = false, until = () => false }) {
  const over = {};
  over.promise = new Promise((resolve, reject) => Object.assign(over, { resolve, reject }));
  const timer = setTimeout(() => over.reject(new Error("the page said nothing")), LIMIT_MS);
  const missing = (path) => over.reject(new Error(`the page asked for ${path}, which is not there`));
  const server = await startServer({
    root: folder,
    isolated,
    strict: true,
    onReport: over.resolve,
    onMissing: (path) => path !== "/favicon.ico" && missing(path),
  });
  const page = openPage("chromium", `${server.origin}/index.html`, {
    onExit: (why) => over.reject(new Error(why)),
    onLine: (line) => until(line) && over.resolve(),
  });
  try {
    return await over.promise;
  } finally {
    clearTimeout(timer);
    await page.close();
    await server.close();
  }
}

/** Opens project/index.html from Vite's own server: its modules are served one by one, its dependencies bundled ahead. */
async function develop(createServer, isolated) {
  const over = {};
  over.promise = new Promise((resolve, reject) => Object.assign(over, { resolve, reject }));
  const listening = {
    name: "reports",
    configureServer({ middlewares }) {
      middlewares.use("/report", (request, response) => {
        request.setEncoding("utf8").on("data", (text) => over.resolve(JSON.parse(text)));
        request.on("end", () => response.writeHead(204).end());
      });
    },
  };
  const headers = isolated ? ISOLATED : {};
  const server = await createServer({ root: project, configFile: false, logLevel: "error", plugins: [listening], server: { port: 0, headers } });
  await server.listen();
  const timer = setTimeout(() => over.reject(new Error("the page said nothing")), LIMIT_MS);
  const page = openPage("chromium", server.resolvedUrls.local[0], { onExit: (why) => over.reject(new Error(why)), onLine: () => {} });
  try {
    return await over.promise;
  } finally {
    clearTimeout(timer);
    await page.close();
    await server.close();
  }
}

/** Opens a page that runs project/app.js. */
async function visit(folder, { isolated = false } = {}) {
  assert.deepEqual(await open(folder, { isolated }), { ...EXPECTED, link: isolated ? "ring" : "port" });
}

describe("the package", () => {
  it("has what it needs and nothing to build or to install", () => {
    const manifest = JSON.parse(readFileSync(`${project}/node_modules/mooncast/package.json`, "utf8"));
    assert.equal(manifest.dependencies, undefined);
    for (const name of ["preinstall", "install", "postinstall", "prepare"]) assert.ok(!(name in manifest.scripts), name);
    const files = ["index.js", "index.d.ts", "worklet.js", "mooncast.wasm", "mooncast-rest.wasm"].map((name) => `dist/${name}`);
    const needed = ["README.md", "LICENSE", "CHANGELOG.md", ...files];
    for (const path of [...needed, manifest.bin.mooncast]) assert.ok(shipped.includes(path), `${path} in ${shipped.join(" ")}`);
    const others = shipped.filter((path) => !/^(dist\/|spec\/support\/\w+\.lua$|[\w.]+$)/.test(path));
    assert.deepEqual(others, []);
  });

  it("has types that TypeScript takes in its strict mode, whichever way it finds modules", async () => {
    const tsc = `${root}node_modules/typescript/bin/tsc`;
    const common = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2023,dom", "--types", "", "types.ts"];
    for (const kind of ["nodenext", "bundler"]) {
      const module = kind === "nodenext" ? "nodenext" : "esnext";
      await run(process.execPath, tsc, "--module", module, "--moduleResolution", kind, ...common).catch(({ stdout, message }) => {
        assert.fail(`${kind}: ${stdout || message}`);
      });
    }
  });

  it("brings the command", async () => {
    assert.equal(await run("npx", "--no-install", "mooncast", "--workers", "2", "-e", "print(1 + 1)"), "2\n");
  });
});

describe("the package in a page, under a strict content security policy", () => {
  it("works from a static server as it is", async () => {
    const folder = site("static", "page.js");
    cpSync(`${project}/node_modules/mooncast/dist`, `${folder}/mooncast`, { recursive: true });
    cpSync(`${project}/greet.js`, `${folder}/greet.js`);
    const main = readFileSync(`${project}/app.js`, "utf8");
    writeFileSync(`${folder}/page.js`, main.replace('"mooncast"', '"./mooncast/index.js"'));
    await visit(folder);
    await visit(folder, { isolated: true });
  });

  /** Opens the page that stands in the documentation. */
  async function openDocumented(path, name, options) {
    const folder = `${project}/${name}`;
    cpSync(`${project}/node_modules/mooncast/dist`, `${folder}/mooncast`, { recursive: true });
    const page = blocks(path).find(({ language }) => language === "html");
    // The policy wants scripts in files.
    const html = page.text.replace(/<script type="module">(.*?)<\/script>/s, (_, script) => {
      writeFileSync(`${folder}/page.js`, script);
      return '<script type="module" src="page.js"></script>';
    });
    writeFileSync(`${folder}/index.html`, html);
    // What Lua prints is in the page's console.
    const printed = page.output.trim();
    await open(folder, { until: (line) => line.includes(`"${printed}"`), ...options });
  }

  it("runs the README's page", () => openDocumented("README.md", "readme"));

  it("runs the page of docs/audio.md, with and without shared memory", async () => {
    for (const isolated of [false, true]) await openDocumented("docs/audio.md", "audio", { isolated });
  });

  it("works through Vite without configuration", async () => {
    const { build } = await import(tools.resolve("vite").replace(/index\.cjs$/, "index.js"));
    await build({ root: project, configFile: false, logLevel: "error", build: { outDir: "vite" } });
    await visit(`${project}/vite`);
    await visit(`${project}/vite`, { isolated: true });
  });

  it("works in Vite's development server without configuration", async () => {
    const { createServer } = await import(tools.resolve("vite").replace(/index\.cjs$/, "index.js"));
    for (const isolated of [false, true]) {
      assert.deepEqual(await develop(createServer, isolated), { ...EXPECTED, link: isolated ? "ring" : "port" });
    }
  });

  it("is heard through Vite and webpack without configuration", async () => {
    const heard = { heard: [0.5, -0.25] };
    const { build, createServer } = await import(tools.resolve("vite").replace(/index\.cjs$/, "index.js"));
    writeFileSync(`${project}/index.html`, '<!doctype html><script type="module" src="/sound.js"></script>\n');
    assert.deepEqual(await develop(createServer, true), heard);
    await build({ root: project, configFile: false, logLevel: "error", build: { outDir: "vite-sound" } });
    assert.deepEqual(await open(`${project}/vite-sound`, { isolated: true }), heard);
    const folder = site("webpack-sound", "main.js");
    const stats = await promisify(tools("webpack"))({ mode: "production", context: project, entry: "./sound.js", output: { path: folder } });
    assert.ok(!stats.hasErrors(), stats.toString({ all: false, errors: true }));
    assert.deepEqual(await open(folder, {}), heard);
  });

  it("works through webpack without configuration", async () => {
    const webpack = tools("webpack");
    const folder = site("webpack", "main.js");
    const options = { mode: "production", context: project, entry: "./app.js", output: { path: folder } };
    const stats = await promisify(webpack)(options);
    assert.ok(!stats.hasErrors(), stats.toString({ all: false, errors: true }));
    await visit(folder, { isolated: true });
  });

  it("works through esbuild, as the README calls it", async () => {
    const folder = site("public", "app.js");
    const command = blocks("README.md").find(({ text }) => text.startsWith("esbuild app.js"));
    await run("sh", "-ec", command.text);
    await visit(folder, { isolated: true });
  });
});

const runtimes = {
  [`Node ${process.versions.node}`]: [process.execPath],
  "Node 22": ["node22/bin/node"],
  "Node 24": ["node24/bin/node"],
  Deno: ["@deno/linux-x64-glibc/deno", "run", "--allow-all", "--no-lock"],
  Bun: ["@oven/bun-linux-x64/bin/bun", "run"],
};

describe("the package outside of a browser", () => {
  for (const [name, [command, ...args]] of Object.entries(runtimes)) {
    it(`runs in ${name} and lets it end`, async (test) => {
      const binary = command.startsWith("/") ? command : `${here}/node_modules/${command}`;
      if (!existsSync(binary)) return test.skip(`npm has no ${name} for this machine`);
      if (binary !== command) chmodSync(binary, 0o755);
      const { link, ...saw } = JSON.parse(await run(binary, ...args, "run.js"));
      assert.deepEqual(saw, EXPECTED);
      assert.equal(link, "ring");
      return undefined;
    });
  }
});
