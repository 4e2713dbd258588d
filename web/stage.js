/** What programs may use of the page: JS actors that mc.lookup finds, drawn on the stage. */
import { Sound } from "./sound.js";
import { Talk } from "./talk.js";

/** How far an arrow key moves the cross, of the canvas's width. */
const STEP = 1 / 32;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Where a canvas's picture is inside its element, whose shape may be another, and how large a pixel is there. */
function placed({ width, height, clientWidth, clientHeight }) {
  const scale = Math.min(clientWidth / width, clientHeight / height);
  return { scale, left: (clientWidth - width * scale) / 2, top: (clientHeight - height * scale) / 2 };
}

/** Pixels that actors draw, and clicks that one of them gets: with a pointer, or by the cross that keys move. */
class Canvas {
  #stage;
  #canvas;
  #context;
  #listener;
  #cross;
  #at = [0, 0];

  constructor(stage) {
    this.#stage = stage;
  }

  /** A canvas of so many pixels, and what stands above it. */
  open(width, height, note = "") {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    canvas.style.aspectRatio = `${width} / ${height}`;
    canvas.style.width = "100%";
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", note || "What the program draws");
    canvas.onclick = (event) => this.#click(event);
    canvas.onkeydown = (event) => this.#key(event);
    canvas.onfocus = () => this.#placeCross();
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#cross = Object.assign(document.createElement("span"), { className: "cross" });
    this.#at = [width >> 1, height >> 1];
    this.#stage.show(canvas, note);
    this.#stage.add(this.#cross);
  }

  /** Buttons below the canvas. */
  buttons(names) {
    const row = document.createElement("div");
    row.className = "buttons";
    row.append(...names.map((name) => this.#button(name)));
    this.#stage.add(row);
  }

  #button(name) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    button.onclick = () => {
      this.#stage.pressed();
      this.#tell("press", name);
    };
    return button;
  }

  #tell(method, ...args) {
    this.#listener?.cast(method, args).catch(() => {});
  }

  note(text) {
    this.#stage.note(text);
  }

  /** A rectangle of pixels, four bytes each. */
  draw(x, y, width, height, bytes) {
    const data = new Uint8ClampedArray(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#context.putImageData(new ImageData(data, width, height), x, y);
  }

  /** Whose methods `click(x, y, shift)` and `press(button)` are called from now on. */
  listen(ref) {
    this.#listener = ref;
    this.#canvas.tabIndex = 0;
    this.#canvas.setAttribute("role", "application");
    this.#canvas.setAttribute("aria-description", "The arrow keys move a cross, Enter clicks there");
  }

  #click({ offsetX, offsetY, shiftKey, altKey }) {
    const { width, height } = this.#canvas;
    const { scale, left, top } = placed(this.#canvas);
    const [x, y] = [Math.floor((offsetX - left) / scale), Math.floor((offsetY - top) / scale)];
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    this.#at = [x, y];
    this.#tell("click", x, y, shiftKey || altKey);
  }

  #key(event) {
    const { key, shiftKey, altKey } = event;
    if (key === "Enter" && !event.ctrlKey && !event.metaKey) this.#tell("click", ...this.#at, shiftKey || altKey);
    else if (!(key in ARROWS)) return;
    event.preventDefault();
    const { width, height } = this.#canvas;
    const [right, down] = (ARROWS[key] ?? [0, 0]).map((way) => Math.round(way * width * STEP));
    const within = (value, size) => Math.max(0, Math.min(size - 1, value));
    this.#at = [within(this.#at[0] + right, width), within(this.#at[1] + down, height)];
    this.#placeCross();
  }

  #placeCross() {
    const { scale, left, top } = placed(this.#canvas);
    const place = (from, at) => `${from + (at + 0.5) * scale}px`;
    this.#cross.style.left = place(this.#canvas.offsetLeft + left, this.#at[0]);
    this.#cross.style.top = place(this.#canvas.offsetTop + top, this.#at[1]);
  }
}

/** What of an object Lua may call. A handler's `this` is its turn, which has no private fields. */
function methods(object, names) {
  return Object.fromEntries(names.map((name) => [name, (...args) => object[name](...args)]));
}

export class Stage {
  #scene;
  #note;
  #onShow;
  #talk;
  #sound;

  /** @param {{ scene: HTMLElement, note: HTMLElement }} elements @param {(shown: boolean) => void} onShow */
  constructor({ scene, note }, onShow) {
    this.#scene = scene;
    this.#note = note;
    this.#onShow = onShow;
  }

  /** Empties the stage for what runs on this system. */
  expose(system) {
    this.clear();
    this.#talk = new Talk(this);
    system.expose("canvas", methods(new Canvas(this), ["open", "buttons", "note", "draw", "listen"]));
    system.expose("talk", methods(this.#talk, ["open", "send", "say"]));
    this.#sound = new Sound(system);
    system.expose("sound", methods(this.#sound, ["open", "close"]));
  }

  show(element, note = "") {
    this.#scene.replaceChildren(element);
    this.note(note);
    this.#onShow(true);
  }

  add(element) {
    this.#scene.append(element);
  }

  note(text) {
    this.#note.textContent = text;
  }

  /** Somebody pressed a button. */
  pressed() {
    this.#sound?.wake();
  }

  clear() {
    this.#sound?.close();
    this.#sound = undefined;
    this.#talk?.close();
    this.#talk = undefined;
    this.#scene.replaceChildren();
    this.#onShow(false);
  }
}
