/** Says in the end to the page that holds it what became of the Lua of auto.html. */
const said = [];
const errors = [];
document.addEventListener("mooncast", ({ detail: system }) => {
  system.expose("page", {
    say: (text) => void said.push(text),
    title: (text) => void (document.title = text),
  });
});
document.addEventListener("luaerror", ({ target, detail }) => errors.push([target.id, detail.message]));

const { finished, system } = await import("../../worker-shell/auto.js");
await finished;
const greeter = await (await system).spawn("Greeter");
const [hello] = await greeter.call("hello", ["page"]);
const { link } = (await system).info();
await (await system).close();
parent.postMessage({ said, errors, hello, link, title: document.title }, location.origin);
