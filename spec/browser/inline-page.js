/** Says in the end to the page that holds it what the Lua of inline.html said. */
const said = [];
document.addEventListener("mooncast", ({ detail: system }) => {
  system.expose("page", { say: (text) => void said.push(text) });
});
document.addEventListener("luaerror", ({ detail }) => said.push(detail.message));

const { finished, system } = await import("../../worker-shell/auto.js");
await finished;
await (await system).close();
parent.postMessage({ said }, location.origin);
