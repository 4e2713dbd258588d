/** Numbers that nobody can guess. */

/** A random id of 53 bits, never 0. */
export function randomId() {
  const words = crypto.getRandomValues(new Uint32Array(2));
  return (words[0] & 0x1fffff) * 2 ** 32 + words[1] || 1;
}

/** The 128 bits that let one address an actor. */
export function randomSecret() {
  return crypto.getRandomValues(new Uint8Array(16));
}
