// Makes dist/, what the package ships, out of worker-shell/ and the wasm: `make dist`.
//
//   index.js auto.js audio.js worker.js   what a page loads: minified, without a byte that only Node needs
//   worklet.js                   what an AudioWorklet loads, one file: bundlers copy it as it is
//   node.js cli.js               the same for Node, Deno and Bun, as it was written
//   worker-node.cjs              what their workers load: one script, which Node has loaded 15 ms before the modules
//   mooncast.wasm mooncast-rest.wasm  its two parts, beside them, where both look for them
//
// What several of these share is in files named by their content.
import { copyFile, mkdir, readFile, rm } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const root = fileURLToPath(new URL("../", import.meta.url));
const from = (name) => `${root}worker-shell/${name}`;
const out = `${root}dist`;

/** Other addresses in a module, as neighbours in dist/ have them. */
const readdressed = (name, from, to) => ({
  name: `readdressed-${name}`,
  setup({ onLoad }) {
    onLoad({ filter: new RegExp(`[\\\\/]${name}\\.js$`) }, async ({ path }) => {
      const contents = (await readFile(path, "utf8")).replaceAll(from, to);
      return { contents };
    });
  },
});

const wasmBeside = readdressed("wasm-url", "../build/", "./");
/** Workers of Node run the script. */
const workerScript = readdressed("platform-node", "./worker-node.js", "./worker-node.cjs");

/** A bundler for pages must not even see Node's modules. */
const withoutNode = {
  name: "without-node",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]platform-node\.js$/ }, () => ({
      contents: 'throw new Error("these modules are for pages: in Node, import mooncast by its name");',
    }));
  },
};

/**
 * Two files compress better than the four that splitting makes: what pages and workers share, and what pages have
 * besides. So all that is loaded beside index.js, or later, imports all of that; but not workers, of which Vite makes
 * one script each: nothing that they reach may be loaded later.
 */
const twoChunks = {
  name: "two-chunks",
  setup({ onResolve, onLoad }) {
    const index = from("index.js");
    const others = [index, from("worker.js")];
    const roots = new Set();
    onResolve({ filter: /\.js$/ }, ({ kind, path, resolveDir }) => {
      const file = resolve(resolveDir, path);
      if ((kind === "entry-point" || kind === "dynamic-import") && !others.includes(file)) roots.add(file);
    });
    onLoad({ filter: /\.js$/ }, async ({ path }) => {
      if (!roots.has(path)) return undefined;
      return { contents: `import ${JSON.stringify(index)};\n${await readFile(path, "utf8")}` };
    });
  },
};

const common = { bundle: true, splitting: true, format: "esm", outdir: out, logLevel: "warning", legalComments: "none" };

await rm(out, { recursive: true, force: true });
await mkdir(out);
await build({
  ...common,
  entryPoints: ["index.js", "auto.js", "audio.js", "worker.js"].map(from),
  chunkNames: "[name]-[hash]",
  platform: "browser",
  target: "es2023",
  minify: true,
  plugins: [wasmBeside, withoutNode, twoChunks],
});
await build({ ...common, splitting: false, entryPoints: [from("worklet.js")], target: "es2022", minify: true });
await build({
  ...common,
  entryPoints: { node: from("index.js"), cli: from("cli.js") },
  chunkNames: "node-[name]-[hash]",
  platform: "node",
  target: "node20",
  plugins: [wasmBeside, workerScript],
});
await build({
  ...common,
  splitting: false,
  format: "cjs",
  entryPoints: [from("worker-node.js")],
  outExtension: { ".js": ".cjs" },
  platform: "node",
  target: "node20",
  minifyWhitespace: true,
});
const wasm = ["mooncast.wasm", "mooncast-rest.wasm"].map((name) => `${root}build/${name}`);
for (const path of [from("index.d.ts"), from("auto.d.ts"), from("audio.d.ts"), ...wasm]) {
  await copyFile(path, `${out}/${basename(path)}`);
}
