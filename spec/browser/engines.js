/** The three engines: each a process of its own that opens one page, with a fresh profile, without a window. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CHROMIUM_FLAGS = [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--mute-audio",
  "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--autoplay-policy=no-user-gesture-required",
  "--enable-logging=stderr", "--log-level=0",
];

const FIREFOX_PREFS = {
  "app.normandy.enabled": false,
  "app.update.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "devtools.console.stdout.content": true,
  "dom.min_background_timeout_value": 4,
  "media.autoplay.default": 0,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "toolkit.startup.max_resumed_crashes": -1,
  "toolkit.telemetry.enabled": false,
};

function firefoxProfile(profile) {
  const lines = Object.entries(FIREFOX_PREFS).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
  writeFileSync(join(profile, "user.js"), lines.join("\n"));
}

/** Where Debian puts WebKitGTK's small browser. */
function miniBrowser() {
  const folders = ["/usr/lib", "/usr/libexec"].filter(existsSync);
  for (const folder of folders) {
    for (const entry of readdirSync(folder)) {
      for (const version of ["webkit2gtk-4.1", "webkit2gtk-4.0"]) {
        const path = join(folder, entry, version, "MiniBrowser");
        if (existsSync(path)) return path;
      }
    }
  }
  return "MiniBrowser";
}

const engines = {
  chromium: {
    command: (profile, url) => ["chromium", ...CHROMIUM_FLAGS, `--user-data-dir=${profile}`, url],
  },
  firefox: {
    prepare: firefoxProfile,
    command: (profile, url) => ["firefox-esr", "--headless", "--no-remote", "--profile", profile, url],
    env: { MOZ_CRASHREPORTER_DISABLE: "1" },
  },
  webkit: {
    command: (profile, url) => ["xvfb-run", "-a", miniBrowser(), "--private", url],
    // Without the first there is no SharedArrayBuffer even in an isolated page.
    env: { JSC_useSharedArrayBuffer: "1", WEBKIT_DISABLE_DMABUF_RENDERER: "1", LIBGL_ALWAYS_SOFTWARE: "1" },
  },
};

export const engineNames = Object.keys(engines);

/** Calls back for each line of a stream. */
function eachLine(stream, onLine) {
  let rest = "";
  stream.setEncoding("utf8").on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    lines.forEach(onLine);
  });
}

/**
 * Opens a page.
 * @param {string} name one of engineNames
 * @param {string} url
 * @param {{ onExit?: (why: string) => void, onLine?: (line: string) => void }} events
 *   onExit: it ended by itself; onLine: what the browser prints
 * @returns {{ close: () => Promise<void> }}
 */
export function openPage(name, url, { onExit = () => {}, onLine = () => {} }) {
  const engine = engines[name];
  const profile = mkdtempSync(join(tmpdir(), `mooncast-${name}-`));
  engine.prepare?.(profile);
  const [command, ...args] = engine.command(profile, url);
  // A home of its own: nothing of the user's is read or written.
  const env = { ...process.env, ...engine.env, HOME: profile, XDG_CACHE_HOME: profile, XDG_CONFIG_HOME: profile };
  // A group of its own, so that all its processes can be ended.
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let closing = false;
  for (const stream of [child.stdout, child.stderr]) eachLine(stream, onLine);
  const gone = new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (code, signal) => resolve(`ended with ${signal ?? code}`));
  });
  gone.then((why) => closing || onExit(`${command} ${why}`));
  return {
    async close() {
      closing = true;
      endGroup(child.pid, "SIGTERM");
      const timer = setTimeout(() => endGroup(child.pid, "SIGKILL"), 3000);
      await gone;
      clearTimeout(timer);
      endGroup(child.pid, "SIGKILL");
      rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

function endGroup(pid, signal) {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It is gone.
  }
}
