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
  t->call_method = *method ? method : "mc.whenlocal";
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

/* The same for a function that stands at that index. */
static mc_error push_aside(mc_lua *M, lua_State *L, const mc_actor *a, int fn) {
  lua_pushvalue(L, fn);
  return mc__lua_push_object(M, L, a) ? MC_OK : MC_E_DEAD_ACTOR;
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
  size_t len;
  mc_turn *turn = t->turn;
  turn->fatal = turn->actor->type->fragile;
  mc__lua_failed(M, L, t);
  const char *trace = lua_tolstring(L, -1, &len);
  mc_error code = mc__lua_copy(M, L, t->co, lua_gettop(t->co), 1, L, "error", &why);
  if (code) mc__lua_push_text(L, t->co);
  mc__lua_try_keep_trace(M, L, self, L, trace, len);
  mc__lua_task_free(M, t);
  mc_turn_end(M->node, turn);
  return code == MC_E_OUT_OF_MEMORY ? raise_call(L, M, self, code, NULL) : lua_error(L);
}

static int direct_done(lua_State *L, mc_lua *M, mc_lua_task *t, mc_lua_task *self,
                       int nresults) {
  mc_lua_why why;
  mc_turn *turn = t->turn;
  int first = lua_gettop(t->co) - nresults + 1;
  mc_error code = mc__lua_check_results(t->co, t->letters, first, nresults, &why);
  if (!code) code = mc__lua_copy(M, L, t->co, first, nresults, L, "results", &why);
  mc__lua_task_free(M, t);
  mc_turn_end(M->node, turn);
  return code ? raise_call(L, M, self, code, why.text) : nresults;
}

/* The handler awaits, or has returned and its tasks have yet to end: the caller waits like any other. */
static int direct_deferred(lua_State *L, mc_lua *M, const mc_request *q, mc_lua_task *t,
                           int status, int nresults) {
  mc_lua_task *self = mc__lua_task_current(M);
  mc_error code = mc_turn_defer(M->node, t->turn, q);
  if (status != LUA_YIELD) mc__lua_end(M, t, status, nresults);
  if (code) return raise_call(L, M, self, code, NULL);
  return mc__lua_await(L, M, MC_AWAIT_CALL, call_k, 0);
}

/* Runs the handler now; its name stands at `name`, arguments are the values from `first` on. The task
** for it was reserved: up to its run nothing here raises without ending the turn. */
static int call_direct(lua_State *L, mc_lua *M, const mc_request *q, mc_turn *turn,
                       int name, int first) {
  mc_lua_why why;
  int nresults, nargs = lua_gettop(L) - first + 1;
  mc_lua_task *self = mc__lua_task_current(M), *t = mc__lua_task_new(M, L);
  t->turn = turn;
  turn->task = t;
  t->deadline_ms = turn->deadline_ms;
  mc__lua_inherit(L, t, self);
  if (!lua_checkstack(t->co, 8))
    return direct_refused(L, M, t, self, MC_E_OUT_OF_MEMORY, NULL);
  bool named = q->method_len > 0;
  mc_error code = (named ? mc__lua_push_handler : push_aside)(M, L, turn->actor, name);
  if (!code && named && !mc__lua_exposed(q->method, q->method_len))
    code = MC_E_NO_SUCH_METHOD;
  lua_xmove(L, t->co, 2);
  if (code)
    return direct_refused(L, M, t, self, code,
                          code == MC_E_NO_SUCH_METHOD ? "no such method"
                                                      : mc__lua_orphan);
  mc__lua_keep_object(M, L, t, turn->actor);
  code = mc__lua_copy(M, L, L, first, nargs, t->co, "arguments", &why);
  t->letters = mc__lua_signature(L, turn->actor, name);
  if (!code)
    code = mc__lua_check_arguments(t->co, t->letters, MC_TASK_BASE + 3, nargs, &why);
  if (code) return direct_refused(L, M, t, self, code, why.text);
  int around = named && M->intercepted ? mc__lua_wrap_handler(M, t, L, name) : 0;
  M->depth++;
  int status = mc__lua_task_run(M, L, t, nargs + 1 + around, &nresults);
  M->depth--;
  if (status == LUA_OK && !t->children) return direct_done(L, M, t, self, nresults);
  if (status != LUA_YIELD && !t->children) return direct_failed(L, M, t, self);
  return direct_deferred(L, M, q, t, status, nresults);
}

static void request_init(mc_request *q, mc_lua *M, const mc_lua_ref *ref,
                         mc_message_kind kind, mc_lua_task *self) {
  *q = (mc_request){.kind = kind,
                    .to = &ref->to,
                    .type = ref->type,
                    .from = self->turn,
                    .timeout_ms = mc__lua_time_left(M, self),
                    .trace = self->trace_id,
                    .context = self->context,
                    .context_len = self->context_len,
                    .wait = &self->wait,
                    .direct = M->depth < MAX_DIRECT};
}

