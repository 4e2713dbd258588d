/** Random values and envelopes, the same for the same seed. */
import {
  encodeCall,
  encodeCancel,
  encodeCast,
  encodeCredit,
  encodeError,
  encodeProbe,
  encodeReply,
  encodeStop,
  typeHash,
} from "../../worker-shell/envelope.js";
import { RemoteRef } from "../../worker-shell/ref.js";

/** @returns {(below: number) => number} (mulberry32) */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const NAMES = ["w1", "a", "inc", "mc.node", "os", "_G", "Counter", "ä€🙂", "x".repeat(30)];
const NUMBERS = [0, -1, 23, 24, 255, 256, 65535, 65536, 2 ** 32, 2 ** 53 - 1, 0.5, -0, 1e300, Infinity, -Infinity, NaN];
const LARGE = [2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 53n)];

/** The secret of every actor in here; no node has one. */
export const SECRET = Uint8Array.from({ length: 16 }, (_, i) => i);

function pick(list, random) {
  return list[random(list.length)];
}

/** What is sent in a map or an array is never nil. */
export function anyValue(random, depth = 0) {
  switch (random(depth > 5 ? 6 : 9)) {
    case 0:
      return random(2) === 0;
    case 1:
      return pick(NUMBERS, random);
    case 2:
      return random(3) === 0 ? pick(LARGE, random) : random(100000);
    case 3:
      return pick(NAMES, random);
    case 4:
      return Uint8Array.from({ length: random(8) }, () => 250 + random(6));
    case 5:
      return new RemoteRef(
        { node: pick(NAMES, random), incarnation: random(9), instance: random(9), secret: SECRET, type: pick(NAMES, random) },
        {},
      );
    case 6:
      return Array.from({ length: random(5) }, () => anyValue(random, depth + 1));
    case 7:
      return Object.fromEntries(Array.from({ length: random(4) }, (_, i) => [`${pick(NAMES, random)}${i}`, anyValue(random, depth + 1)]));
    default:
      return new Map(Array.from({ length: random(4) }, (_, i) => [random(2) ? i * 1000 : i + 0.5, anyValue(random, depth + 1)]));
  }
}

function values(random) {
  return Array.from({ length: random(4) }, () => (random(5) === 0 ? null : anyValue(random)));
}

/**
 * A frame of any kind but hello.
 * @param {{ instance: number, secret: Uint8Array, type: string }} [actor] whom calls and casts are for
 */
export function anyFrame(random, actor = { instance: random(10), secret: SECRET, type: pick(NAMES, random) }) {
  const call = 1 + random(1000);
  const to = { ...actor, type: typeHash(actor.type), method: pick(NAMES, random) };
  const trace = random(2) ? null : 1 + random(1000);
  const context = random(3) ? null : Uint8Array.of(0xa1, 0x61, 0x6b, random(24));
  switch (random(8)) {
    case 0: {
      const chain = Array.from({ length: random(4) }, () => random(2 ** 31));
      return encodeCall({ call, ...to, remaining: random(2) ? null : random(9000), trace, chain, context, args: values(random) });
    }
    case 1:
      return encodeCast({ ...to, trace, context, args: values(random) });
    case 2:
      return encodeReply({ call, results: values(random) });
    case 3:
      return encodeError({ call, code: random(26), value: anyValue(random), traceback: random(2) ? null : "at x" });
    case 4:
      return encodeStop({ call, ...to, secret: SECRET });
    case 5:
      return encodeCancel({ call, ...to, secret: SECRET });
    case 6:
      return encodeProbe({ incarnation: 1, probe: call, count: random(40), call, ...to, secret: SECRET, cycle: "A:b" });
    default:
      return encodeCredit({ instance: random(10), count: random(2000) });
  }
}

/**
 * What damage makes of bytes: every prefix, and every single bit flipped.
 * @param {Uint8Array} bytes
 * @returns {Generator<Uint8Array>} each its own copy
 */
export function* damaged(bytes) {
  for (let length = 0; length < bytes.length; length++) yield bytes.slice(0, length);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const copy = bytes.slice();
    copy[bit >> 3] ^= 1 << (bit & 7);
    yield copy;
  }
}
