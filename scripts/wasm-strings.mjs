/** Finds the messages, in the memory of a wasm, that only some of its functions use. */

const isText = (byte) => byte === 0 || byte === 9 || byte === 10 || (byte >= 32 && byte < 127);

/** Every address in the text of a wasm, as wasm-dis writes it, and whether a function has it that is not of these. */
function addresses(text, functions, { start, bytes }) {
  const found = new Map();
  const add = (address, kept) => {
    if (address >= start && address < start + bytes.length) found.set(address, kept || (found.get(address) ?? false));
  };
  let kept = true;
  for (const line of text.split("\n")) {
    if (line.startsWith(" (")) kept = !functions.has(/^ \(func \$([^\s()]+)/.exec(line)?.[1]);
    if (line.startsWith(" (data")) continue;
    for (const [, constant, offset] of line.matchAll(/\(i32\.const (-?\d+)\)|offset=(\d+)/g)) add(Number(constant ?? offset), kept);
  }
  // Whatever in the memory may be a pointer.
  for (let at = 0; at + 4 <= bytes.length; at += 4) add(bytes.readUInt32LE(at), true);
  return found;
}

/**
 * Where one of them, and nothing else, has the address of a text, with a space in it: up to the next address
 * that anything has. It begins behind another string's end, so that nothing reaches it from in front.
 * @param {string} text @param {Set<string>} functions @param {{ start: number, bytes: Buffer }} memory
 * @returns {{ address: number, bytes: Buffer }[]}
 */
export function stringsOf(text, functions, memory) {
  const { start, bytes } = memory;
  const found = [...addresses(text, functions, memory)].sort(([a], [b]) => a - b);
  return found.flatMap(([address, kept], i) => {
    const piece = bytes.subarray(address - start, (found[i + 1]?.[0] ?? start + bytes.length) - start);
    const apart = bytes[address - start - 1] === 0 && piece.at(-1) === 0;
    return !kept && apart && piece.includes(" ") && piece.every(isText) ? [{ address, bytes: piece }] : [];
  });
}