/* Sends the call that was begun, whose arguments are written unless `code` says that they could not be, and
** awaits it. */
__attribute__((noinline)) static int call_written(lua_State *L, mc_lua *M,
                                                  const mc_request *q, mc_sending *s,
                                                  mc_error code, const mc_lua_why *why,
                                                  lua_KFunction k, lua_KContext ctx) {
  mc_lua_task *self = mc__lua_task_current(M);
  if (code) {
    mc__lua_sent(M, code);
    mc_send_abort(M->node, q, s);
    return raise_call(L, M, self, code, why->text);
  }
  self->parked = L; /* the answer may come inside the commit */
  code = mc_send_commit(M->node, q, s);
  mc__lua_sent(M, code);
  if (code) {
    self->parked = NULL;
    return raise_call(L, M, self, code, NULL);
  }
  return mc__lua_await(L, M, MC_AWAIT_CALL, k, ctx);
}

/* The same with the values from `first` to the top of the stack. */
static int call_bytes(lua_State *L, mc_lua *M, const mc_request *q, mc_sending *s,
                      int first) {
  mc_lua_why why;
  int nargs = lua_gettop(L) - first + 1;
  mc_error code = MC_OK;
  if (q->kind != MC_STOP)
    code = mc__lua_write_all(M, L, first, nargs, s->out, q->to->peer, "arguments", &why);
  return call_written(L, M, q, s, code, &why, call_k, 0);
}

/* Calls, with the method's name at `name` and the arguments from `first` to the top of the stack. */
static int call(lua_State *L, mc_lua *M, const mc_lua_ref *ref, mc_request *q, int name,
                int first) {
  mc_sending s;
  mc_lua_task *self = mc__lua_task_current(M);
  call_is(self, ref, q->method);
  mc__lua_task_reserve(M, L);
  switch (mc_send_begin(M->node, q, &s)) {
  case MC_ROUTE_DIRECT: return call_direct(L, M, q, s.turn, name, first);
  case MC_ROUTE_BYTES: return call_bytes(L, M, q, &s, first);
  default: return raise_call(L, M, self, s.error, NULL);
  }
}

int mc__lua_call_spawn(lua_State *L, mc_lua *M, const mc_lua_ref *ref,
                       const mc_lua_class *class, int first, lua_KFunction k) {
  mc_request q;
  mc_sending s;
  mc_lua_why why;
  mc_lua_task *self = mc__lua_task_current(M);
  int nargs = lua_gettop(L) - first + 1;
  request_init(&q, M, ref, MC_CALL, self);
  q.method = "spawn";
  q.method_len = MC_SPAWN_LEN;
  q.direct = false;
  q.makes = true;
  mc__lua_check_await(L, M, q.method);
  call_is(self, ref, q.method);
  if (mc_send_begin(M->node, &q, &s) != MC_ROUTE_BYTES)
    return raise_call(L, M, self, s.error, NULL);
  mc_write_array(s.out, (size_t)nargs + 2);
  mc_write_string(s.out, class->type->name, class->type->len);
  mc_write_int(s.out, class->version);
  mc_error code = MC_OK;
  for (int i = 0; i < nargs && !code; i++)
    code = mc__lua_write(M, L, first + i, s.out, q.to->peer, "arguments", i + 1, &why);
  return call_written(L, M, &q, &s, code, &why, k, (lua_KContext) class->type);
}

/* The function behind ref:method(...). Upvalue 1: the method's name. */
int mc__lua_call_method(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_request q;
  mc_lua_ref *ref = mc__lua_check_ref(L, 1);
  if (M->around && mc__lua_is_around_call(M, ref))
    return mc__lua_call_around(L, M, "call", lua_upvalueindex(1), 2);
  request_init(&q, M, ref, MC_CALL, mc__lua_task_current(M));
  q.method = lua_tolstring(L, lua_upvalueindex(1), &q.method_len);
  mc__lua_check_await(L, M, q.method);
  return call(L, M, ref, &q, lua_upvalueindex(1), 2);
}

static void check_method(lua_State *L, int index, mc_request *q) {
  q->method = luaL_checklstring(L, index, &q->method_len);
  luaL_argcheck(L,
                q->method_len > 0 && q->method_len <= MC_MAX_NAME &&
                    mc_utf8_valid(q->method, q->method_len),
                index, "a method's name is text of 1 to 255 bytes");
}

