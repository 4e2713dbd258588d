/**
 * A room for two or more tabs: each tab's system talks to every other's over a BroadcastChannel. The
 * page moves bytes and says who is there; links and calls are Lua's.
 */
export class Talk {
  #stage;
  #channel;
  #room;
  #list;
  #me = crypto.randomUUID?.() ?? String(Math.random());
  #card;

  constructor(stage) {
    this.#stage = stage;
  }

  /**
   * Enters a room.
   * @param {string} room
   * @param {import("../worker-shell/index.js").RemoteRef} ref whose peer, received, gone and said are called
   * @param {unknown} card what the others get to know at once
   */
  open(room, ref, card) {
    this.close();
    this.#room = ref;
    this.#card = card;
    this.#show();
    this.#channel = new BroadcastChannel(`mooncast ${room}`);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    this.#post({ type: "hello" });
    addEventListener("pagehide", this.#leave);
  }

  #leave = () => this.#post({ type: "bye" });

  #post(message) {
    this.#channel?.postMessage({ from: this.#me, card: this.#card, ...message });
  }

  #receive({ type, from, to, card, bytes }) {
    if (to !== undefined && to !== this.#me) return;
    if (type === "hello") this.#post({ type: "welcome", to: from });
    if (type === "hello" || type === "welcome") this.#tell("peer", from, card);
    if (type === "bytes") this.#tell("received", from, bytes);
    if (type === "bye") this.#tell("gone", from);
  }

  #tell(method, ...args) {
    this.#room.cast(method, args).catch(() => {});
  }

  /** Moves bytes to one of the others. */
  send(to, bytes) {
    this.#post({ type: "bytes", to, bytes: typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes });
  }

  /** Shows what somebody said; without a name it is news. */
  say(name, text, mine = false) {
    const item = document.createElement("li");
    item.className = name ? (mine ? "mine" : "") : "news";
    if (name) item.append(Object.assign(document.createElement("b"), { textContent: name }));
    item.append(text);
    this.#list.append(item);
    item.scrollIntoView({ block: "nearest" });
  }

  #show() {
    const box = document.createElement("div");
    box.className = "talk";
    this.#list = document.createElement("ol");
    this.#list.setAttribute("role", "log");
    this.#list.setAttribute("aria-label", "What was said");
    const form = document.createElement("form");
    const input = document.createElement("input");
    input.setAttribute("aria-label", "Message");
    input.placeholder = "Say something";
    input.autocomplete = "off";
    const button = Object.assign(document.createElement("button"), { className: "primary", textContent: "Send" });
    form.append(input, button);
    form.onsubmit = (event) => {
      event.preventDefault();
      if (input.value.trim() !== "") this.#tell("said", input.value);
      input.value = "";
    };
    box.append(this.#list, form);
    this.#stage.show(box, "Open this page in a second tab and run it there, too");
  }

  close() {
    removeEventListener("pagehide", this.#leave);
    if (!this.#channel) return;
    this.#post({ type: "bye" });
    this.#channel.close();
    this.#channel = undefined;
  }
}
