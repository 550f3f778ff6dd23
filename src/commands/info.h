/* commands/info.h: parts of INFO that have a file of their own. */
#pragma once
#include "engine/engine.h"

void info_listeners(struct engine *engine, struct buf *out);      /* of INFO server */
void info_tls(struct engine *engine, struct buf *out);

/* malloc's own count; zeros where it does not tell (memory.c). */
struct allocator_figures {
	uint64_t allocated, active, resident;
};
void allocator_get_figures(struct allocator_figures *out);
