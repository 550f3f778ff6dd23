/* engine/flush.c: see flush.h. */
#include "engine/flush.h"

#include "engine/collection/collection_log.h"
#include "engine/internal.h"

enum { SLICE_US = 200, KEYS_PER_LOOK = 64, DISCARD_BYTES = 256 << 10 };

struct flushed {
	struct flushed  *next;            /* flushed later */
	struct directory directory;
	const void      *table;           /* whose first bytes went back to the machine: */
	size_t           discarded;
};

static void retire_one(void *ctx, struct entry *entry)
{
	struct engine *engine = ctx;
	engine->flushed_counts.freed++;
	if (entry->type == ENTRY_IMAGE)
		return;                       /* the past has it */
	if (entry_large(entry) != NULL)
		collection_retire(engine, entry_large(entry));
	else
		store_release(engine->store, entry_value(entry)->place);
}

static void drop_one(void *ctx, struct entry *entry)
{
	if (entry->type != ENTRY_IMAGE && entry_large(entry) != NULL)
		collection_free(ctx, entry_large(entry));
}

void flushed_take(struct engine *engine, uint8_t db)
{
	struct directory *directory = &engine->directories[db];
	if (directory_count(directory) == 0)
		return;
	if (engine->loading) {
		while (!directory_drain(directory, KEYS_PER_LOOK, retire_one, engine))
			continue;
		return;
	}
	store_note_deaths(engine->store);
	struct flushed *flushed = memory_alloc(&engine->memory.engine, sizeof(*flushed));
	*flushed = (struct flushed){.directory = *directory};
	directory_init(directory, directory->memory, directory->seed);
	struct flushed **last = &engine->flushed;
	while (*last != NULL)
		last = &(*last)->next;
	*last = flushed;
}

static void first_is_done(struct engine *engine)
{
	struct flushed *first = engine->flushed;
	engine->flushed = first->next;
	memory_free(&engine->memory.engine, first, sizeof(*first));
}

/* A large table goes back page by page: all at once it would take as long as many slices. */
static void discard_some(struct flushed *flushed)
{
	size_t bytes;
	uint8_t *table = directory_drained(&flushed->directory, &bytes);
	if (flushed->table != table)
		flushed->discarded = 0;
	flushed->table = table;
	if (bytes < flushed->discarded + DISCARD_BYTES)
		return;
	io_memory_discard(table + flushed->discarded, bytes - flushed->discarded);
	flushed->discarded = bytes;
}

bool flushed_step(struct engine *engine)
{
	uint64_t from_us = io_clock_us(engine->io), took_us = 0;
	while (engine->flushed != NULL && took_us < SLICE_US) {
		if (directory_drain(&engine->flushed->directory, KEYS_PER_LOOK, retire_one, engine))
			first_is_done(engine);
		else
			discard_some(engine->flushed);
		took_us = io_clock_us(engine->io) - from_us;
	}
	if (took_us > engine->flushed_counts.slice_us_max)
		engine->flushed_counts.slice_us_max = took_us;
	return engine->flushed != NULL;
}

void flushed_free(struct engine *engine)
{
	while (engine->flushed != NULL)
		if (directory_drain(&engine->flushed->directory, KEYS_PER_LOOK, drop_one, engine))
			first_is_done(engine);
}

void flushed_get_stats(const struct engine *engine, struct flushed_stats *stats)
{
	*stats = (struct flushed_stats){
	    .freed = engine->flushed_counts.freed, .slice_us_max = engine->flushed_counts.slice_us_max};
	for (const struct flushed *at = engine->flushed; at != NULL; at = at->next) {
		stats->pending += directory_count(&at->directory);
		stats->overhead += at->directory.overhead.bytes;
	}
}
