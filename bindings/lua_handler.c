/*
** Handlers: from a message that can start to its answer.
**
**   mc__lua_start         decodes the arguments onto a pooled coroutine; the node's step runs it
**   mc__lua_finish_turn   what it returned or raised goes to the caller, here or elsewhere, or to the log
*/
#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lua_node.h"

const char mc__lua_orphan[] = "nothing refers to it any more";

mc_error mc__lua_push_handler(mc_lua *M, lua_State *L, const mc_actor *a, int name) {
  name = lua_absindex(L, name);
  lua_rawgeti(L, LUA_REGISTRYINDEX, a->klass);
  lua_pushvalue(L, name);
  lua_rawget(L, -2);
  if (!mc__lua_push_object(M, L, a)) return MC_E_DEAD_ACTOR;
  return lua_type(L, -2) == LUA_TFUNCTION ? MC_OK : MC_E_NO_SUCH_METHOD;
}

/* ---- starting --------------------------------------------------------------------------------- */

typedef struct starting {
  mc_lua *M;
  mc_turn *turn;
  mc_reader *arguments;
  mc_lua_task *t;
  mc_error code;
  bool packed; /* by a codec */
  mc_lua_why why;
} starting;

static void refuse_turn(starting *s) {
  mc_turn *turn = s->turn;
  if (turn->kind == MC_CAST) {
    char text[400];
    snprintf(text, sizeof text, "a cast to %s was dropped: %s: %s",
             turn->actor->type->name, mc_error_name(s->code), s->why.text);
    mc__lua_log(s->M, MC_LOG_WARN, text);
  } else if (turn->kind == MC_STOP) {
    turn->kind = MC_CALL; /* it was not: the actor goes on */
    turn->actor->stopping = false;
    if (turn->actor->orphan) mc__lua_reap_later(s->M, turn->actor);
  }
  mc_reply_error(s->M->node, turn, s->code, s->why.text);
  if (s->t) mc__lua_task_free(s->M, s->t);
  mc_turn_end(s->M->node, turn);
}

static int stopped(lua_State *L) {
  (void)L;
  return 0;
}

/* Function and self, below the arguments, for the task to start with. */
static void give(lua_State *L, starting *s, int nargs) {
  if (lua_checkstack(s->t->co, nargs + 8)) {
    lua_xmove(L, s->t->co, nargs + 2);
    s->t->nargs = nargs + 1;
    if (s->packed || (s->M->intercepted && s->turn->kind != MC_STOP))
      s->t->nargs += mc__lua_wrap_handler(s->M, s->t, L, 2);
  } else {
    s->code = MC_E_OUT_OF_MEMORY;
  }
}

static int refuse_orphan(starting *s) {
  snprintf(s->why.text, sizeof s->why.text, "%s", mc__lua_orphan);
  return 0;
}

/* The function of mc.whenlocal for which its task waits, and self. */
static mc_error push_awaited(starting *s, lua_State *L) {
  mc_wait *w = mc_turn_waiter(s->M->node, s->turn);
  if (!w) return MC_E_CANCELLED;
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->M->asides);
  lua_rawgetp(L, -1, (char *)w - offsetof(mc_lua_task, wait));
  return mc__lua_push_object(s->M, L, s->turn->actor) ? MC_OK : MC_E_DEAD_ACTOR;
}

static void refuse_method(starting *s) {
  const mc_turn *turn = s->turn;
  s->code = MC_E_NO_SUCH_METHOD;
  snprintf(s->why.text, sizeof s->why.text,
           "the actor has no method '%.*s' to call from outside",
           (int)(turn->method_len < 80 ? turn->method_len : 80), turn->method);
}

static void begin(starting *s, mc_lua_task *t) {
  s->t = t;
  t->turn = s->turn;
  t->deadline_ms = s->turn->deadline_ms;
  s->turn->task = t;
}

