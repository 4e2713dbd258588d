/*
** What a node knows by name or number: types by name, peers by name and incarnation, actors by
** instance. An instance is slot and generation (22 and 31 bits): the number of an actor that ended
** is not used again before its slot has seen 2^31 others. Types and peers live as long as the node
** and their number is bounded, because names arrive from outside.
*/
#include "node.h"

#include <string.h>

enum { MAX_TYPES = 1 << 14, MAX_PEERS = 1 << 16 };

static uint32_t fnv(const char *s, size_t len) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < len; i++) h = (h ^ (uint8_t)s[i]) * 16777619u;
  return h;
}

/* Where a name stands in a table of a power of two. Whoever sends names could find many that share an
** FNV; without the seed they cannot be found. */
static size_t place(const mc_node *n, const char *s, size_t len, uint64_t more) {
  uint64_t h = n->name_seed ^ more * 0xbf58476d1ce4e5b9u;
  for (size_t i = 0; i < len; i++) {
    h = (h ^ (uint8_t)s[i]) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
  }
  return (size_t)h;
}

/* ---- types ----------------------------------------------------------------------------------- */

static mc_type **type_place(mc_node *n, const char *name, size_t len) {
  size_t i = place(n, name, len, 0) & (n->type_cap - 1);
  while (n->types[i] &&
         (n->types[i]->len != len || memcmp(n->types[i]->name, name, len) != 0))
    i = (i + 1) & (n->type_cap - 1);
  return &n->types[i];
}

static bool types_grow(mc_node *n) {
  size_t old_cap = n->type_cap, cap = old_cap ? old_cap * 2 : MC_FIRST_SLOTS;
  mc_type **old = n->types, **types = mc__alloc(n, NULL, 0, cap * sizeof *types);
  if (!types) return false;
  memset(types, 0, cap * sizeof *types);
  n->types = types;
  n->type_cap = cap;
  for (size_t i = 0; i < old_cap; i++)
    if (old[i]) *type_place(n, old[i]->name, old[i]->len) = old[i];
  if (old) mc__alloc(n, old, old_cap * sizeof *old, 0);
  return true;
}

mc_type *mc_type_named(mc_node *n, const char *name, size_t len) {
  if (len == 0 || len > MC_MAX_NAME) return NULL;
  if (n->type_count * 2 >= n->type_cap && !types_grow(n)) return NULL;
  mc_type **at = type_place(n, name, len);
  if (*at) return *at;
  if (n->type_count == MAX_TYPES || !mc_utf8_valid(name, len)) return NULL;
  mc_type *t = mc__alloc(n, NULL, 0, sizeof *t + len + 1);
  if (!t) return NULL;
  char *copy = (char *)(t + 1);
  memcpy(copy, name, len);
  copy[len] = '\0';
  *t = (mc_type){
      .name = copy, .len = len, .hash = fnv(name, len), .mailbox = MC_MAILBOX_BOUND};
  n->type_count++;
  return *at = t;
}

bool mc_type_interleave(mc_node *n, mc_type *type, const void *names, size_t len) {
  uint8_t *copy = len ? mc__alloc(n, NULL, 0, len) : NULL;
  if (len && !copy) return false;
  if (len) memcpy(copy, names, len);
  if (type->interleave) mc__alloc(n, type->interleave, type->interleave_len, 0);
  type->interleave = copy;
  type->interleave_len = len;
  return true;
}

/* ---- peers ----------------------------------------------------------------------------------- */

static uint32_t *peer_place(mc_node *n, const char *name, size_t len,
                            uint64_t incarnation) {
  uint32_t i = (uint32_t)place(n, name, len, incarnation) & (n->peer_hash_cap - 1);
  for (; n->peer_hash[i]; i = (i + 1) & (n->peer_hash_cap - 1)) {
    const mc_peer *p = n->peers[n->peer_hash[i] - 1];
    if (p->incarnation == incarnation && p->name_len == len &&
        !memcmp(p->name, name, len))
      break;
  }
  return &n->peer_hash[i];
}

static bool peers_grow(mc_node *n) {
  uint32_t cap = n->peer_cap ? n->peer_cap * 2 : MC_FIRST_PEERS;
  uint32_t *hash = mc__alloc(n, NULL, 0, (size_t)cap * 2 * sizeof *hash);
  if (!hash) return false;
  mc_peer **peers =
      mc__alloc(n, n->peers, n->peer_cap * sizeof *peers, cap * sizeof *peers);
  if (!peers) return mc__alloc(n, hash, (size_t)cap * 2 * sizeof *hash, 0), false;
  n->peers = peers;
  n->peer_cap = cap;
  if (n->peer_hash) mc__alloc(n, n->peer_hash, n->peer_hash_cap * sizeof *hash, 0);
  memset(hash, 0, (size_t)cap * 2 * sizeof *hash);
  n->peer_hash = hash;
  n->peer_hash_cap = cap * 2;
  for (uint32_t i = 0; i < n->peer_count; i++)
    *peer_place(n, peers[i]->name, peers[i]->name_len, peers[i]->incarnation) = i + 1;
  return true;
}

