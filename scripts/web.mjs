// Builds the page of web/ into build/web, a folder for any static host: node scripts/web.mjs [build].
// Without an argument it then serves it, isolated so that workers can share memory: PORT, 8080 unless set.
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
export const FOLDER = join(ROOT, "build/web");

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

const ISOLATED = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

export async function buildPage() {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  for (const name of ["index.html", "style.css", "moon.svg"]) cpSync(join(ROOT, "web", name), join(FOLDER, name));
  for (const name of ["mooncast.wasm", "mooncast-rest.wasm"]) cpSync(join(ROOT, "build", name), join(FOLDER, name));
  await build({
    absWorkingDir: ROOT,
    entryPoints: { main: "web/main.js", worker: "worker-shell/worker.js", worklet: "worker-shell/worklet.js" },
    outdir: FOLDER,
    bundle: true,
    minify: true,
    format: "esm",
    target: ["chrome109", "firefox115", "safari16.4"],
    loader: { ".lua": "text" },
    // No page ever loads it.
    external: ["*/platform-node.js"],
    logLevel: "warning",
  });
}

/**
 * Serves a folder, below a path of its own if asked to.
 * @param {{ port?: number, isolated?: boolean, under?: string }} [options]
 * @returns {Promise<{ address: string, close: () => Promise<void> }>}
 */
export async function servePage({ port = 0, isolated = true, under = "/" } = {}) {
  const server = http.createServer(async ({ url }, response) => {
    const headers = { "cache-control": "no-cache", ...(isolated ? ISOLATED : {}) };
    const path = decodeURIComponent(new URL(url, "http://localhost").pathname);
    const file = path.startsWith(under) ? path.slice(under.length) || "index.html" : undefined;
    try {
      const content = await readFile(join(FOLDER, normalize(`/${file}`)));
      response.writeHead(200, { ...headers, "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(content);
    } catch {
      response.writeHead(404, headers).end(`there is no ${path}`);
    }
  });
  await new Promise((resolve, reject) => server.on("error", reject).listen(port, "127.0.0.1", resolve));
  return {
    address: `http://localhost:${server.address().port}${under}`,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildPage();
  if (process.argv[2] === "build") process.exit();
  const { address } = await servePage({ port: Number(process.env.PORT ?? 8080) });
  console.log(`${address} shows the page; ctrl-C ends it`);
}
