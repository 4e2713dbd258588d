/**
 * A plain static server over the project's folder, as a page's host would be. With `isolated` its
 * pages are cross-origin isolated; `?csp` serves a page under a strict content security policy.
 * What pages tell about their tests goes to `onReport`; how often a file was asked for is at `/requests/` and its path.
 */
import { readFile } from "node:fs/promises";
import http from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".lua": "text/x-lua",
  ".mjs": "text/javascript",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Headers of a cross-origin isolated page. */
export const ISOLATED = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
};

/** No inline script, no eval, no blob. */
export const STRICT_POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src 'self'";

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * @param {{ root?: string, isolated?: boolean, strict?: boolean, routes?: Record<string, () => Promise<object>>, onReport?: (report: object) => void, onMissing?: (path: string) => void }} options
 *   root: the folder that is served; strict: every answer comes with the strict policy; routes: JSON made on demand, by path; onMissing: somebody asked for a file that is not there
 * @returns {Promise<{ origin: string, close: () => Promise<void> }>}
 */
export async function startServer({ root = ROOT, isolated = false, strict = false, routes = {}, onReport = () => {}, onMissing = () => {} } = {}) {
  /** What tests put there. */
  const programs = new Map();
  const requests = new Map();

  async function answer(request, response) {
    const url = new URL(request.url, "http://localhost");
    const headers = { "cache-control": "no-store", ...(isolated ? ISOLATED : {}) };
    const path = decodeURIComponent(url.pathname);
    if (request.method === "POST" && path === "/report") {
      onReport(JSON.parse(await body(request)));
      return response.writeHead(204, headers).end();
    }
    if (request.method === "POST" && path.startsWith("/programs/")) {
      programs.set(path, await body(request));
      return response.writeHead(204, headers).end();
    }
    if (path.startsWith("/requests/")) {
      return response.writeHead(200, { ...headers, "content-type": TYPES[".json"] }).end(String(requests.get(path.slice("/requests".length)) ?? 0));
    }
    requests.set(path, (requests.get(path) ?? 0) + 1);
    if (strict || url.searchParams.has("csp")) headers["content-security-policy"] = STRICT_POLICY;
    if (path in routes) {
      return response.writeHead(200, { ...headers, "content-type": TYPES[".json"] }).end(JSON.stringify(await routes[path]()));
    }
    // `?type` serves a file as what it is not, as many servers do with .wasm.
    const type = url.searchParams.get("type") ?? TYPES[extname(path)] ?? "application/octet-stream";
    try {
      const content = programs.get(path) ?? await readFile(join(root, normalize(path)));
      return response.writeHead(200, { ...headers, "content-type": type }).end(content);
    } catch {
      // Some tests ask for what is not there.
      if (!/\/none\.\w+$/.test(path)) onMissing(path);
      return response.writeHead(404, headers).end(`there is no ${path}`);
    }
  }

  const server = http.createServer((request, response) => {
    answer(request, response).catch((error) => response.writeHead(500).end(error.stack));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://localhost:${server.address().port}`,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