static int start_protected(lua_State *L) {
  starting *s = lua_touserdata(L, 1);
  mc_turn *turn = s->turn;
  int nargs = 0;
  begin(s, mc__lua_task_new(s->M, L));
  s->code = mc__lua_carry(L, s->M, s->t, turn, &s->why);
  if (s->code) return 0;
  if (turn->kind == MC_STOP) {
    lua_pushliteral(L, "stopped");
    s->code = mc__lua_push_handler(s->M, L, turn->actor, 2);
    if (s->code == MC_E_DEAD_ACTOR) return refuse_orphan(s);
    if (s->code) {
      lua_pushcfunction(L, stopped);
      lua_replace(L, -3);
    }
    s->code = MC_OK;
    mc__lua_keep_object(s->M, L, s->t, turn->actor);
    give(L, s, 0);
    return 0;
  }
  mc__lua_push_key(s->M, L, turn->method, turn->method_len);
  bool named = turn->method_len > 0;
  s->code = named ? mc__lua_push_handler(s->M, L, turn->actor, 2) : push_awaited(s, L);
  if (s->code == MC_E_DEAD_ACTOR) return refuse_orphan(s);
  if (s->code == MC_E_CANCELLED) return 0; /* nobody waits for it any more */
  if (named && (s->code || !mc__lua_exposed(turn->method, turn->method_len)))
    return refuse_method(s), 0;
  s->code = mc__lua_read_all(s->M, L, s->arguments, &nargs, &s->why);
  if (s->code) return 0;
  mc__lua_keep_object(s->M, L, s->t, turn->actor);
  s->packed = nargs == 1 && mc__lua_is_packed(s->M, L, 6);
  if (!s->packed) s->t->letters = mc__lua_signature(L, turn->actor, 2);
  s->code = mc__lua_check_arguments(L, s->t->letters, 6, nargs, &s->why);
  if (!s->code) give(L, s, nargs);
  return 0;
}

static void starting_init(starting *s, mc_lua *M, mc_turn *turn, mc_reader *arguments) {
  s->M = M;
  s->turn = turn;
  s->arguments = arguments;
  s->t = NULL;
  s->code = MC_OK;
  s->packed = false;
}

/* Gives a task that is free the handler, self and the arguments, on top of L. Its stack has room for a few. */
static void launch(starting *s, lua_State *L, int nargs) {
  begin(s, mc__lua_task_new(s->M, L));
  s->t->trace_id = s->turn->trace;
  lua_xmove(L, s->t->co, nargs + 2);
  s->t->nargs = nargs + 1;
  mc__lua_keep_object(s->M, L, s->t, s->turn->actor);
  mc_task_ready(s->M->node, &s->t->base);
}

/* Most messages are of a known method and have numbers for arguments: then nothing can raise, and no
** protected call is needed. False, and nothing was done, when it may be otherwise. */
static bool start_plain(starting *s) {
  mc_lua *M = s->M;
  mc_turn *turn = s->turn;
  lua_State *L = M->L;
  int nargs, top = lua_gettop(L);
  if (!M->free_tasks || turn->kind == MC_STOP || turn->context_len || M->intercepted ||
      turn->actor->type->checked || !mc__lua_exposed(turn->method, turn->method_len) ||
      !lua_checkstack(L, LUA_MINSTACK) ||
      !mc__lua_push_known(M, L, turn->method, turn->method_len))
    return false;
  if (mc__lua_push_handler(M, L, turn->actor, top + 1) ||
      (nargs = mc__lua_read_plain(M, L, s->arguments)) < 0)
    return lua_settop(L, top), false;
  launch(s, L, nargs);
  lua_settop(L, top);
  return true;
}

bool mc__lua_can_start_here(lua_State *L, mc_lua *M, const mc_type *type, int first) {
  int top = lua_gettop(L);
  if (mc__lua_task_current(M)->context || M->intercepted || type->checked ||
      top >= first + MC_FEW_VALUES)
    return false;
  for (; first <= top; first++)
    if (!mc__lua_is_plain(L, first)) return false;
  return true;
}

void mc__lua_start_here(lua_State *L, mc_lua *M, mc_turn *turn, int name, int first) {
  starting s;
  int top = lua_gettop(L);
  starting_init(&s, M, turn, NULL);
  s.code = mc__lua_push_handler(M, L, turn->actor, name);
  if (s.code == MC_E_DEAD_ACTOR)
    refuse_orphan(&s);
  else if (s.code || !mc__lua_exposed(turn->method, turn->method_len))
    refuse_method(&s);
  if (s.code) {
    refuse_turn(&s);
    return;
  }
  for (int i = first; i <= top; i++) lua_pushvalue(L, i);
  launch(&s, L, top - first + 1);
}

