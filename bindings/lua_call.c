/*
** Calls: from a method of a reference to the core and back.
**
** A call to an idle actor of this node runs its handler at once, on a pooled coroutine inside the
** caller: no bytes, no pending entry, no yield. Only when the handler awaits does the caller wait
** like any other. Every other call is written to the core's buffers and awaited.
*/
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lua_node.h"

enum { MAX_DIRECT = 16 }; /* direct calls inside one another: each takes C stack */

/* ---- asking ---------------------------------------------------------------------------------- */

static void call_is(mc_lua_task *t, const mc_lua_ref *ref, const char *method) {
  t->call_type = ref->type;
  t->call_method = method;
  t->call_peer = ref->to.peer;
}

static int raise_call(lua_State *L, mc_lua *M, mc_lua_task *t, mc_error code,
                      const char *detail) {
  mc__lua_push_call_error(M, L, t, code, detail, detail ? strlen(detail) : 0);
  return lua_error(L);
}

static int call_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return mc__lua_awaited(L, mc__lua_of(L));
}

/* Puts the handler's function of that name and self on co; false: there is none. */
static bool push_handler(lua_State *co, const mc_actor *a, const char *name, size_t len) {
  lua_rawgeti(co, LUA_REGISTRYINDEX, a->klass);
  lua_pushlstring(co, name, len);
  lua_rawget(co, -2);
  lua_replace(co, -2);
  lua_rawgeti(co, LUA_REGISTRYINDEX, a->object);
  return lua_type(co, -2) == LUA_TFUNCTION;
}

static mc_lua_task *task_for(mc_lua *M, mc_turn *turn) {
  mc_lua_task *t = mc__lua_task_new(M);
  t->turn = turn;
  luaL_checkstack(t->co, 8, NULL);
  return t;
}

/* Ends a direct turn before its handler ran. */
static int direct_refused(lua_State *L, mc_lua *M, mc_lua_task *t, mc_lua_task *self,
                          mc_error code, const char *why) {
  mc_turn *turn = t->turn;
  mc__lua_task_free(M, t);
  mc_turn_end(M->node, turn);
  return raise_call(L, M, self, code, why);
}

/* The handler raised inside the call: the caller raises the same. */
static int direct_failed(lua_State *L, mc_lua *M, mc_lua_task *t, mc_lua_task *self) {
  mc_lua_why why;
  mc_turn *turn = t->turn;
  mc__lua_explain(M, t->co, turn->actor->klass);
  turn->fatal = turn->actor->type->fragile;
  mc__lua_push_trace(M, L, t->co, t);
  if (mc__lua_copy(M, t->co, lua_gettop(t->co), 1, L, "error", &why) != MC_OK) {
    luaL_tolstring(t->co, -1, NULL);
    lua_xmove(t->co, L, 1);
  }
  size_t len;
  const char *trace = lua_tolstring(L, -2, &len);
  mc__lua_keep_trace(M, L, self, -1, trace, len);
#if LUA_VERSION_RELEASE_NUM >= 50406
  lua_closethread(t->co, L);
#else
  lua_resetthread(t->co);
#endif
  mc__lua_task_free(M, t);
  mc_turn_end(M->node, turn);
  return lua_error(L);
}

static int direct_done(lua_State *L, mc_lua *M, mc_lua_task *t, mc_lua_task *self,
                       int nresults) {
  mc_lua_why why = {""};
  mc_turn *turn = t->turn;
  int first = lua_gettop(t->co) - nresults + 1;
  mc_error code = mc__lua_check_results(t->co, t->letters, first, nresults, &why);
  if (!code) code = mc__lua_copy(M, t->co, first, nresults, L, "results", &why);
  mc__lua_task_free(M, t);
  mc_turn_end(M->node, turn);
  return code ? raise_call(L, M, self, code, why.text) : nresults;
}

