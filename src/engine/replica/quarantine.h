/* engine/replica/quarantine.h: stores that were put aside, whole, because their leader could not go on with
 * them (server/aside.c): folders of dir/quarantine/, named by when that was. Each can be opened by
 * `tintype-server --readonly --dir`. They are looked for at the start, since putting one aside is a
 * start, and go only when DISCARD asks for it. */
#pragma once
#include "engine/engine.h"

struct quarantine_folder {
	struct list  link;
	char         name[32];
	uint64_t     bytes;
	uint32_t     files, removed;
	struct buf   names;               /* each with its NUL */
	struct slot *slot;                /* of the DISCARD under way, or NULL */
	size_t       at;                  /* in names: the file being removed */
	char         path[SETTING_TEXT_MAX + 400];
	struct io_op op;
	struct engine *engine;
};

struct quarantine {
	struct list folders;
	uint32_t    count;
};

void quarantine_new(struct engine *engine);    /* looks what there is; before service */
void quarantine_free(struct engine *engine);
struct quarantine_folder *quarantine_find(const struct engine *engine, struct span name);
/* Replies 1 when all of it is removed. */
void quarantine_discard(struct call *call, struct quarantine_folder *folder);
