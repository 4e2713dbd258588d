/*
** Links made in Lua (mc.transport): bytes to a peer go to a function of the user's, bytes from it
** come in by a method. Both directions start with a hello, from which each side learns who the other
** is; from then on the core's outbox for that peer ends here instead of at the host.
**
** The user's send runs at the end of the node's turn, outside of any task: it cannot await.
*/
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "lua_node.h"

typedef struct batch {
  const uint8_t *bytes;
  size_t len;
} batch;

/* light userdata batch, send */
static int send_protected(lua_State *L) {
  const batch *b = lua_touserdata(L, 1);
  lua_pushlstring(L, (const char *)b->bytes, b->len);
  lua_call(L, 1, 0);
  return 0;
}

/* M->transports: peer -> send function */
static size_t send_by_lua(mc_lua *M, uint32_t peer, const uint8_t *bytes, size_t len) {
  lua_State *L = M->L;
  int top = lua_gettop(L);
  if (!lua_checkstack(L, 8)) return 0;
  batch b = {bytes, len};
  lua_pushcfunction(L, send_protected);
  lua_pushlightuserdata(L, &b);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->transports);
  lua_rawgeti(L, -1, (lua_Integer)peer);
  lua_replace(L, -2);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    mc__lua_log_value(M, MC_LOG_ERROR, L,
                      "a transport's send failed, its link is dropped");
    mc_node_peer_down(M->node, peer, MC_E_NODE_DOWN);
  }
  lua_settop(L, top);
  return len;
}

bool mc__lua_has_transport(mc_lua *M, uint32_t peer) {
  lua_State *L = M->L;
  if (!M->transports || !lua_checkstack(L, 2)) return M->transports;
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->transports);
  bool ours = lua_rawgeti(L, -1, (lua_Integer)peer) != LUA_TNIL;
  lua_pop(L, 2);
  return ours;
}

size_t mc__lua_send(void *ud, uint32_t peer, const uint8_t *bytes, size_t len) {
  mc_lua *M = ud;
  if (M->transports && mc__lua_has_transport(M, peer))
    return send_by_lua(M, peer, bytes, len);
  return M->host.send(M->host.ud, peer, bytes, len);
}

/* core.hello() -> the bytes that a link of this node starts with */
static int l_hello(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_buf out;
  mc_buf_init(&out, &M->host);
  mc_node_hello(M->node, &out);
  if (out.failed) return mc__lua_raise(L, MC_E_OUT_OF_MEMORY, "no memory for a link");
  uint8_t copy[MC_MAX_NAME + 64];
  size_t len = out.len < sizeof copy ? out.len : sizeof copy;
  memcpy(copy, out.data, len);
  mc_buf_fini(&out);
  lua_pushlstring(L, (const char *)copy, len);
  return 1;
}

/* transports, peer, send */
static int keep_send(lua_State *L) {
  lua_rawset(L, 1);
  return 0;
}

/* core.attach(bytes, send) -> peer, name; nothing while the hello is not complete */
static int l_attach(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  size_t len;
  mc_error code;
  uint64_t version = 0;
  const char *bytes = luaL_checklstring(L, 1, &len);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (!M->transports) {
    lua_newtable(L);
    M->transports = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  uint32_t peer = mc_node_attach(M->node, (const uint8_t *)bytes, len, &code, &version);
  if (peer == UINT32_MAX && code == MC_OK) return 0;
  if (code == MC_E_VERSION_MISMATCH) {
    mc__lua_push_versions(M, L, "the other side", version);
    return lua_error(L);
  }
  if (peer == UINT32_MAX)
    return mc__lua_raise(L, code, "%s",
                         code == MC_E_NOT_PERMITTED
                             ? "the node is linked already, or it is this one"
                         : code == MC_E_MALFORMED ? "the link does not begin with a hello"
                                                  : "no memory for a link");
  lua_pushcfunction(L, keep_send);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->transports);
  lua_pushinteger(L, (lua_Integer)peer);
  lua_pushvalue(L, 2);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
    mc_node_peer_down(M->node, peer, MC_E_OUT_OF_MEMORY);
    return lua_error(L);
  }
  lua_pushinteger(L, (lua_Integer)peer);
  lua_pushstring(L, mc_peer_name(M->node, peer, NULL));
  return 2;
}

/* core.receive(peer, bytes) -> false when they are malformed and the link is dropped */
static int l_receive(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  size_t len;
  uint32_t peer = (uint32_t)luaL_checkinteger(L, 1);
  const char *bytes = luaL_checklstring(L, 2, &len);
  lua_pushboolean(L, mc_node_deliver(M->node, peer, (const uint8_t *)bytes, len));
  return 1;
}

/* core.detach(peer): the link is gone, and with it the node */
static int l_detach(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  lua_Integer peer = luaL_checkinteger(L, 1);
  mc_node_peer_down(M->node, (uint32_t)peer, MC_E_NODE_DOWN);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->transports);
  lua_pushnil(L);
  lua_rawseti(L, -2, peer);
  return 0;
}

void mc__lua_open_transport(lua_State *L) {
  static const luaL_Reg functions[] = {{"hello", l_hello},
                                       {"attach", l_attach},
                                       {"receive", l_receive},
                                       {"detach", l_detach},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