uint32_t mc_peer_named(mc_node *n, const char *name, size_t len, uint64_t incarnation) {
  if (len == 0 || len > MC_MAX_NAME) return UINT32_MAX;
  if (n->peer_count * 2 >= n->peer_hash_cap && !peers_grow(n)) return UINT32_MAX;
  uint32_t *at = peer_place(n, name, len, incarnation);
  if (*at) return *at - 1;
  if (n->peer_count == MAX_PEERS || incarnation > MC_MAX_ID || !mc_utf8_valid(name, len))
    return UINT32_MAX;
  mc_peer *p = mc__alloc(n, NULL, 0, sizeof *p + len + 1);
  if (!p) return UINT32_MAX;
  char *copy = (char *)(p + 1);
  memcpy(copy, name, len);
  copy[len] = '\0';
  *p = (mc_peer){.name = copy, .name_len = len, .incarnation = incarnation};
  n->peers[n->peer_count] = p;
  mc_buf_init(&p->out, &n->host);
  mc_buf_init(&p->in, &n->host);
  *at = ++n->peer_count;
  return n->peer_count - 1;
}

const char *mc_peer_name(const mc_node *n, uint32_t peer, size_t *len) {
  if (len) *len = n->peers[peer]->name_len;
  return n->peers[peer]->name;
}

uint64_t mc_peer_incarnation(const mc_node *n, uint32_t peer) {
  return n->peers[peer]->incarnation;
}

bool mc_peer_is_down(const mc_node *n, uint32_t peer) { return n->peers[peer]->down; }

bool mc_peer_is_foreign(const mc_node *n, uint32_t peer, uint64_t *version) {
  *version = n->peers[peer]->version;
  return n->peers[peer]->foreign;
}

void mc_peer_bar(mc_node *n, uint32_t peer, bool barred) {
  if (peer != MC_SELF) n->peers[peer]->barred = barred;
}

mc_error mc__peer_refusal(const mc_node *n, uint32_t peer) {
  const mc_peer *p = n->peers[peer];
  return p->foreign ? MC_E_VERSION_MISMATCH : p->down ? MC_E_NODE_DOWN : MC_OK;
}

uint32_t mc_peer_find(const mc_node *n, const char *name, size_t len) {
  for (uint32_t i = n->peer_count; i-- > 0;) {
    const mc_peer *p = n->peers[i];
    if (!p->down && p->name_len == len && memcmp(p->name, name, len) == 0) return i;
  }
  return UINT32_MAX;
}

/* ---- actors ---------------------------------------------------------------------------------- */

static mc_actor_slot *actor_slot(mc_node *n, uint32_t *index) {
  if (n->actor_free) {
    *index = n->actor_free - 1;
    n->actor_free = n->actors[*index].next_free;
    return &n->actors[*index];
  }
  if (n->actor_count == n->actor_cap) {
    uint32_t cap = n->actor_cap ? n->actor_cap * 2 : MC_FIRST_SLOTS;
    if (cap > MC_MAX_SLOTS) return NULL;
    mc_actor_slot *slots =
        mc__alloc(n, n->actors, n->actor_cap * sizeof *slots, cap * sizeof *slots);
    if (!slots) return NULL;
    n->actors = slots;
    n->actor_cap = cap;
  }
  *index = n->actor_count++;
  n->actors[*index] = (mc_actor_slot){.generation = 1};
  return &n->actors[*index];
}

static mc_actor *actor_place(mc_node *n, mc_type *type) {
  uint32_t index;
  mc_actor *a = mc__alloc(n, NULL, 0, sizeof *a);
  if (!a) return NULL;
  mc_actor_slot *s = actor_slot(n, &index);
  if (!s) return mc__alloc(n, a, sizeof *a, 0), NULL;
  *a = (mc_actor){.type = type, .starting = true};
  a->instance = (uint64_t)s->generation << MC_SLOT_BITS | index;
  s->actor = a;
  n->actor_live++;
  return a;
}

mc_actor *mc_actor_new(mc_node *n, mc_type *type) {
  mc_actor *a = actor_place(n, type);
  if (a) mc_node_random(n, a->secret, MC_SECRET_SIZE);
  return a;
}

mc_actor *mc_actor_first(mc_node *n, mc_type *type,
                         const uint8_t secret[MC_SECRET_SIZE]) {
  mc_actor *a = n->actor_count ? NULL : actor_place(n, type);
  if (!a) return NULL;
  a->instance = MC_FIRST_INSTANCE;
  memcpy(a->secret, secret, MC_SECRET_SIZE);
  return a;
}

