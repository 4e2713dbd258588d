/** What programs may use of the page: JS actors that mc.lookup finds, drawn on the stage. */
import { Talk } from "./talk.js";

/** Pixels that actors draw, and clicks that one of them gets. */
class Canvas {
  #stage;
  #context;
  #listener;

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
    canvas.onclick = (event) => this.#click(event, canvas);
    this.#context = canvas.getContext("2d");
    this.#stage.show(canvas, note);
  }

  note(text) {
    this.#stage.note(text);
  }

  /** A rectangle of pixels, four bytes each. */
  draw(x, y, width, height, bytes) {
    const data = new Uint8ClampedArray(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#context.putImageData(new ImageData(data, width, height), x, y);
  }

  /** Whose method `click(x, y, shift)` is called from now on. */
  listen(ref) {
    this.#listener = ref;
  }

  #click({ offsetX, offsetY, shiftKey, altKey }, canvas) {
    // The picture keeps its shape inside the element's.
    const { width, height, clientWidth, clientHeight } = canvas;
    const scale = Math.min(clientWidth / width, clientHeight / height);
    const x = Math.floor((offsetX - (clientWidth - width * scale) / 2) / scale);
    const y = Math.floor((offsetY - (clientHeight - height * scale) / 2) / scale);
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    this.#listener?.cast("click", [x, y, shiftKey || altKey]).catch(() => {});
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
    system.expose("canvas", methods(new Canvas(this), ["open", "note", "draw", "listen"]));
    system.expose("talk", methods(this.#talk, ["open", "send", "say"]));
  }

  show(element, note = "") {
    this.#scene.replaceChildren(element);
    this.note(note);
    this.#onShow(true);
  }

  note(text) {
    this.#note.textContent = text;
  }

  clear() {
    this.#talk?.close();
    this.#talk = undefined;
    this.#scene.replaceChildren();
    this.#onShow(false);
  }
}
