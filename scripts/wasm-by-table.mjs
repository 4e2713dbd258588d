/** How the wasm's second part calls functions of its first: by their places in the table that both have. */

/**
 * wasm-split exports each from the first part and imports it into the second, so that instantiating the first would make
 * hundreds of functions and properties in JavaScript. They get places at the end of the table instead, if they have none
 * yet, and in the second part what was imported calls what is there.
 * @param {string} first @param {string} rest their texts, as wasm-dis writes them @param {string} part the second's name
 */
export function callByTable(first, rest, part) {
  const exported = new Map();
  const withoutExports = first.replace(/^ \(export "(%[^"]+)" \(func (\S+)\)\)\n/gm, (_, name, func) => {
    exported.set(name, func);
    return "";
  });
  const [elements, start, listed] = /^ \(elem \(i32\.const (\d+)\) ([^()]*)\)/m.exec(withoutExports);
  const table = listed.split(" ");
  const grown = [...table, ...new Set([...exported.values()].filter((func) => !table.includes(func)))];
  const place = (name) => Number(start) + grown.indexOf(exported.get(name));
  const size = Number(start) + grown.length;
  const resized = (text) => text.replace(/(\(table \S+) \d+ \d+ funcref\)/, `$1 ${size} ${size} funcref)`);

  const imported = new RegExp(`^ \\(import "${part}" "(%[^"]+)" \\(func (\\S+)((?: \\((?:param|result)[^)]*\\))*)\\)\\)\\n`, "gm");
  const functions = [];
  const withoutImports = rest.replace(imported, (_, name, func, type) => {
    functions.push(callOf({ func, type, place: place(name) }));
    return "";
  });
  return {
    first: resized(withoutExports.replace(elements, ` (elem (i32.const ${start}) ${grown.join(" ")})`)),
    rest: resized(withoutImports).replace(/\)\s*$/, `${functions.join("\n")}\n)\n`),
  };
}

/** A function that calls whatever is in that place of the table. */
export function callOf({ func, type, place, before = "" }) {
  const params = /\(param ([^)]*)\)/.exec(type)?.[1].split(" ") ?? [];
  const args = params.map((_, i) => `(local.get ${i}) `).join("");
  return ` (func ${func}${type} ${before}(call_indirect${type} ${args}(i32.const ${place})))`;
}
