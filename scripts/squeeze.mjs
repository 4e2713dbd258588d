// A Lua source as it is embedded. Comments and indentation stay behind, a third of what a page downloads for
// this; lines stay where they are, so that tracebacks name the right ones.

// Comments of both kinds, strings of all kinds, the space on both sides of a line's end.
const TOKEN =
  /[ \t]*--\[(=*)\[.*?\]\1\]|[ \t]*--[^\n]*|\[(=*)\[.*?\]\2\]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[ \t]*\n[ \t]*/gs;

/** @param {string} source */
export function squeeze(source) {
  return source.replace(TOKEN, (token) => {
    const text = token.trimStart();
    if (text.startsWith("--")) return text.replace(/[^\n]/g, "") || " ";
    return text === "" ? "\n" : token;
  });
}
