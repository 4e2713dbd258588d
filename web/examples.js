/** The programs of the menu, and what those that read files get to read. */
import chat from "./examples/chat.lua";
import greeter from "./examples/greeter.lua";
import life from "./examples/life.lua";
import mandelbrot from "./examples/mandelbrot.lua";
import piano from "./examples/piano.lua";
import wordcount from "./examples/wordcount.lua";

const MOON = `The moon has a face like the clock in the hall;
She shines on thieves on the garden wall,
On streets and fields and harbour quays,
And birdies asleep in the forks of the trees.
`;

/** @type {{ name: string, title: string, source: string, args?: string[], files?: Record<string, string> }[]} */
export const examples = [
  { name: "mandelbrot", title: "Mandelbrot explorer", source: mandelbrot },
  { name: "life", title: "Game of life", source: life },
  { name: "piano", title: "Piano", source: piano },
  { name: "chat", title: "Chat between tabs", source: chat },
  { name: "wordcount", title: "Word count", source: wordcount, args: ["moon.txt"], files: { "moon.txt": MOON.repeat(500) } },
  { name: "greeter", title: "Hello, actor", source: greeter },
];
