/**
 * The nodes as they are: each a moon that grows with its actors, which circle it, faster the more
 * calls go through; a red arc is what waits in mailboxes.
 */
import { colourOf } from "./console.js";

const EVERY_MS = 600;
const MAX_DOTS = 28;
const QUEUE_RADIUS = 34;
const QUEUE_LENGTH = 2 * Math.PI * QUEUE_RADIUS;
const FULL_QUEUE = 4096;

const numbers = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

const MOON = `<svg viewBox="0 0 76 76" aria-hidden="true">
  <circle class="glow" cx="38" cy="38" r="20" opacity="0"/><circle class="track" cx="38" cy="38" r="28"/>
  <circle class="queue" cx="38" cy="38" r="${QUEUE_RADIUS}" transform="rotate(-90 38 38)" stroke-dasharray="${QUEUE_LENGTH}" stroke-dashoffset="${QUEUE_LENGTH}"/>
  <circle class="body" cx="38" cy="38" r="12"/><circle class="shade" cx="42" cy="35" r="9"/><g class="orbit"></g></svg>`;

class Card {
  angle = 0;
  rate = 0;
  #element = document.createElement("li");
  #last;
  #dots = 0;

  constructor(name) {
    const element = this.#element;
    element.className = "card";
    element.dataset.node = name;
    element.style.setProperty("--node", colourOf(name));
    element.innerHTML = `${MOON}<div class="name"><span></span><small></small></div>
      <dl><dt>actors</dt><dd data-of="actors">0</dd><dt>waiting messages</dt><dd data-of="mailbox">0</dd><dt>calls per second</dt><dd data-of="rate">0</dd></dl>
      <div class="types"></div>`;
    element.querySelector(".name span").textContent = name;
  }

  get element() {
    return this.#element;
  }

  #find(selector) {
    return this.#element.querySelector(selector);
  }

  /** @param {object | undefined} stats undefined: it does not answer */
  show(stats, now) {
    this.#find("small").textContent = stats ? "" : "busy";
    if (!stats) return;
    this.#rate(stats, now);
    for (const [key, value] of Object.entries({ actors: stats.actors, mailbox: stats.mailbox, rate: this.rate })) {
      this.#find(`[data-of="${key}"]`).textContent = numbers.format(value);
    }
    this.#types(stats.types);
    this.#moon(stats);
  }

  /** Calls that ran since the last look; the look itself is not counted. */
  #rate(stats, now) {
    if (this.#last) {
      const calls = Math.max(0, stats.turns - this.#last.turns - 1);
      this.rate = Math.round(calls / Math.max(0.1, (now - this.#last.at) / 1000));
    }
    this.#last = { turns: stats.turns, at: now };
  }

  #types(types) {
    const most = Object.entries(types).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, 6);
    this.#find(".types").replaceChildren(
      ...most.map(([name, n]) => {
        const element = document.createElement("span");
        const count = document.createElement("b");
        count.textContent = numbers.format(n);
        element.append(`${name} `, count);
        return element;
      }),
    );
  }

  #moon({ actors, mailbox }) {
    const radius = Math.min(20, 11 + Math.log2(1 + actors) * 1.3);
    this.#find(".body").setAttribute("r", radius);
    this.#find(".shade").setAttribute("r", radius * 0.72);
    this.#find(".glow").setAttribute("r", radius + 5);
    this.#find(".glow").setAttribute("opacity", Math.min(0.3, Math.log10(1 + this.rate) * 0.07));
    const full = Math.min(1, Math.log(1 + mailbox) / Math.log(1 + FULL_QUEUE));
    this.#find(".queue").setAttribute("stroke-dashoffset", QUEUE_LENGTH * (1 - full));
    this.#find(".queue").style.visibility = mailbox > 0 ? "visible" : "hidden";
    const dots = Math.min(MAX_DOTS, actors);
    if (dots !== this.#dots) this.#orbit(dots);
  }

  #orbit(dots) {
    this.#dots = dots;
    const at = (i) => (i / dots) * 2 * Math.PI;
    const circle = (i) => `<circle cx="${38 + 28 * Math.cos(at(i))}" cy="${38 + 28 * Math.sin(at(i))}" r="2.4"/>`;
    this.#find(".orbit").innerHTML = Array.from({ length: dots }, (_, i) => circle(i)).join("");
  }

  turn(seconds) {
    if (this.rate === 0 || this.#dots === 0) return;
    this.angle = (this.angle + seconds * (6 + 12 * Math.log10(1 + this.rate))) % 360;
    this.#find(".orbit").setAttribute("transform", `rotate(${this.angle} 38 38)`);
  }

  down() {
    this.#element.classList.add("down");
    this.#find("small").textContent = "down";
  }
}

export class Picture {
  #list;
  #session;
  #cards = new Map();
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  #frame = 0;

  constructor(list, session) {
    this.#list = list;
    this.#session = session;
    this.#look();
    requestAnimationFrame((now) => this.#animate(now));
  }

  /** Another system. */
  reset() {
    this.#cards.clear();
    this.#list.replaceChildren();
  }

  /** A node has ended. */
  down(node) {
    this.#cards.get(node)?.down();
  }

  async #look() {
    try {
      if (!document.hidden) this.#show(await this.#session.look());
    } catch {
      // No system, for now.
    }
    setTimeout(() => this.#look(), EVERY_MS);
  }

  #show(nodes) {
    const now = performance.now();
    for (const [name, stats] of nodes) this.#card(name).show(stats, now);
  }

  #card(name) {
    let card = this.#cards.get(name);
    if (!card) {
      card = new Card(name);
      this.#cards.set(name, card);
      this.#list.append(card.element);
    }
    return card;
  }

  #animate(now) {
    const seconds = Math.min(0.1, (now - this.#frame) / 1000);
    this.#frame = now;
    if (!this.#calm.matches) for (const card of this.#cards.values()) card.turn(seconds);
    requestAnimationFrame((next) => this.#animate(next));
  }
}