/* Runs the handler now; arguments are the values above `first`. */
static int call_direct(lua_State *L, mc_lua *M, const mc_request *q, mc_turn *turn,
                       int first) {
  mc_lua_why why = {""};
  int nresults, nargs = lua_gettop(L) - first + 1;
  mc_lua_task *self = mc__lua_task_current(M), *t = task_for(M, turn);
  if (!push_handler(t->co, turn->actor, q->method, q->method_len) ||
      !mc__lua_exposed(q->method, q->method_len))
    return direct_refused(L, M, t, self, MC_E_NO_SUCH_METHOD, "no such method");
  mc_error code = mc__lua_copy(M, L, first, nargs, t->co, "arguments", &why);
  t->letters = mc__lua_signature(L, turn->actor, q->method, q->method_len);
  if (!code) code = mc__lua_check_arguments(t->co, t->letters, 3, nargs, &why);
  if (code) return direct_refused(L, M, t, self, code, why.text);
  M->depth++;
  int status = mc__lua_task_run(M, L, t, nargs + 1, &nresults);
  M->depth--;
  if (status == LUA_OK) return direct_done(L, M, t, self, nresults);
  if (status != LUA_YIELD) return direct_failed(L, M, t, self);
  code = mc_turn_defer(M->node, turn, q);
  if (code) return raise_call(L, M, self, code, NULL);
  return mc__lua_await(L, M, call_k, 0);
}

static void request_init(mc_request *q, mc_lua *M, const mc_lua_ref *ref,
                         mc_message_kind kind, mc_lua_task *self) {
  memset(q, 0, sizeof *q);
  q->kind = kind;
  q->to = &ref->to;
  q->type = ref->type;
  q->from = self->turn;
  q->trace = self->turn ? self->turn->trace : 0;
  q->timeout_ms = self->timeout_ms;
  q->wait = &self->wait;
  q->direct = M->depth < MAX_DIRECT;
}

/* Calls, with the arguments from `first` to the top of the stack. */
static int call(lua_State *L, mc_lua *M, const mc_lua_ref *ref, mc_request *q,
                int first) {
  mc_sending s;
  mc_lua_why why = {""};
  mc_lua_task *self = mc__lua_task_current(M);
  call_is(self, ref, q->method);
  switch (mc_send_begin(M->node, q, &s)) {
  case MC_ROUTE_DIRECT: return call_direct(L, M, q, s.turn, first);
  case MC_ROUTE_BYTES: break;
  default: return raise_call(L, M, self, s.error, NULL);
  }
  int nargs = lua_gettop(L) - first + 1;
  mc_error code = MC_OK;
  if (q->kind != MC_STOP)
    code = mc__lua_write_all(M, L, first, nargs, s.out, "arguments", &why);
  if (code) {
    mc_send_abort(M->node, q, &s);
    return raise_call(L, M, self, code, why.text);
  }
  self->parked = L; /* the answer may come inside the commit */
  code = mc_send_commit(M->node, q, &s);
  if (code) {
    self->parked = NULL;
    return raise_call(L, M, self, code, NULL);
  }
  return mc__lua_await(L, M, call_k, 0);
}

/* The function behind ref:method(...). Upvalue 1: the method's name. */
int mc__lua_call_method(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_request q;
  mc_lua_ref *ref = mc__lua_check_ref(L, 1);
  request_init(&q, M, ref, MC_CALL, mc__lua_task_current(M));
  q.method = lua_tolstring(L, lua_upvalueindex(1), &q.method_len);
  mc__lua_check_await(L, M, q.method);
  return call(L, M, ref, &q, 2);
}

static void check_method(lua_State *L, int index, mc_request *q) {
  q->method = luaL_checklstring(L, index, &q->method_len);
  luaL_argcheck(L,
                q->method_len > 0 && q->method_len <= MC_MAX_NAME &&
                    mc_utf8_valid(q->method, q->method_len),
                index, "a method's name is text of 1 to 255 bytes");
}

/* core.call(ref, name, ...) */
static int l_call(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_request q;
  mc_lua_ref *ref = mc__lua_check_ref(L, 1);
  request_init(&q, M, ref, MC_CALL, mc__lua_task_current(M));
  check_method(L, 2, &q);
  mc__lua_check_await(L, M, q.method);
  return call(L, M, ref, &q, 3);
}