/* vtable */
void mc__lua_start(void *ud, mc_turn *turn, mc_reader *arguments) {
  mc_lua *M = ud;
  starting s;
  if (mc__lua_spawn_at_once(M, turn, arguments)) return;
  starting_init(&s, M, turn, arguments);
  if (start_plain(&s)) return;
  const uint8_t *values = arguments->at;
  size_t len = (size_t)(arguments->end - values);
  if (!mc__lua_try(M->L, start_protected, &s)) s.code = MC_E_OUT_OF_MEMORY;
  if (s.code == MC_E_OUT_OF_MEMORY)
    snprintf(s.why.text, sizeof s.why.text, "no memory to take the message");
  if (s.code) {
    mc__lua_discard(M, values, len);
    refuse_turn(&s);
    return;
  }
  mc_task_ready(M->node, &s.t->base);
}

/* ---- answering -------------------------------------------------------------------------------- */

typedef struct report {
  mc_lua *M;
  mc_lua_task *t;
  const char *trace;
} report;

static int report_protected(lua_State *L) {
  const report *r = lua_touserdata(L, 1);
  lua_State *co = r->t->co;
  if (!lua_checkstack(co, 1)) return luaL_error(L, "no memory for a report");
  lua_pushvalue(co, -1);
  lua_xmove(co, L, 1);
  lua_pushfstring(L, "a cast to %s failed%s: %s\n%s", r->t->turn->actor->type->name,
                  mc__lua_push_traced(L, r->t->trace_id), luaL_tolstring(L, 2, NULL),
                  r->trace ? r->trace : "");
  mc__lua_log(r->M, MC_LOG_ERROR, lua_tostring(L, -1));
  return 0;
}

/* Nobody waits for a cast: what its handler raised is told. The traceback is on top of M->L. */
static void report_cast(mc_lua *M, mc_lua_task *t) {
  report r = {M, t, lua_tostring(M->L, -1)};
  if (!mc__lua_try(M->L, report_protected, &r))
    mc__lua_log(M, MC_LOG_ERROR, "a cast failed, and there is no memory to tell more");
}

/* Values, or one error value, to a task of this node that waits. */
static void answer_here(mc_lua *M, mc_lua_task *t, mc_wait *w, bool raised, int n) {
  mc_lua_why why = {""};
  lua_State *co = t->co;
  mc_lua_task *to = (mc_lua_task *)(void *)((char *)w - offsetof(mc_lua_task, wait));
  mc_outcome o = {.failed = true};
  int first = lua_gettop(co) - n + 1;
  if (!raised) o.code = mc__lua_check_results(co, t->letters, first, n, &why);
  if (!o.code)
    o.code = mc__lua_copy(M, M->L, co, first, n, to->parked, raised ? "error" : "results",
                          &why);
  if (o.code && o.code != MC_E_OUT_OF_MEMORY && raised) {
    mc__lua_push_text(M->L, co);
    lua_xmove(M->L, to->parked, 1);
    o.code = MC_OK;
  }
  mc_wait_settled(M->node, w);
  if (o.code) {
    o.message = why.text;
    o.message_len = strlen(why.text);
    mc__lua_settle(M, w, &o);
    return;
  }
  if (raised) {
    size_t len;
    const char *trace = lua_tolstring(M->L, -1, &len);
    mc__lua_try_keep_trace(M, M->L, to, to->parked, trace, len);
  }
  mc__lua_wake(M, to, n, raised);
}

static const char *size_or_memory(mc_error code, const char *too_large) {
  return code == MC_E_OUT_OF_MEMORY ? "no memory for the answer" : too_large;
}

/* Writes the results into a reply and sends it, or says why not. */
static mc_error reply(mc_lua *M, mc_lua_task *t, int first, int n, const mc_lua_ref *made,
                      mc_lua_why *why) {
  size_t frame;
  mc_turn *turn = t->turn;
  mc_error code = mc__lua_check_results(t->co, t->letters, first, n, why);
  if (code) return code;
  mc_buf *out = mc_reply_begin(M->node, turn, false, &frame);
  if (!out) return MC_E_OUT_OF_MEMORY;
  if (made && turn->name_len == MC_SPAWN_LEN)
    mc__lua_write_spawned(M, out, &made->to);
  else
    code = mc__lua_write_all(M, t->co, first, n, out, turn->origin, "results", why);
  if (code) {
    mc_reply_abort(M->node, turn, frame);
  } else {
    code = mc_reply_commit(M->node, turn, frame);
    if (code)
      snprintf(why->text, sizeof why->text, "%s",
               size_or_memory(code, "the results are too large"));
  }
  mc__lua_sent(M, code);
  return code;
}

