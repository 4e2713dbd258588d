/* Between native_system.c, which runs nodes in one process, and native_module.c, which opens it
** under stock lua. */
#ifndef MC_NATIVE_SYSTEM_H
#define MC_NATIVE_SYSTEM_H

#include "lua_node.h"

#endif
