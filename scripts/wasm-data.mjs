/** Moves pieces of the memory's first content from one wasm to another. */

const HEADER = 8;
const DATA = 11;
const DATA_COUNT = 12;

/** Little-endian base 128; with a sign bit where `signed`. */
function encode(value, signed = false) {
  const bytes = [];
  for (;;) {
    const low = value & 0x7f;
    value = signed ? value >> 7 : value >>> 7;
    const last = signed ? value === (low & 0x40 ? -1 : 0) : value === 0;
    bytes.push(last ? low : low | 0x80);
    if (last) return Buffer.from(bytes);
  }
}

class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  number(signed = false) {
    let value = 0;
    let shift = 0;
    let byte;
    do {
      byte = this.bytes[this.at++];
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte & 0x80);
    return signed && byte & 0x40 && shift < 32 ? value | (-1 << shift) : value;
  }

  take(length) {
    return this.bytes.subarray(this.at, (this.at += length));
  }
}

function sections(wasm) {
  const found = [];
  for (const reader = new Reader(wasm, HEADER); reader.at < wasm.length; ) {
    const id = reader.take(1)[0];
    found.push({ id, content: reader.take(reader.number()) });
  }
  return found;
}

const assemble = (wasm, list) =>
  Buffer.concat([wasm.subarray(0, HEADER), ...list.flatMap(({ id, content }) => [Buffer.from([id]), encode(content.length), content])]);

/** Each is { address, bytes }: what the linker makes are segments with an address of their own. */
function segments(content) {
  const reader = new Reader(content);
  return Array.from({ length: reader.number() }, () => {
    const [kind, constant] = reader.take(2);
    const address = reader.number(true);
    const [end] = reader.take(1);
    if (kind !== 0 || constant !== 0x41 || end !== 0x0b) throw new Error("a data segment without a plain address");
    return { address, bytes: reader.take(reader.number()) };
  });
}

const dataSection = (list) => ({
  id: DATA,
  content: Buffer.concat([
    encode(list.length),
    ...list.flatMap(({ address, bytes }) => [Buffer.from([0, 0x41]), encode(address, true), Buffer.from([0x0b]), encode(bytes.length), bytes]),
  ]),
});

// What a segment of its own takes is less than so many zeros.
const WORTH_CUTTING = 64;

/** Takes the piece out of the segments, or leaves zeros in its place. */
function blank(list, { address, bytes }) {
  const end = address + bytes.length;
  return list.flatMap((segment) => {
    const from = Math.max(address, segment.address);
    const to = Math.min(end, segment.address + segment.bytes.length);
    if (from >= to) return [segment];
    const before = segment.bytes.subarray(0, from - segment.address);
    const after = segment.bytes.subarray(to - segment.address);
    if (to - from < WORTH_CUTTING) {
      return [{ address: segment.address, bytes: Buffer.concat([before, Buffer.alloc(to - from), after]) }];
    }
    return [{ address: segment.address, bytes: before }, { address: to, bytes: after }].filter((part) => part.bytes.length > 0);
  });
}

/** The memory's first content: where it begins, and its bytes. */
export function memoryOf(wasm) {
  const list = segments(sections(wasm).find(({ id }) => id === DATA).content);
  const start = Math.min(...list.map(({ address }) => address));
  const bytes = Buffer.alloc(Math.max(...list.map((segment) => segment.address + segment.bytes.length)) - start);
  for (const segment of list) segment.bytes.copy(bytes, segment.address - start);
  return { start, bytes };
}

/** @param {Buffer} from @param {Buffer} to which has no data yet @param {{ address: number, bytes: Buffer }[]} pieces */
export function moveData(from, to, pieces) {
  const left = sections(from);
  const list = pieces.reduce(blank, segments(left.find(({ id }) => id === DATA).content));
  const changed = left.map((section) =>
    section.id === DATA ? dataSection(list) : section.id === DATA_COUNT ? { id: DATA_COUNT, content: encode(list.length) } : section);
  const there = sections(to);
  if (there.some(({ id }) => id === DATA || id === DATA_COUNT)) throw new Error("the second part has data already");
  // Custom sections may follow.
  const code = there.findIndex(({ id }) => id === 10) + 1;
  return { from: assemble(from, changed), to: assemble(to, [...there.slice(0, code), dataSection(pieces), ...there.slice(code)]) };
}
