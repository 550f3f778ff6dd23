/* engine/flush.h: what FLUSHALL and FLUSHDB leave to be freed.
 *
 * The directory of a flushed database is handed over whole; the database has an empty one at once.
 * The cache keys in it are freed, and their records released, in slices at the ends of passes. Until a
 * record is released its segment counts it as alive, which keeps that segment: nothing else does, since
 * the directories do not know the key. Images have left for the past before.
 */
#pragma once
#include "engine/engine.h"

/* Takes all that the directory of this database holds. Without a store that is open (while loading) it is
 * freed at once. */
void flushed_take(struct engine *engine, uint8_t db);
/* One slice. True: there is more. */
bool flushed_step(struct engine *engine);
/* The engine ends: at once, and without a word to the store. */
void flushed_free(struct engine *engine);

struct flushed_stats {
	uint64_t pending, freed;          /* keys; `freed` since the start */
	uint64_t slice_us_max;
	uint64_t overhead;                /* bytes of the directories' tables */
};
void flushed_get_stats(const struct engine *engine, struct flushed_stats *stats);
static inline bool flushed_is_due(const struct engine *engine)
{
	return engine->flushed != NULL;
}
