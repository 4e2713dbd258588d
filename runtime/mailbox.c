/*
** Mailboxes: per actor a queue of messages, first in, first out. A message is one block: its fields
** and behind them chain, method, context and arguments as they came. It is copied out of the bytes that
** arrived, because those are gone when its turn comes.
**
** A mailbox is full when it holds as many messages as its type allows, or MC_MAILBOX_BYTES. The message
** that reaches the bytes is still taken, so that a large one passes. A call that finds it full is
** refused. A cast of this node waits before it is: the last eighth is for calls, or who has cast until there
** was no more room could not call then. A cast from elsewhere was sent already and must not be lost: it
** is taken, and its sender's credit (credit.c) is what bounds it. A stop is always taken.
*/
#include "node.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

_Static_assert(offsetof(mc_message, bytes) % sizeof(uint64_t) == 0,
               "the chain is aligned");

enum { LARGE = 256 }; /* too large to be kept for another */

/* Messages to one actor, or of one program, are much of a size: the last one that was freed will do. */
static mc_message *message_alloc(mc_node *n, size_t size) {
  mc_message *msg = n->free_messages;
  if (msg && msg->cap >= size) {
    n->free_messages = msg->next;
    n->free_message_count--;
    return msg;
  }
  msg = mc__alloc(n, NULL, 0, size);
  if (msg) msg->cap = size;
  return msg;
}

void mc__messages_fini(mc_node *n) {
  for (mc_message *msg; (msg = n->free_messages);) {
    n->free_messages = msg->next;
    mc__alloc(n, msg, msg->cap, 0);
  }
}

static mc_message *message_new(mc_node *n, const mc_incoming *m) {
  size_t chain = (size_t)m->chain_len * sizeof *m->chain;
  size_t size = sizeof(mc_message) + chain + m->method_len + m->context_len + m->args_len;
  mc_message *msg = message_alloc(n, size);
  if (!msg) return NULL;
  msg->next = NULL;
  msg->kind = m->kind;
  msg->origin = m->origin;
  msg->call = m->call;
  msg->trace = m->trace;
  msg->deadline_ms = m->deadline_ms;
  msg->eager = false;
  msg->due_ms = INFINITY;
  msg->probe = 0;
  msg->size = size;
  msg->chain_len = m->chain_len;
  msg->method_len = m->method_len;
  msg->context_len = m->context_len;
  msg->args = chain + m->method_len + m->context_len;
  msg->len = m->args_len;
  if (chain) memcpy(msg->bytes, m->chain, chain);
  if (m->method_len) memcpy(msg->bytes + chain, m->method, m->method_len);
  if (m->context_len)
    memcpy(msg->bytes + msg->args - m->context_len, m->context, m->context_len);
  if (m->args_len) memcpy(msg->bytes + msg->args, m->args, m->args_len);
  return msg;
}

bool mc__mailbox_push(mc_node *n, mc_actor *a, const mc_incoming *m) {
  mc_message *msg = message_new(n, m);
  if (!msg) return false;
  if (a->last)
    a->last->next = msg;
  else
    a->first = msg;
  a->last = msg;
  msg->eager = m->kind != MC_STOP && mc__interleaves(a->type, m->method, m->method_len);
  a->eager += msg->eager;
  a->stops += m->kind == MC_STOP;
  a->waiting++;
  a->waiting_bytes += msg->size;
  n->stats.mailbox++;
  return true;
}

bool mc__mailbox_full(const mc_actor *a, mc_message_kind kind) {
  uint32_t most = a->type->mailbox;
  size_t bytes = MC_MAILBOX_BYTES;
  if (kind == MC_CAST) {
    most -= most / MC_CALLS_SHARE;
    bytes -= bytes / MC_CALLS_SHARE;
  }
  return a->waiting >= most || a->waiting_bytes >= bytes;
}

void mc__mailbox_room(mc_node *n, mc_actor *a) {
  if (a->waiting <= a->type->mailbox / 2 && a->waiting_bytes <= MC_MAILBOX_BYTES / 2)
    mc__waits_wake(n, &a->senders, MC_OK);
}

static void take(mc_actor *a, mc_message *before, mc_message *msg) {
  if (before)
    before->next = msg->next;
  else
    a->first = msg->next;
  if (a->last == msg) a->last = before;
  a->eager -= msg->eager;
  a->stops -= msg->kind == MC_STOP;
  a->waiting--;
  a->waiting_bytes -= msg->size;
}

mc_message *mc__mailbox_pop(mc_actor *a) {
  mc_message *msg = a->first;
  if (msg) take(a, NULL, msg);
  return msg;
}

mc_message *mc__mailbox_pop_eager(mc_actor *a) {
  if (!a->eager) return NULL;
  mc_message *before = NULL, *msg = a->first;
  for (; msg && msg->kind != MC_STOP; before = msg, msg = msg->next)
    if (msg->eager) return take(a, before, msg), msg;
  return NULL;
}

mc_message *mc__mailbox_find(const mc_actor *a, uint32_t origin, uint64_t call) {
  for (mc_message *msg = a->first; msg; msg = msg->next)
    if (msg->kind != MC_CAST && msg->origin == origin && msg->call == call) return msg;
  return NULL;
}

void mc__mailbox_remove(mc_actor *a, mc_message *msg) {
  mc_message *before = NULL;
  if (msg != a->first)
    for (before = a->first; before->next != msg;) before = before->next;
  take(a, before, msg);
}

mc_message *mc__mailbox_take(mc_actor *a, uint32_t origin, uint64_t call) {
  mc_message *before = NULL, *msg = a->first;
  for (; msg; before = msg, msg = msg->next)
    if (msg->kind == MC_CALL && msg->origin == origin && msg->call == call) break;
  if (msg) take(a, before, msg);
  return msg;
}

void mc__message_parts(const mc_message *m, mc_incoming *out) {
  out->kind = m->kind;
  out->origin = m->origin;
  out->call = m->call;
  out->trace = m->trace;
  out->deadline_ms = m->deadline_ms;
  out->chain = (const uint64_t *)(const void *)m->bytes;
  out->chain_len = m->chain_len;
  out->method = (const char *)m->bytes + (size_t)m->chain_len * sizeof *out->chain;
  out->method_len = m->method_len;
  out->context = m->bytes + m->args - m->context_len;
  out->context_len = m->context_len;
  out->args = m->bytes + m->args;
  out->args_len = m->len;
}

void mc__message_drop(mc_node *n, mc_message *m) {
  mc__discard(n, m->bytes + m->args, m->len);
  mc__message_free(n, m);
}

void mc__message_free(mc_node *n, mc_message *m) {
  n->stats.mailbox--;
  if (n->free_message_count < MC_KEEP_MESSAGES && m->cap <= LARGE) {
    m->next = n->free_messages;
    n->free_messages = m;
    n->free_message_count++;
    return;
  }
  mc__alloc(n, m, m->cap, 0);
}
