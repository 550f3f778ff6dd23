/* engine/flush.c: see flush.h. */
#include "engine/flush.h"

#include "base/arith.h"
#include "engine/collection/collection_log.h"
#include "engine/internal.h"

enum { SLICE_US = 200, KEYS_PER_LOOK = 64, DISCARD_BYTES = 256 << 10 };

struct flushed {
	struct flushed  *next;            /* flushed later */
	struct engine   *engine;
	struct directory directory;
	uint8_t          db;
	struct ending    ending;          /* of its images */
	uint64_t         images;          /* that the past does not have yet */
	const void      *table;           /* whose first bytes went back to the machine: */
	size_t           discarded;
};

static void retire_image(struct flushed *flushed, struct entry *entry)
{
	struct engine *engine = flushed->engine;
	ASSERT(flushed->images > 0 && engine->flushed_counts.images > 0);
	past_retire(engine, flushed->db, entry, &flushed->ending);
	entry->flags |= (uint64_t)ENTRY_ENDED & 0xfff;
	flushed->images--;
	if (--engine->flushed_counts.images == 0)
		past_delay(engine, 0);
}

static void retire_one(void *ctx, struct entry *entry)
{
	struct flushed *flushed = ctx;
	struct engine *engine = flushed->engine;
	engine->flushed_counts.freed++;
	if (entry->type == ENTRY_IMAGE && (entry->flags & ENTRY_ENDED) == 0)
		retire_image(flushed, entry);
	else if (entry->type == ENTRY_IMAGE)
		return;
	else if (entry_large(entry) != NULL)
		collection_retire(engine, entry_large(entry));
	else
		store_release(engine->store, entry_value(entry)->place);
}

static void drop_one(void *ctx, struct entry *entry)
{
	if (entry->type != ENTRY_IMAGE && entry_large(entry) != NULL)
		collection_free(ctx, entry_large(entry));
}

void flushed_settle_key(struct engine *engine, uint8_t db, struct span key)
{
	for (struct flushed *at = engine->flushed; at != NULL; at = at->next) {
		struct entry *entry = at->db == db && at->images > 0
		    ? directory_find_undrained(&at->directory, key) : NULL;
		if (entry != NULL && entry->type == ENTRY_IMAGE && (entry->flags & ENTRY_ENDED) == 0)
			retire_image(at, entry);
	}
}

void flushed_take(struct engine *engine, uint8_t db, const struct ending *ending)
{
	struct directory *directory = &engine->directories[db];
	uint64_t images = engine->images[db];
	if (directory_count(directory) == 0)
		return;
	/* The past is in the order of endings: only those of one flush may be late. */
	while (images > 0 && flushed_images_wait(engine) && past_delayed(engine) != ending->lsn)
		(void)flushed_step(engine);
	if (images > 0)
		past_delay(engine, ending->lsn);
	store_note_deaths(engine->store);
	struct flushed *flushed = memory_alloc(&engine->memory.engine, sizeof(*flushed));
	*flushed = (struct flushed){.engine = engine, .directory = *directory, .db = db,
	    .ending = *ending, .images = images};
	engine->flushed_counts.images += images;
	directory_init(directory, directory->memory, directory->seed);
	struct flushed **last = &engine->flushed;
	while (*last != NULL)
		last = &(*last)->next;
	*last = flushed;
	while ((engine->loading || engine->partly) && flushed_step(engine))
		continue;
}

static void first_is_done(struct engine *engine)
{
	struct flushed *first = engine->flushed;
	ASSERT(first->images == 0);
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
	uint64_t left = engine->settings->flush_slice_keys;
	while (engine->flushed != NULL && took_us < SLICE_US && left > 0) {
		struct flushed *first = engine->flushed;
		uint64_t keys = min_u64(left, KEYS_PER_LOOK);
		if (directory_drain(&first->directory, (uint32_t)keys, retire_one, first))
			first_is_done(engine);
		else
			discard_some(first);
		took_us = io_clock_us(engine->io) - from_us;
		left -= keys;
	}
	if (took_us > engine->flushed_counts.slice_us_max)
		engine->flushed_counts.slice_us_max = took_us;
	return engine->flushed != NULL;
}

void flushed_free(struct engine *engine)
{
	while (engine->flushed != NULL) {
		engine->flushed->images = 0;
		if (directory_drain(&engine->flushed->directory, KEYS_PER_LOOK, drop_one, engine))
			first_is_done(engine);
	}
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
