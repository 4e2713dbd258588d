/**
 * Runs the Lua of a page: import this and every `<script type="text/lua">` runs on one system, in the
 * order of the page, each to its end.
 *
 *   <script type="module" src="mooncast/worker-shell/auto.js"></script>
 *   <script type="text/lua" src="actors.lua"></script>
 *   <script type="text/lua" data-workers="2"> print "hello" </script>
 *
 * `data-workers` and `data-link` on any of them choose as createSystem's options do. Before the first
 * runs, the document gets the event `mooncast` with the system as its `detail`: the place to expose
 * what Lua may use of the page. What a script raises goes to the console and, as the event `luaerror`
 * with the error as its `detail`, to its element, from where it bubbles; the scripts behind it run.
 */
import { createSystem } from "./system.js";

const SELECTOR = 'script[type="text/lua"]';

function parsed() {
  if (document.readyState !== "loading") return undefined;
  return new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
}

/** What the first script that says so chooses. */
function chosen(scripts) {
  const value = (name) => scripts.find((script) => script.dataset[name] !== undefined)?.dataset[name];
  const workers = value("workers");
  const link = value("link");
  return { ...(workers !== undefined && { workers: Number(workers) }), ...(link !== undefined && { link }) };
}

async function text(script) {
  const { src } = script.attributes;
  if (!src) return script.textContent;
  const response = await fetch(src.value);
  if (!response.ok) throw new Error(`cannot load ${src.value}: ${response.status} ${response.statusText}`);
  return response.text();
}

/** What Lua calls it in its messages. */
function nameOf(script, at) {
  return script.getAttribute("src") ?? `=${script.id || `script ${at + 1}`}`;
}

function failed(target, error) {
  console.error(error);
  target.dispatchEvent(new CustomEvent("luaerror", { bubbles: true, detail: error }));
}

async function runAll(system, scripts) {
  for (const [at, script] of scripts.entries()) {
    try {
      await system.runSource(nameOf(script, at), new TextEncoder().encode(await text(script)));
    } catch (error) {
      failed(script, error);
    }
  }
}

async function start() {
  await parsed();
  const scripts = [...document.querySelectorAll(SELECTOR)];
  const system = await createSystem(chosen(scripts));
  document.dispatchEvent(new CustomEvent("mooncast", { detail: system }));
  return { system, ran: runAll(system, scripts) };
}

const started = start();
started.catch((error) => failed(document, error));

/** The system that the page's scripts run on. */
export const system = started.then(({ system }) => system);
/** When all scripts have ended. */
export const finished = started.then(({ ran }) => ran);
// Whoever is interested asks; the error was told.
for (const promise of [system, finished]) promise.catch(() => {});
