// A program of actors on two workers.
const PROGRAM = `
  local mc = require "mooncast"
  local Greeter = mc.actor "Greeter"
  function Greeter:init(greeting) self.greeting = greeting end
  function Greeter:hello(name)
    return mc.lookup("host"):decorate(self.greeting .. ", " .. name), mc.node()
  end
  mc.main(function() print("main ran", os.date("!%Y", 0)) end) -- which is in the second part of the wasm`;

/** @param {import("mooncast").createSystem} createSystem */
export async function greet(createSystem) {
  let printed = "";
  const stdout = (bytes) => (printed += new TextDecoder().decode(bytes));
  const system = await createSystem({ workers: 2, stdout });
  system.expose("host", { decorate: (text) => `${text}!` });
  await system.runSource("=program", new TextEncoder().encode(PROGRAM));
  const greeter = await system.spawn("Greeter", ["Hello"], { on: "w2" });
  const answer = await greeter.call("hello", ["package"]);
  const { link } = system.info();
  await system.close();
  return { answer: [...answer], printed, link };
}