static void answer_there(mc_lua *M, mc_lua_task *t, int n) {
  mc_lua_why why = {"no memory for the results"};
  mc_turn *turn = t->turn;
  int first = lua_gettop(t->co) - n + 1;
  const mc_lua_ref *made = mc__lua_spawns(turn) ? mc__lua_test_ref(t->co, first) : NULL;
  mc_error code = reply(M, t, first, n, made, &why);
  if (code) mc_reply_error(M->node, turn, code, why.text);
  if (code && made) mc__lua_unmake(M, &made->to);
}

/* The traceback is on top of M->L. */
static void raise_there(mc_lua *M, mc_lua_task *t) {
  mc_lua_why why;
  size_t frame, len = 0;
  mc_turn *turn = t->turn;
  lua_State *co = t->co, *L = M->L;
  const char *trace = lua_tolstring(L, -1, &len);
  if (t->packed && !mc__lua_pack_error(M, t)) {
    mc__lua_push_text(L, co);
    mc_reply_error(M->node, turn, MC_E_UNSENDABLE, lua_tostring(L, -1));
    lua_pop(L, 1);
    return;
  }
  mc_buf *out = mc_reply_begin(M->node, turn, true, &frame);
  if (!out) {
    mc_reply_error(M->node, turn, MC_E_OUT_OF_MEMORY, "no memory for the error");
    return;
  }
  size_t value = out->len;
  if (mc__lua_write(M, co, lua_gettop(co), out, turn->origin, "error", 0, &why) !=
      MC_OK) {
    size_t text_len = 0;
    mc__lua_sent(M, MC_E_UNSENDABLE);
    out->len = value;
    mc__lua_push_text(L, co);
    const char *text = lua_tolstring(L, -1, &text_len);
    mc_write_string(out, text ? text : "?", text ? text_len : 1);
    lua_pop(L, 1);
  }
  if (trace)
    mc_write_string(out, trace, len);
  else
    mc_write_nil(out);
  mc_error code = mc_reply_commit(M->node, turn, frame);
  mc__lua_sent(M, code);
  if (code)
    mc_reply_error(M->node, turn, code, size_or_memory(code, "the error is too large"));
}

/* The answer of a codec that could not take the message, in place of the handler. */
static void refuse_packed(mc_lua *M, mc_lua_task *t) {
  lua_State *co = t->co;
  lua_pushliteral(co, "message");
  lua_rawget(co, -2);
  mc_reply_error(M->node, t->turn, t->refused, lua_tostring(co, -1));
  if (t->turn->kind == MC_CAST) {
    lua_pop(co, 1);
    report_cast(M, t);
  }
}

static void answer(mc_lua *M, mc_lua_task *t, bool raised, int n) {
  mc_turn *turn = t->turn;
  mc_wait *w = mc_turn_waiter(M->node, turn);
  bool elsewhere = turn->call && turn->origin != MC_SELF;
  lua_checkstack(t->co, 16); /* a coroutine that ran has as many */
  if (raised && t->expired && mc__lua_is_own(M, t->co, "timeout")) {
    mc_reply_error(M->node, turn, MC_E_TIMEOUT, NULL); /* as the caller would tell it */
    return;
  }
  if (raised && t->told && mc__lua_is_own(M, t->co, "cancelled")) {
    mc_reply_error(M->node, turn, MC_E_CANCELLED,
                   !t->unstarted ? "it was cancelled while it ran"
                                 : "it was cancelled before it started");
    return;
  }
  if (raised && t->refused && mc__lua_is_error(M, t->co, lua_gettop(t->co))) {
    refuse_packed(M, t);
    return;
  }
  turn->fatal = raised && turn->actor->type->fragile;
  if (raised && turn->kind == MC_STOP) {
    report_cast(M, t);
    raised = false;
  }
  if (turn->kind == MC_STOP) {
    lua_settop(t->co, 0);
    lua_pushboolean(t->co, 1);
    n = 1;
  }
  if (w)
    answer_here(M, t, w, raised, n);
  else if (turn->kind == MC_CAST && raised)
    report_cast(M, t);
  else if (elsewhere && raised)
    raise_there(M, t);
  else if (elsewhere)
    answer_there(M, t, n);
}

void mc__lua_finish_turn(mc_lua *M, mc_lua_task *t, bool raised, int n) {
  mc_turn *turn = t->turn;
  if (turn->kind != MC_CAST || raised) answer(M, t, raised, n);
  t->turn = NULL;
  mc_turn_end(M->node, turn);
}
