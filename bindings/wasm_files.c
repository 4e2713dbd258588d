// The Lua module "mooncast.files": what programs in wasm can learn of files besides io, os.
//
//   attributes(path)   { mode = "file" | "directory" | "other", size = bytes,
//                        modification = seconds since 1970 }
//   list(path)         the names in a folder, without "." and "..", in no order
//   cwd()              the current folder
//
// Each returns nil, a message and an error number when it fails.
#include <errno.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "wasm_files.h"

static int fail(lua_State *L, int result, const char *path) {
  errno = -result;
  return luaL_fileresult(L, 0, path);
}

static int attributes(lua_State *L) {
  static const char *const kinds[] = {"file", "directory", "other"};
  size_t len;
  const char *path = luaL_checklstring(L, 1, &len);
  struct mc_file_info info;
  int result = mc_file_stat(path, len, &info);
  if (result < 0) return fail(L, result, path);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, kinds[(int)info.kind - 1]);
  lua_setfield(L, -2, "mode");
  lua_pushinteger(L, (lua_Integer)info.size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, (lua_Integer)info.modified);
  lua_setfield(L, -2, "modification");
  return 1;
}

static int list(lua_State *L) {
  size_t len;
  const char *path = luaL_checklstring(L, 1, &len);
  size_t capacity = 4096;
  for (;;) {
    char *names = lua_newuserdatauv(L, capacity, 0);
    int size = mc_file_list(path, len, names, capacity);
    if (size < 0) return fail(L, size, path);
    if ((size_t)size <= capacity) {
      lua_newtable(L);
      lua_Integer n = 0;
      for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        lua_pushstring(L, name);
        lua_rawseti(L, -2, ++n);
      }
      return 1;
    }
    capacity = (size_t)size; // the folder may have grown since: look again
    lua_pop(L, 1);
  }
}

static int cwd(lua_State *L) {
  char path[4096];
  int size = mc_file_cwd(path, sizeof path);
  if (size < 0) return fail(L, size, NULL);
  if ((size_t)size > sizeof path) return fail(L, -ENAMETOOLONG, NULL);
  lua_pushlstring(L, path, (size_t)size);
  return 1;
}

int luaopen_mooncast_files(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"attributes", attributes}, {"list", list}, {"cwd", cwd}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