/* core.plain_call(ref, name, ...): whatever stands around calls */
static int l_plain_call(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_request q;
  mc_lua_ref *ref = mc__lua_check_ref(L, 1);
  request_init(&q, M, ref, MC_CALL, mc__lua_task_current(M));
  check_method(L, 2, &q);
  mc__lua_check_await(L, M, q.method);
  return call(L, M, ref, &q, 2, 3);
}

static bool is_around(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  return M->around && mc__lua_is_around_call(M, mc__lua_check_ref(L, 1));
}

/* core.call(ref, name, ...) */
static int l_call(lua_State *L) {
  mc_request q;
  if (!is_around(L)) return l_plain_call(L);
  check_method(L, 2, &q);
  return mc__lua_call_around(L, mc__lua_of(L), "call", 2, 3);
}

/* core.whenlocal(ref, fn) -> what fn(self) returns, as a turn of the actor; nil when it lives elsewhere.
** It is a call without a name, which nothing on the wire can be; the function is kept for the task that
** waits, whose stack it stands on. */
static int l_whenlocal(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_request q;
  mc_lua_ref *ref = mc__lua_check_ref(L, 1);
  mc_lua_task *self = mc__lua_task_current(M);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  if (ref->to.peer != MC_SELF) return lua_pushnil(L), 1;
  request_init(&q, M, ref, MC_CALL, self);
  q.method = "";
  mc__lua_check_await(L, M, "mc.whenlocal");
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->asides);
  lua_pushvalue(L, 2);
  lua_rawsetp(L, -2, self);
  lua_settop(L, 2);
  return call(L, M, ref, &q, 2, 3);
}

/* ---- casts ----------------------------------------------------------------------------------- */

static int cast(lua_State *L, mc_lua *M, const mc_lua_ref *ref);

static int cast_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  mc_lua *M = mc__lua_of(L);
  mc__lua_awaited(L, M);
  return cast(L, M, mc__lua_check_ref(L, 1));
}

static bool can_wait(lua_State *L, mc_lua *M) {
  if (M->current) return !M->current->blocked && lua_isyieldable(L);
  return M->pump != NULL;
}

static int cast_bytes(lua_State *L, mc_lua *M, const mc_request *q, mc_sending *s) {
  mc_lua_why why;
  mc_lua_task *self = mc__lua_task_current(M);
  mc_error code = mc__lua_write_all(M, L, 3, lua_gettop(L) - 2, s->out, q->to->peer,
                                    "arguments", &why);
  if (code) {
    mc__lua_sent(M, code);
    mc_send_abort(M->node, q, s);
    return raise_call(L, M, self, code, why.text);
  }
  code = mc_send_commit(M->node, q, s);
  mc__lua_sent(M, code);
  return code ? raise_call(L, M, self, code, NULL) : 0;
}

static int cast(lua_State *L, mc_lua *M, const mc_lua_ref *ref) {
  mc_request q;
  mc_sending s;
  mc_lua_task *self = mc__lua_task_current(M);
  request_init(&q, M, ref, MC_CAST, self);
  check_method(L, 2, &q);
  if (!can_wait(L, M)) q.wait = NULL;
  q.direct = mc__lua_can_start_here(L, M, ref->type, 3);
  call_is(self, ref, q.method);
  mc__lua_task_reserve(M, L);
  switch (mc_send_begin(M->node, &q, &s)) {
  case MC_ROUTE_DIRECT: return mc__lua_start_here(L, M, s.turn, 2, 3), 0;
  case MC_ROUTE_BYTES: return cast_bytes(L, M, &q, &s);
  case MC_ROUTE_WAIT: return mc__lua_await(L, M, MC_AWAIT_ROOM, cast_k, 0);
  default: return raise_call(L, M, self, s.error, NULL);
  }
}

static int plain_cast(lua_State *L, mc_lua *M, const mc_lua_ref *ref) {
  if (M->encoding) mc__lua_check_await(L, M, "a cast");
  return cast(L, M, ref);
}

/* core.plain_cast(ref, name, ...): whatever stands around casts */
static int l_plain_cast(lua_State *L) {
  return plain_cast(L, mc__lua_of(L), mc__lua_check_ref(L, 1));
}

