/** Who calls whom in a wasm, from its text as wasm-dis writes it. */

/**
 * @param {string} text
 * @returns {{ callers: Map<string, Set<string>>, kept: Set<string> }} of each function; and those that are
 *   exported or stand in the table
 */
export function parse(text) {
  const callers = new Map();
  const kept = new Set();
  const calls = [];
  let current;
  for (const line of text.split("\n")) {
    const defined = /^ \(func \$(\S+)/.exec(line);
    if (defined) callers.set((current = defined[1].replace(/\)$/, "")), new Set());
    else if (/^ \((elem|export|start)/.test(line)) for (const [, name] of line.matchAll(/\$([^\s()]+)/g)) kept.add(name);
    else for (const [, name] of line.matchAll(/\((?:call|return_call|ref\.func) \$([^\s()]+)/g)) calls.push([current, name]);
  }
  for (const [from, to] of calls) callers.get(to)?.add(from);
  return { callers, kept };
}