/* ---- casts ----------------------------------------------------------------------------------- */

static int cast(lua_State *L);

static int cast_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  mc__lua_awaited(L, mc__lua_of(L));
  return cast(L);
}

static bool can_wait(lua_State *L, mc_lua *M) {
  if (M->current) return !M->current->blocked && lua_isyieldable(L);
  return M->pump != NULL;
}

static int cast(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_request q;
  mc_sending s;
  mc_lua_why why = {""};
  mc_lua_task *self = mc__lua_task_current(M);
  mc_lua_ref *ref = mc__lua_check_ref(L, 1);
  request_init(&q, M, ref, MC_CAST, self);
  check_method(L, 2, &q);
  if (!can_wait(L, M)) q.wait = NULL;
  call_is(self, ref, q.method);
  switch (mc_send_begin(M->node, &q, &s)) {
  case MC_ROUTE_BYTES: break;
  case MC_ROUTE_WAIT: return mc__lua_await(L, M, cast_k, 0);
  default: return raise_call(L, M, self, s.error, NULL);
  }
  mc_error code = mc__lua_write_all(M, L, 3, lua_gettop(L) - 2, s.out, "arguments", &why);
  if (code) {
    mc_send_abort(M->node, &q, &s);
    return raise_call(L, M, self, code, why.text);
  }
  code = mc_send_commit(M->node, &q, &s);
  return code ? raise_call(L, M, self, code, NULL) : 0;
}

/* core.cast(ref, name, ...): one way. Waits while the target's mailbox is full. */
static int l_cast(lua_State *L) {
  if (mc__lua_of(L)->encoding) mc__lua_check_await(L, mc__lua_of(L), "a cast");
  return cast(L);
}