/* core.cast(ref, name, ...): one way. Waits while the target's mailbox is full. */
static int l_cast(lua_State *L) {
  mc_request q;
  mc_lua *M = mc__lua_of(L);
  const mc_lua_ref *ref = mc__lua_check_ref(L, 1);
  if (!M->around || !mc__lua_is_around_call(M, ref)) return plain_cast(L, M, ref);
  check_method(L, 2, &q);
  return mc__lua_call_around(L, M, "cast", 2, 3);
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
  if (q.wait) return call(L, M, ref, &q, 0, 2);
  mc_sending s;
  mc_error code = mc_send_begin(M->node, &q, &s) == MC_ROUTE_BYTES
                      ? mc_send_commit(M->node, &q, &s)
                      : s.error;
  call_is(self, ref, q.method);
  if (code) return raise_call(L, M, self, code, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- answers --------------------------------------------------------------------------------- */

typedef struct settling {
  mc_lua *M;
  mc_lua_task *t;
  const mc_outcome *o;
  int n;
  bool failed;
} settling;

static void push_settled_error(lua_State *L, settling *s, mc_error code, const char *text,
                               size_t len) {
  lua_settop(L, 1);
  mc__lua_push_call_error(s->M, L, s->t, code, text, len);
  s->n = 1;
  s->failed = true;
}

/* What a handler elsewhere raised, and its traceback. */
static void push_raised(lua_State *L, settling *s) {
  mc_lua_why why = {""};
  mc_reader *r = s->o->values;
  mc_item trace;
  mc_error code = mc__lua_read(s->M, L, r, &why);
  if (code == MC_OK &&
      (!mc_read(r, &trace) || r->at != r->end ||
       (trace.kind != MC_NIL && trace.kind != MC_TEXT && trace.kind != MC_BYTES)))
    code = MC_E_MALFORMED;
  if (code) {
    push_settled_error(L, s, code, why.text, strlen(why.text));
    return;
  }
  if (trace.kind != MC_NIL)
    mc__lua_keep_trace(s->M, L, s->t, -1, trace.as.string.data, trace.as.string.len);
  s->n = 1;
  s->failed = true;
}

static int settle_protected(lua_State *L) {
  settling *s = lua_touserdata(L, 1);
  mc_lua_why why;
  const mc_outcome *o = s->o;
  if (o->failed && o->code == MC_OK) {
    push_raised(L, s);
  } else if (o->failed) {
    push_settled_error(L, s, o->code, o->message, o->message_len);
  } else {
    mc_error code = mc__lua_read_all(s->M, L, o->values, &s->n, &why);
    if (code) push_settled_error(L, s, code, why.text, strlen(why.text));
  }
  return s->n;
}

/* Most answers are numbers and known strings: nothing can raise then, and no protected call is needed.
** Negative, and nothing was done, when it may be otherwise. */
static int settle_plain(mc_lua *M, lua_State *to, const mc_outcome *o) {
  if (o->failed || !lua_checkstack(to, LUA_MINSTACK)) return -1;
  return mc__lua_read_plain(M, to, o->values);
}

/* vtable */
void mc__lua_settle(void *ud, mc_wait *wait, const mc_outcome *o) {
  mc_lua *M = ud;
  mc_lua_task *t = (mc_lua_task *)(void *)((char *)wait - offsetof(mc_lua_task, wait));
  settling s = {.M = M, .t = t, .o = o};
  lua_State *L = M->L, *to = t->parked;
  const uint8_t *values = o->values ? o->values->at : NULL;
  size_t len = values ? (size_t)(o->values->end - values) : 0;
  if (!to) {
    mc__lua_discard(M, values, len);
    return;
  }
  if (o->failed && o->code == MC_E_CANCELLED && t->cancelled) mc__lua_tell(t);
  if (o->failed && o->code == MC_E_TIMEOUT) mc__lua_expire(M, t);
  if (!o->failed && !o->values) {
    mc__lua_wake(M, t, 0, false);
    return;
  }
  int count = o->makes && mc_read_made(o->values, t->wait.peer, &t->made)
                  ? 0
                  : settle_plain(M, to, o);
  if (count >= 0) {
    mc__lua_wake(M, t, count, false);
    return;
  }
  count = mc__lua_try_values(L, settle_protected, &s);
  if (values && (count < 0 || s.failed)) mc__lua_discard(M, values, len);
  if (count >= 0 && (to == L || lua_checkstack(to, count + 4))) {
    lua_xmove(L, to,
              count); /* the root's is that very state when the answer comes at once */
    mc__lua_wake(M, t, count, s.failed);
    return;
  }
  if (count > 0) lua_pop(L, count);
  mc__lua_wake_failed(M, t, MC_E_OUT_OF_MEMORY);
}

void mc__lua_open_call(lua_State *L, mc_lua *M) {
  static const luaL_Reg functions[] = {{"call", l_call},
                                       {"whenlocal", l_whenlocal},
                                       {"cast", l_cast},
                                       {"plain_call", l_plain_call},
                                       {"plain_cast", l_plain_cast},
                                       {"stop", l_stop},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  M->passable[MC_PASSABLE - 3] = mc__lua_call_method;
  M->passable[MC_PASSABLE - 2] = l_call;
  M->passable[MC_PASSABLE - 1] = l_cast;
}
