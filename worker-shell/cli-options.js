/** The command line, read as lua reads its own. */

export const USAGE = `usage: mooncast [options] [script [args]]
       mooncast test [options] [paths and options of busted]

  -e stat          run the statement, may be given more than once
  -l mod           require the module into the global of its name; g=mod into the global g
  -i               start the prompt after running what was given
  -v, --version    show the version
  -h, --help       show this text
  --workers N      how many Lua nodes to start (default: one less than there are processors);
                   0 runs one node in the main thread
  --link ring|port how workers are linked (default: ring, over shared memory)
  --codec NAME     what calls between nodes are encoded in: cbor (the default), json, or one of the
                   program's own (mc.codec)
  --               end the options
  -                run what comes from standard input, and end the options

Without a script mooncast starts its prompt, or runs standard input when that is no terminal.
A script that calls mc.main runs on every node, then main on the first, w1.
`;

/** A mistake on the command line. */
export class UsageError extends Error {}

const LINKS = ["ring", "port"];

/**
 * @typedef {object} Command
 * @property {{ kind: "stat" | "module", text: string }[]} before what runs before the script
 * @property {boolean} interactive @property {boolean} version @property {boolean} help
 * @property {number} [workers] @property {"ring" | "port"} [link] @property {string} [codec]
 * @property {string} [script] "-" for standard input
 * @property {string[]} args
 */

/** Options that take a value, which may follow in the same word: -e"x", --workers=2. */
const valued = {
  "-e": (command, text) => command.before.push({ kind: "stat", text }),
  "-l": (command, text) => command.before.push({ kind: "module", text }),
  "--workers": (command, text) => {
    if (!/^\d{1,4}$/.test(text) || Number(text) > 1000) {
      throw new UsageError(`--workers wants a number from 0 to 1000, not '${text}'`);
    }
    command.workers = Number(text);
  },
  "--link": (command, text) => {
    if (!LINKS.includes(text)) throw new UsageError(`--link wants ring or port, not '${text}'`);
    command.link = text;
  },
  "--codec": (command, text) => {
    if (text === "") throw new UsageError("--codec wants a codec's name");
    command.codec = text;
  },
};

const flags = {
  "-i": "interactive",
  "-v": "version",
  "--version": "version",
  "-h": "help",
  "--help": "help",
};

/** Splits a word into an option and the value that is in the same word. */
function split(word) {
  if (word.startsWith("--")) {
    const at = word.indexOf("=");
    return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
  }
  const short = word.slice(0, 2);
  return word.length > 2 && short in valued ? [short, word.slice(2)] : [word, undefined];
}

/** @param {string[]} words @returns {Command} */
export function parseCommand(words) {
  const command = { before: [], interactive: false, version: false, help: false, args: [] };
  const rest = [...words];
  while (rest.length > 0 && rest[0].startsWith("-") && rest[0] !== "-") {
    const word = rest.shift();
    if (word === "--") break;
    const [option, value] = split(word);
    if (Object.hasOwn(flags, option) && value === undefined) command[flags[option]] = true;
    else if (Object.hasOwn(valued, option)) valued[option](command, value ?? required(option, rest));
    else throw new UsageError(`unrecognized option '${word}'`);
  }
  command.script = rest.shift();
  command.args = rest;
  return command;
}

function required(option, rest) {
  if (rest.length === 0) throw new UsageError(`'${option}' needs argument`);
  return rest.shift();
}
