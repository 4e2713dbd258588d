/**
 * A program in an address, behind its #: the example's name, and what was made of it. `#life` is the example,
 * `#life~z...` the program deflated, `#life~t...` as it is, where the browser compresses nothing; both in base64url.
 * What an address brings is shown; it runs when somebody runs it.
 */

/** Bytes of a program that an address may carry, and characters of an address that somebody may have to paste. */
const MAX_PROGRAM = 256 * 1024;
const MAX_ADDRESS = 32 * 1024;

const compresses = () => typeof CompressionStream === "function" && typeof DecompressionStream === "function";

function toText(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromText(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

/** Sends bytes through a stream. Stops when more comes out than may be. */
async function through(stream, bytes) {
  const writer = stream.writable.getWriter();
  const written = writer.write(bytes).then(() => writer.close());
  // What is wrong with the bytes the reader says, too.
  written.catch(() => {});
  const chunks = [];
  let length = 0;
  for (const reader = stream.readable.getReader(); ; ) {
    const { value, done } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > MAX_PROGRAM) {
      reader.cancel().catch(() => {});
      throw new RangeError(`it is longer than ${MAX_PROGRAM / 1024} KiB`);
    }
    chunks.push(value);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/**
 * What stands behind the # for a program.
 * @param {string} name of the example @param {string} [text] what was made of it
 * @returns {Promise<string>} throws a RangeError when it is too long
 */
export async function fragmentOf(name, text) {
  if (text === undefined) return `#${name}`;
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > MAX_PROGRAM) throw new RangeError("the program is too long for a link");
  const packed = compresses() ? `z${toText(await through(new CompressionStream("deflate-raw"), bytes))}` : `t${toText(bytes)}`;
  const fragment = `#${name}~${packed}`;
  if (fragment.length > MAX_ADDRESS) throw new RangeError("the program is too long for a link");
  return fragment;
}

/**
 * What such a fragment says.
 * @param {string} fragment
 * @returns {Promise<{ name?: string, text?: string, problem?: string }>} problem: why there is no text though there should be
 */
export async function readFragment(fragment) {
  const [name, packed] = fragment.slice(1).split("~", 2);
  if (packed === undefined) return { name };
  try {
    return { name, text: await unpack(packed) };
  } catch (error) {
    // What a browser says of bytes helps nobody here.
    const why = error instanceof RangeError ? `: ${error.message}` : "";
    return { name, problem: `the program in this link cannot be read${why}` };
  }
}

async function unpack(packed) {
  if (packed.length > MAX_ADDRESS) throw new RangeError("it is too long");
  const [, kind, text] = /^([zt])([\w-]*)$/.exec(packed) ?? [];
  if (kind === undefined) throw new TypeError("an unknown kind");
  if (kind === "z" && !compresses()) throw new RangeError("this browser unpacks nothing");
  const bytes = kind === "z" ? await through(new DecompressionStream("deflate-raw"), fromText(text)) : fromText(text);
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}