/* core.stop(ref): once what came before is handled. An actor that stops itself does not wait. */
static int l_stop(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_request q;
  mc_lua_task *self = mc__lua_task_current(M);
  mc_lua_ref *ref = mc__lua_check_ref(L, 1);
  request_init(&q, M, ref, MC_STOP, self);
  q.method = "stop";
  if (self->turn && mc_actor_at(M->node, &ref->to) == self->turn->actor)
    q.wait = NULL;
  else
    mc__lua_check_await(L, M, "a stop");
  lua_settop(L, 1);
  if (q.wait) return call(L, M, ref, &q, 2);
  mc_sending s;
  if (mc_send_begin(M->node, &q, &s) == MC_ROUTE_BYTES) mc_send_commit(M->node, &q, &s);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void settle_error(mc_lua *M, mc_lua_task *t, mc_error code, const char *text,
                         size_t len) {
  mc__lua_push_call_error(M, t->parked, t, code, text, len);
  mc__lua_wake(M, t, 1, true);
}

static void settle_raised(mc_lua *M, mc_lua_task *t, mc_reader *r) {
  mc_lua_why why = {""};
  lua_State *P = t->parked;
  mc_item trace;
  mc_error code = mc__lua_read(M, P, r, &why);
  if (code == MC_OK &&
      (!mc_read(r, &trace) || r->at != r->end ||
       (trace.kind != MC_NIL && trace.kind != MC_TEXT && trace.kind != MC_BYTES))) {
    lua_pop(P, 1);
    code = MC_E_MALFORMED;
  }
  if (code) {
    settle_error(M, t, code, why.text, strlen(why.text));
    return;
  }
  if (trace.kind != MC_NIL)
    mc__lua_keep_trace(M, P, t, -1, trace.as.string.data, trace.as.string.len);
  mc__lua_wake(M, t, 1, true);
}

/* vtable */
void mc__lua_settle(void *ud, mc_wait *wait, const mc_outcome *o) {
  mc_lua *M = ud;
  mc_lua_why why = {""};
  mc_lua_task *t = (mc_lua_task *)(void *)((char *)wait - offsetof(mc_lua_task, wait));
  int count = 0;
  if (!t->parked) return;
  luaL_checkstack(t->parked, 16, NULL);
  if (o->failed && o->code == MC_OK) {
    settle_raised(M, t, o->values);
  } else if (o->failed) {
    settle_error(M, t, o->code, o->message, o->message_len);
  } else if (!o->values) {
    mc__lua_wake(M, t, 0, false);
  } else {
    mc_error code = mc__lua_read_all(M, t->parked, o->values, &count, &why);
    if (code)
      settle_error(M, t, code, why.text, strlen(why.text));
    else
      mc__lua_wake(M, t, count, false);
  }
}

/* ---- handlers -------------------------------------------------------------------------------- */

static void refuse_turn(mc_lua *M, mc_lua_task *t, mc_error code, const char *why) {
  mc_turn *turn = t->turn;
  if (turn->kind == MC_CAST) {
    char text[400];
    snprintf(text, sizeof text, "a cast to %s was dropped: %s: %s",
             turn->actor->type->name, mc_error_name(code), why);
    mc__lua_log(M, MC_LOG_WARN, text);
  }
  mc_reply_error(M->node, turn, code, why);
  mc__lua_task_free(M, t);
  mc_turn_end(M->node, turn);
}

static int stopped(lua_State *L) {
  (void)L;
  return 0;
}

static void start_stop(mc_lua *M, mc_lua_task *t) {
  if (!push_handler(t->co, t->turn->actor, "stopped", 7)) {
    lua_settop(t->co, 0);
    lua_pushcfunction(t->co, stopped);
    lua_pushnil(t->co);
  }
  t->nargs = 1;
  mc_task_ready(M->node, &t->base);
}

/* vtable */
void mc__lua_start(void *ud, mc_turn *turn, mc_reader *arguments) {
  mc_lua *M = ud;
  mc_lua_why why = {""};
  int nargs = 0;
  M->starting = turn;
  mc_lua_task *t = task_for(M, turn);
  if (turn->kind == MC_STOP) {
    M->starting = NULL;
    start_stop(M, t);
    return;
  }
  if (!mc__lua_exposed(turn->method, turn->method_len) ||
      !push_handler(t->co, turn->actor, turn->method, turn->method_len)) {
    char text[160];
    snprintf(text, sizeof text, "the actor has no method '%.*s' to call from outside",
             (int)(turn->method_len < 80 ? turn->method_len : 80), turn->method);
    M->starting = NULL;
    refuse_turn(M, t, MC_E_NO_SUCH_METHOD, text);
    return;
  }
  mc_error code = mc__lua_read_all(M, t->co, arguments, &nargs, &why);
  t->letters = mc__lua_signature(M->L, turn->actor, turn->method, turn->method_len);
  if (!code) code = mc__lua_check_arguments(t->co, t->letters, 3, nargs, &why);
  M->starting = NULL;
  if (code) {
    refuse_turn(M, t, code, why.text);
    return;
  }
  t->nargs = nargs + 1;
  mc_task_ready(M->node, &t->base);
}

/* Nobody waits for a cast: what its handler raised is told. */
static void report_cast(mc_lua *M, mc_lua_task *t) {
  lua_State *L = M->L;
  luaL_checkstack(L, 8, NULL);
  mc__lua_push_trace(M, L, t->co, t);
  luaL_tolstring(t->co, -1, NULL);
  lua_xmove(t->co, L, 1);
  lua_pushfstring(L, "a cast to %s failed: %s\n%s", t->turn->actor->type->name,
                  lua_tostring(L, -1), lua_tostring(L, -2));
  mc__lua_log(M, MC_LOG_ERROR, lua_tostring(L, -1));
  lua_pop(L, 3);
}

/* Values, or one error value, to a task of this node that waits. */
static void answer_here(mc_lua *M, mc_lua_task *t, mc_wait *w, bool raised, int n) {
  mc_lua_why why = {""};
  lua_State *co = t->co;
  mc_lua_task *to = (mc_lua_task *)(void *)((char *)w - offsetof(mc_lua_task, wait));
  luaL_checkstack(to->parked, 16, NULL);
  mc_wait_settled(M->node, w);
  if (raised) mc__lua_push_trace(M, M->L, co, t);
  int first = lua_gettop(co) - n + 1;
  mc_error code = raised ? MC_OK : mc__lua_check_results(co, t->letters, first, n, &why);
  if (!code)
    code = mc__lua_copy(M, co, first, n, to->parked, raised ? "error" : "results", &why);
  if (code && raised) {
    luaL_tolstring(co, -1, NULL);
    lua_xmove(co, to->parked, 1);
    code = MC_OK;
  }
  if (code) {
    settle_error(M, to, code, why.text, strlen(why.text));
    return;
  }
  if (raised) {
    size_t len;
    const char *trace = lua_tolstring(M->L, -1, &len);
    mc__lua_keep_trace(M, to->parked, to, -1, trace, len);
    lua_pop(M->L, 1);
  }
  mc__lua_wake(M, to, n, raised);
}

static void answer_there(mc_lua *M, mc_lua_task *t, int n) {
  mc_lua_why why = {""};
  size_t frame;
  mc_turn *turn = t->turn;
  mc_buf *out = mc_reply_begin(M->node, turn, false, &frame);
  if (!out) return;
  int first = lua_gettop(t->co) - n + 1;
  mc_error code = mc__lua_check_results(t->co, t->letters, first, n, &why);
  if (!code) code = mc__lua_write_all(M, t->co, first, n, out, "results", &why);
  if (code) {
    mc_reply_abort(M->node, turn, frame);
    mc_reply_error(M->node, turn, code, why.text);
  } else if ((code = mc_reply_commit(M->node, turn, frame)) != MC_OK) {
    mc_reply_error(M->node, turn, code, "the results are too large");
  }
}

static void raise_there(mc_lua *M, mc_lua_task *t) {
  mc_lua_why why;
  size_t frame, len;
  mc_turn *turn = t->turn;
  lua_State *co = t->co;
  mc__lua_push_trace(M, M->L, co, t);
  const char *trace = lua_tolstring(M->L, -1, &len);
  mc_buf *out = mc_reply_begin(M->node, turn, true, &frame);
  if (out) {
    size_t value = out->len;
    if (mc__lua_write(M, co, lua_gettop(co), out, "error", 0, &why) != MC_OK) {
      size_t text_len;
      out->len = value;
      const char *text = luaL_tolstring(co, -1, &text_len);
      mc_write_string(out, text, text_len);
    }
    mc_write_string(out, trace, len);
    mc_error code = mc_reply_commit(M->node, turn, frame);
    if (code) mc_reply_error(M->node, turn, code, "the error is too large");
  }
  lua_pop(M->L, 1);
}

void mc__lua_finish_turn(mc_lua *M, mc_lua_task *t, int status, int nresults) {
  mc_turn *turn = t->turn;
  bool raised = status != LUA_OK;
  mc_wait *w = mc_turn_waiter(M->node, turn);
  lua_checkstack(t->co, 16);
  if (raised) mc__lua_explain(M, t->co, turn->actor->klass);
  turn->fatal = raised && turn->actor->type->fragile;
  if (turn->kind == MC_STOP) {
    if (raised) report_cast(M, t);
    lua_settop(t->co, 0);
    lua_pushboolean(t->co, 1);
    raised = false;
    nresults = 1;
  }
  if (w)
    answer_here(M, t, w, raised, raised ? 1 : nresults);
  else if (turn->kind == MC_CAST && raised)
    report_cast(M, t);
  else if (turn->call && turn->origin != MC_SELF && raised)
    raise_there(M, t);
  else if (turn->call && turn->origin != MC_SELF)
    answer_there(M, t, nresults);
  t->turn = NULL;
  mc_turn_end(M->node, turn);
}

void mc__lua_open_call(lua_State *L, mc_lua *M) {
  (void)M;
  static const luaL_Reg functions[] = {
      {"call", l_call}, {"cast", l_cast}, {"stop", l_stop}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
