/* engine/flush.h: what FLUSHALL and FLUSHDB leave to be freed.
 *
 * The directory of a flushed database is handed over whole; the database has an empty one at once.
 * The keys in it are freed in slices at the ends of passes: the records of cache keys are released, images
 * go to the past. Until a record is released its segment counts it as alive, which keeps that segment.
 *
 * Who asks about the past of a key, or about a record of it, or makes an image under its name, has that key
 * settled first (flushed_settle): so nobody can tell that the rest still waits. A checkpoint writes the past
 * when nothing waits.
 */
#pragma once
#include "engine/engine.h"
#include "engine/past/history.h"

/* Takes all that the directory of this database holds; its images end as `ending` says. While loading it is
 * freed at once. */
void flushed_take(struct engine *engine, uint8_t db, const struct ending *ending);
/* One slice. True: there is more. */
bool flushed_step(struct engine *engine);
/* The engine ends: at once, and without a word to the store. */
void flushed_free(struct engine *engine);

/* Flushed images of this key go to the past now. */
void flushed_settle_key(struct engine *engine, uint8_t db, struct span key);
static inline bool flushed_images_wait(const struct engine *engine)
{
	return engine->flushed_counts.images > 0;
}
static inline void flushed_settle(struct engine *engine, uint8_t db, struct span key)
{
	if (flushed_images_wait(engine))
		flushed_settle_key(engine, db, key);
}

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
