/*
** Nodes on threads: they come and go while others call them, end each other, and end with calls under
** way. Every test must end by itself; ThreadSanitizer and LeakSanitizer look on where it is built with
** them.
*/
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "mooncast_lua.h"

static void no_log(void *ud, const char *node, mc_log_level level, const char *text,
                   size_t len) {
  (void)ud, (void)node, (void)level, (void)text, (void)len;
}

static mc_system *open_system(int workers) {
  char why[512] = "";
  mc_system_config config;
  mc_system_config_init(&config);
  config.workers = workers;
  config.log = no_log;
  mc_system *s = mc_system_new(&config, why, sizeof why);
  if (!s) check_true(false, why, __FILE__, __LINE__);
  return s;
}

static bool run(mc_system *s, const char *source) {
  char why[2000];
  bool ok = mc_system_run_string(s, source, "test", why, sizeof why);
  if (!ok) check_true(false, why, __FILE__, __LINE__);
  return ok;
}

#define ECHO                                                                    \
  "local mc = require 'mooncast'\n"                                             \
  "local Echo = mc.actor 'Echo'\n"                                              \
  "function Echo:echo(v) return v end\n"                                        \
  "function Echo:slow(v) mc.sleep(0.001) return v end\n"                        \
  "function Echo:stop_node(name) return mc.stop_node(name) end\n"               \
  "function Echo:sleep(s) mc.sleep(s) end\n"                                    \
  "local gone = { node_down = true, unknown_node = true, dead_actor = true }\n" \
  "local function gone_or_raise(e)\n"                                           \
  "  if type(e) ~= 'table' or not gone[e.code] then error(e, 0) end\n"          \
  "end\n"

/* 200 nodes start and are stopped, by another node, while 100 tasks call whatever is there. */
static void come_and_go(void) {
  mc_system *s = open_system(3);
  if (!s) return;
  run(s, ECHO
      "local target = { mc.spawn { Echo, on = 'w2' }, mc.spawn { Echo, on = 'w3' } }\n"
      "local stopper, stop, calls = mc.spawn { Echo, on = 'w3' }, false, 0\n"
      "local tasks = {}\n"
      "for i = 1, 100 do tasks[i] = mc.async(function()\n"
      "  local n = i\n"
      "  while not stop do\n"
      "    n = n + 1\n"
      "    local to = target[n % #target + 1]\n"
      "    local method = n % 7 == 0 and 'slow' or 'echo'\n"
      "    local ok, v = pcall(mc.call, to, method, { n })\n"
      "    if ok then assert(v[1] == n) calls = calls + 1 else gone_or_raise(v) "
      "mc.sleep(0) end\n"
      "  end\n"
      "end) end\n"
      "for _ = 1, 200 do\n"
      "  local name = mc.start_node()\n"
      "  local e = mc.spawn { Echo, on = name }\n"
      "  target[3] = e\n"
      "  assert(e:echo(1) == 1)\n"
      "  assert(stopper:stop_node(name))\n"
      "  local ok, err = pcall(e.echo, e, 1)\n"
      "  assert(not ok) gone_or_raise(err)\n"
      "end\n"
      "stop = true\n"
      "mc.all(table.unpack(tasks))\n"
      "assert(#mc.nodes() == 3 and calls > 1000)\n");
  mc_system_free(s);
}

/* Nodes that stop one another at the same moment: each is stopped once, somebody is told so. */
static void mutual(void) {
  for (int i = 0; i < 20; i++) {
    mc_system *s = open_system(4);
    if (!s) return;
    run(s,
        ECHO "local on = {}\n"
             "for i = 2, 4 do on[i] = mc.spawn { Echo, on = 'w' .. i } end\n"
             "local tasks = {}\n"
             "for i = 2, 4 do for j = 2, 4 do if i ~= j then\n"
             "  tasks[#tasks + 1] = mc.async(function()\n"
             "    local ok, e = pcall(on[i].stop_node, on[i], 'w' .. j)\n"
             "    if not ok then gone_or_raise(e) end\n"
             "  end)\n"
             "end end end\n"
             "mc.all(table.unpack(tasks))\n"
             "for _ = 1, 200 do if #mc.nodes() <= 2 then break end mc.sleep(0.01) end\n"
             "assert(#mc.nodes() <= 2, #mc.nodes())\n"
             "local last = mc.spawn { Echo, on = 'w1' }\n"
             "assert(last:echo(1) == 1)\n");
    mc_system_free(s);
  }
}

/* The system ends with calls, casts, sleeps and starts under way. */
static void ends_busy(void) {
  for (int i = 0; i < 20; i++) {
    mc_system *s = open_system(4);
    if (!s) return;
    run(s, ECHO
        "for i = 1, 100 do\n"
        "  local e = mc.spawn { Echo, on = 'w' .. (i % 4 + 1) }\n"
        "  mc.spawn_task(function() while true do e:echo({ i }) mc.sleep(0) end end)\n"
        "  mc.spawn_task(e.sleep, e, 100)\n"
        "  mc.cast(e, 'echo', 1)\n"
        "end\n"
        "mc.spawn_task(function() while true do mc.stop_node(mc.start_node()) "
        "mc.sleep(0) end end)\n"
        "mc.sleep(0.005)\n");
    for (int steps = 0; steps < i * 3; steps++) mc_system_step(s, 1);
    mc_system_free(s);
  }
}

int main(void) {
  static const check_test tests[] = {
      {"200 nodes come and go while 100 tasks call", come_and_go},
      {"nodes that stop each other", mutual},
      {"a system that ends while all are busy", ends_busy},
  };
  return CHECK_RUN(tests);
}
