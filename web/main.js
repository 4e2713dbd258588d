/** The page: what its parts tell one another. */
import { Console } from "./console.js";
import { Editor } from "./editor.js";
import { examples } from "./examples.js";
import { Picture } from "./picture.js";
import { Prompt } from "./prompt.js";
import { fragmentOf, readFragment } from "./share.js";
import { Session } from "./session.js";
import { Stage } from "./stage.js";

const by = (id) => document.getElementById(id);
const PLACE = /([\w.-]+\.lua):(\d+):\s*([^\n]*)/;
const STATES = { starting: "Starting workers", idle: "Ready", running: "Running", ended: "Ended", failed: "Failed" };

/** What was typed into each example. */
const edited = new Map();
let example = examples[0];

/* ---- panels: side by side where there is room, else one at a time ------------------------------ */

function showPanel(name) {
  document.body.dataset.panel = name;
  for (const tab of document.querySelectorAll("nav button")) {
    tab.setAttribute("aria-current", String(tab.dataset.panel === name));
  }
}

for (const tab of document.querySelectorAll("nav button")) tab.onclick = () => showPanel(tab.dataset.panel);

function goTo(line) {
  showPanel("code");
  editor.goTo(line);
}

/* ---- parts ------------------------------------------------------------------------------------ */

const editor = new Editor(by("editor"), { run, leave: () => by("entry").focus() });
const output = new Console({ log: by("log"), filters: by("filters") }, goTo);
const stage = new Stage({ scene: by("scene"), note: by("stage-note") }, (shown) => {
  by("stage").hidden = !shown;
  document.body.classList.toggle("staged", shown);
  document.querySelector('nav [data-panel="stage"]').hidden = !shown;
  if (shown && document.body.dataset.panel !== "nodes") showPanel("stage");
  else if (!shown && document.body.dataset.panel === "stage") showPanel("code");
});

const session = new Session({
  onState: showState,
  onOutput: (node, bytes, fd) => output.write(node, bytes, fd === 2 ? "bad" : ""),
  onLog({ node, level, text }) {
    output.add(node, `${level}: ${text}`, level === "error" ? "bad" : "note");
    if (level === "error") markPlace(text);
  },
  onSystem(system) {
    stage.expose(system);
    picture.reset();
    showLink(system);
    follow(system);
  },
});

const picture = new Picture(by("cards"), session);

function showState(state, more = "") {
  const element = by("state");
  element.dataset.state = state;
  element.textContent = `${STATES[state]}${more && ` ${more}`}`;
  by("stop").disabled = state === "starting";
}

function showLink(system) {
  const { link, version } = system.info();
  by("link").textContent = `${link === "ring" ? "rings in shared memory" : "message ports"}, ${version}`;
}

/** Nodes that end while the program runs. */
async function follow(system) {
  for await (const event of system.events()) {
    if (event.type !== "down") continue;
    picture.down(event.node);
    output.add(event.node, event.reason, "note");
  }
}

/** Marks the line that a message names. */
function markPlace(text) {
  const [, file, line, message] = PLACE.exec(text) ?? [];
  if (file === fileName()) editor.mark([{ line: Number(line), message }]);
}

/* ---- running ---------------------------------------------------------------------------------- */

const fileName = () => `${example.name}.lua`;

async function run() {
  output.clear();
  editor.mark([]);
  if (document.body.dataset.panel === "code") showPanel("console");
  const error = await session.run(fileName(), editor.text, example);
  if (!error) return;
  output.add("", error.message + (error.traceback ? `\n${error.traceback}` : ""), "bad");
  markPlace(error.message);
}

function stop() {
  output.add("", "stopped", "note");
  session.restart().catch(() => {});
}

function open(next) {
  edited.set(example.name, editor.text);
  choose(next);
  session.restart().catch(() => {});
}

/** What the address names, with the program that it may bring. */
async function openAddress() {
  const { name, text, problem } = await readFragment(location.hash);
  const found = examples.find((each) => each.name === name) ?? examples[0];
  if (text !== undefined) edited.set(found.name, text);
  choose(found);
  by("example").value = found.name;
  if (!problem) return;
  output.add("", problem, "bad");
  showPanel("console");
}

async function share() {
  const { text } = editor;
  try {
    const fragment = await fragmentOf(example.name, text === example.source ? undefined : text);
    history.replaceState(null, "", fragment);
    await navigator.clipboard.writeText(location.href);
    say("Link copied");
  } catch (error) {
    say(error instanceof RangeError ? error.message : "The link is in the address bar");
  }
}

/** Shows on the button for a moment what it did. */
function say(text) {
  by("share").textContent = text;
  setTimeout(() => (by("share").textContent = "Share"), 2500);
}

function choose(next) {
  example = next;
  editor.text = edited.get(next.name) ?? next.source;
  by("file").textContent = fileName();
  output.file = fileName();
}

/* ---- beginning -------------------------------------------------------------------------------- */

by("run").onclick = run;
by("stop").onclick = stop;
by("share").onclick = share;
by("clear").onclick = () => output.clear();
addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.defaultPrevented) return;
  event.preventDefault();
  run();
});

by("example").append(...examples.map(({ name, title }) => new Option(title, name)));
by("example").onchange = ({ target }) => {
  open(examples[target.selectedIndex]);
  history.replaceState(null, "", `#${example.name}`);
};

const WORKERS = Math.min(8, Math.max(2, navigator.hardwareConcurrency ?? 2));
by("workers").append(...Array.from({ length: 8 }, (_, i) => new Option(i + 1, i + 1, false, i + 1 === WORKERS)));
by("workers").onchange = ({ target }) => session.restart({ workers: Number(target.value) });

showPanel("code");
await openAddress();
addEventListener("hashchange", async () => {
  await openAddress();
  session.restart().catch(() => {});
});
session.restart({ workers: WORKERS }).catch(() => {});
new Prompt({ form: by("prompt"), entry: by("entry"), list: by("completions") }, session, output);
