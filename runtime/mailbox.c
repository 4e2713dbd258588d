/*
** Mailboxes: per actor a queue of messages, first in, first out. A message is one block: its fields
** and behind them chain, method and arguments as they came. It is copied out of the bytes that
** arrived, because those are gone when its turn comes.
*/
#include "node.h"

#include <stddef.h>
#include <string.h>

_Static_assert(offsetof(mc_message, bytes) % sizeof(uint64_t) == 0,
               "the chain is aligned");

static mc_message *message_new(mc_node *n, const mc_incoming *m) {
  size_t chain = (size_t)m->chain_len * sizeof *m->chain;
  size_t size = sizeof(mc_message) + chain + m->method_len + m->args_len;
  mc_message *msg = mc__alloc(n, NULL, 0, size);
  if (!msg) return NULL;
  msg->next = NULL;
  msg->kind = m->kind;
  msg->origin = m->origin;
  msg->call = m->call;
  msg->trace = m->trace;
  msg->deadline_ms = m->deadline_ms;
  msg->size = size;
  msg->chain_len = m->chain_len;
  msg->method_len = m->method_len;
  msg->args = chain + m->method_len;
  msg->len = m->args_len;
  if (chain) memcpy(msg->bytes, m->chain, chain);
  if (m->method_len) memcpy(msg->bytes + chain, m->method, m->method_len);
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
  a->waiting++;
  n->stats.mailbox++;
  return true;
}

mc_message *mc__mailbox_pop(mc_actor *a) {
  mc_message *msg = a->first;
  if (!msg) return NULL;
  a->first = msg->next;
  if (!a->first) a->last = NULL;
  a->waiting--;
  return msg;
}

mc_message *mc__mailbox_take(mc_actor *a, uint32_t origin, uint64_t call) {
  mc_message *before = NULL, *msg = a->first;
  for (; msg; before = msg, msg = msg->next)
    if (msg->kind == MC_CALL && msg->origin == origin && msg->call == call) break;
  if (!msg) return NULL;
  if (before)
    before->next = msg->next;
  else
    a->first = msg->next;
  if (a->last == msg) a->last = before;
  a->waiting--;
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
  out->args = m->bytes + m->args;
  out->args_len = m->len;
}

void mc__message_free(mc_node *n, mc_message *m) {
  n->stats.mailbox--;
  mc__alloc(n, m, m->size, 0);
}
