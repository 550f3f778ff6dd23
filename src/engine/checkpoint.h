/* engine/checkpoint.h: writes the directories to a checkpoint, a slice each pass.
 *
 * Each database has CHECKPOINT_MARKS marks, by the lowest bits of the key's hash; a change of
 * an entry sets its mark, for both slots. A checkpoint writes those chunks that have a mark
 * since they were last written to its slot. Access times and heat set no mark: they are as
 * of the last change. What changes while a chunk is being written is in the log as well.
 *
 * The past (versions, shared bodies) is written as a whole, behind all entries: past_load.h; then
 * the search index: kept_index.h.
 */
#pragma once
#include "engine/internal.h"

struct checkpoint_stats {
	bool     running, failed;         /* failed: the last one that ended */
	int64_t  last_save_s;             /* Unix; the server's start if there was none */
	int64_t  last_duration_s, current_duration_s;     /* -1: none */
	uint64_t changes, saves, chunks, slice_us_max;
};

MUST_CHECK enum err checkpoints_new(struct engine *engine);
void checkpoints_free(struct engine *engine);
/* The store is open, whole and writable; before that none is written, or ever if it is a clone, or
 * could not be opened. The clock of checkpoint-interval starts. */
void checkpoints_opened(struct engine *engine);
/* One slice. True: there is more to do at once. */
bool checkpoints_step(struct engine *engine);
bool checkpoints_is_running(const struct engine *engine);
void checkpoints_get_stats(const struct engine *engine, struct checkpoint_stats *out);

/* Somebody who waits for a checkpoint that begins after now. */
struct checkpoint_waiter {
	struct list link;
	void      (*done)(struct checkpoint_waiter *waiter, enum err err);
	void       *ctx;
};
/* Begins one as soon as none is under way. `waiter` may be NULL. It may be told at once that none
 * can be written. */
void checkpoints_ask(struct engine *engine, struct checkpoint_waiter *waiter);
/* chunk.c: entries as bytes. */
/* The set of chunks of what is not an entry: past_load.h. */
enum { CHUNK_PAST = DATABASE_COUNT };
/* Its value is read from its records when it is loaded. */
bool chunk_fetches(const struct entry *entry);
void chunk_write_entry(const struct engine *engine, struct buf *out, struct entry *entry);
void chunk_write_settings(struct engine *engine, struct buf *out);

/* chunk.c: the store's events. */
void engine_load_begin(void *ctx, const struct store_load *load);
enum err engine_load_chunk(void *ctx, uint8_t db, uint32_t count, struct span bytes);
enum err engine_load_settings(void *ctx, struct span bytes);
void engine_load_reset(void *ctx);

/* partly.c: the same, while commands are served already. */
uint64_t engine_key_hash(void *ctx, uint8_t db, struct span key);
void engine_loaded(void *ctx, bool all);
void engine_partly_opened(struct engine *engine);

/* reindex.c: documents of images that came from a checkpoint, in the background. */
void reindex_start(struct engine *engine);
bool reindex_step(struct engine *engine);
void reindex_stop(struct engine *engine);