uint32_t mc_actor_index(uint64_t instance) {
  return instance == MC_FIRST_INSTANCE ? 0 : (uint32_t)(instance & (MC_MAX_SLOTS - 1));
}

uint32_t mc_actor_next_index(const mc_node *n) {
  return n->actor_free ? n->actor_free - 1 : n->actor_count;
}

mc_actor *mc__actor_find(const mc_node *n, uint64_t instance) {
  uint32_t index = mc_actor_index(instance);
  if (index >= n->actor_count) return NULL;
  mc_actor *a = n->actors[index].actor;
  return a && a->instance == instance ? a : NULL;
}

bool mc__secret_equal(const uint8_t *a, const uint8_t *b) {
  uint64_t x[2], y[2]; /* all of it, wherever they differ: the time tells nothing */
  _Static_assert(sizeof x == MC_SECRET_SIZE, "a secret is two words");
  memcpy(x, a, sizeof x);
  memcpy(y, b, sizeof y);
  return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

mc_actor *mc_actor_at(const mc_node *n, const mc_address *to) {
  mc_actor *a = to->peer == MC_SELF ? mc__actor_find(n, to->instance) : NULL;
  return a && mc__secret_equal(a->secret, to->secret) ? a : NULL;
}

void mc_actor_address(const mc_actor *a, mc_address *out) {
  out->instance = a->instance;
  memcpy(out->secret, a->secret, MC_SECRET_SIZE);
  out->peer = MC_SELF;
}

static void slot_release(mc_node *n, mc_actor *a) {
  uint32_t index = mc_actor_index(a->instance);
  mc_actor_slot *s = &n->actors[index];
  s->actor = NULL;
  s->generation = s->generation == MC_GENERATIONS ? 1 : s->generation + 1;
  s->next_free = n->actor_free;
  n->actor_free = index + 1;
  n->actor_live--;
}

static void refuse_rest(mc_node *n, mc_actor *a) {
  mc_message *m;
  while ((m = mc__mailbox_pop(a))) {
    if (m->kind == MC_CAST) {
      n->stats.dead_letters++;
      if (m->origin != MC_SELF) mc__credit_handled(n, a, m->origin);
    } else {
      mc__answer_error(n, m->origin, m->call, MC_E_DEAD_ACTOR, NULL);
    }
    mc__message_drop(n, m);
  }
}

void mc_actor_end(mc_node *n, mc_actor *a) {
  slot_release(n, a);
  refuse_rest(n, a);
  mc_timer_clear(n, &a->probe);
  mc__waits_wake(n, &a->senders, MC_OK);
  mc__credit_flush(n, a);
  n->language.resign(n->language.ud, a);
  mc__alloc(n, a, sizeof *a, 0);
}

void mc_node_close(mc_node *n) {
  for (uint32_t i = 0; i < n->actor_count; i++) {
    mc_actor *a = n->actors[i].actor;
    mc_message *m;
    if (!a) continue;
    slot_release(n, a); /* nobody finds it any more */
    mc_timer_clear(n, &a->probe);
    if (a->current) mc__message_drop(n, a->current);
    while ((m = mc__mailbox_pop(a))) mc__message_drop(n, m);
    while (a->senders.first) mc__waits_remove(a->senders.first);
    for (mc_turn *t = a->turns, *next; t; t = next) {
      next = t->next;
      mc__alloc(n, t, sizeof *t, 0);
    }
    while (a->handled) {
      mc_handled *h = a->handled;
      a->handled = h->next;
      mc__alloc(n, h, sizeof *h, 0);
    }
    n->language.resign(n->language.ud, a);
    mc__alloc(n, a, sizeof *a, 0);
  }
}

void mc__registry_fini(mc_node *n) {
  mc_node_close(n);
  if (n->actors) mc__alloc(n, n->actors, n->actor_cap * sizeof *n->actors, 0);
  for (size_t i = 0; i < n->type_cap; i++) {
    if (!n->types[i]) continue;
    mc_type_interleave(n, n->types[i], NULL, 0);
    mc__alloc(n, n->types[i], sizeof(mc_type) + n->types[i]->len + 1, 0);
  }
  if (n->types) mc__alloc(n, n->types, n->type_cap * sizeof *n->types, 0);
  for (uint32_t i = 0; i < n->peer_count; i++) {
    mc_peer *p = n->peers[i];
    mc_buf_fini(&p->out);
    mc_buf_fini(&p->in);
    mc__alloc(n, p, sizeof *p + p->name_len + 1, 0);
  }
  if (n->peers) mc__alloc(n, n->peers, n->peer_cap * sizeof *n->peers, 0);
  if (n->peer_hash) mc__alloc(n, n->peer_hash, n->peer_hash_cap * sizeof(uint32_t), 0);
}
