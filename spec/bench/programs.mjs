// Programs in lua/ inside wasmoon or fengari: prints lines `figure value`.
//
//     node spec/bench/programs.mjs wasmoon 0.2 fib queens
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [where, seconds = "0.2", ...names] = process.argv.slice(2);
const read = (name) => readFileSync(new URL(name, import.meta.url), "utf8");
const program = read("programs.lua");
const source = (name) => read(`lua/${name}.lua`);
const now = () => performance.now() / 1000;
const report = (name, value) => console.log(`${name} ${value}`);

async function wasmoon() {
  const { LuaFactory } = await import("wasmoon");
  const lua = await new LuaFactory().createEngine();
  lua.global.set("host", { program, source, now, seconds: Number(seconds), report, names });
  await lua.doString('load(host.program, "=programs")(host.source, host.now, host.seconds, host.report, table.unpack(host.names))');
}

/** Fengari has no mapping of JavaScript's values of its own: a Lua function for each of these. */
function fengari() {
  const { lua, lauxlib, lualib, to_luastring, to_jsstring } = createRequire(import.meta.url)("fengari");
  const L = lauxlib.luaL_newstate();
  lualib.luaL_openlibs(L);
  const fail = () => {
    throw new Error(to_jsstring(lua.lua_tostring(L, -1)));
  };
  if (lauxlib.luaL_loadstring(L, to_luastring(program))) fail();
  lua.lua_pushcfunction(L, (l) => {
    lua.lua_pushstring(l, to_luastring(source(to_jsstring(lua.lua_tostring(l, 1)))));
    return 1;
  });
  lua.lua_pushcfunction(L, (l) => {
    lua.lua_pushnumber(l, now());
    return 1;
  });
  lua.lua_pushnumber(L, Number(seconds));
  lua.lua_pushcfunction(L, (l) => {
    report(to_jsstring(lua.lua_tostring(l, 1)), lua.lua_tonumber(l, 2));
    return 0;
  });
  for (const name of names) lua.lua_pushstring(L, to_luastring(name));
  if (lua.lua_pcall(L, 4 + names.length, 0, 0)) fail();
}

await { wasmoon, fengari }[where]();
