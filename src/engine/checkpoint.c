/* engine/checkpoint.c: see checkpoint.h. */
#include "engine/checkpoint.h"

#include "base/arith.h"
#include "engine/collection/collection_log.h"
#include "engine/flush.h"

#include "engine/index/kept_index.h"
#include "engine/past/past_load.h"

enum {
	SLICE_US = 200,
	BUCKETS_PER_LOOK = 8,
	TICK_US = 1000000,
	IDLE_COMMANDS = 100,      /* in a tick: more is work, which is not to be disturbed */
	IDLE_LSNS = 10000,        /* fewer are replayed in no time */
	PAST_CHUNK_BYTES = 256 << 10,
};

enum checkpoint_state { CHECKPOINT_RESTING, CHECKPOINT_BEGINNING, CHECKPOINT_WRITING, CHECKPOINT_ENDING };

struct checkpoints {
	struct engine          *engine;
	struct store_checkpoint job;
	struct list             waiting, served;      /* for the next one, for this one */
	bool                    is_open;      /* may be written: this is all of the store, and writable */
	bool                    asked, ready;
	bool                    in_past, past_over;   /* all entries are written; and the past, too */
	bool                    in_index, index_over, index_is_due;
	size_t                  index_bytes;          /* of one of its chunks, at least */
	uint8_t                 state;
	unsigned                db;
	uint8_t                 bits[DATABASE_COUNT];
	bool                    all[DATABASE_COUNT];  /* every chunk has to be written */
	uint32_t                chunk;
	bool                    in_chunk;
	uint64_t                cursor;
	uint32_t                count;
	bool                    fetches;      /* it has values that are read from the log */
	struct buf              out;
	struct io_timer         timer;
	uint64_t                started_us, begun_lsn, due_bytes;
	uint64_t                tick_lsn, tick_commands;      /* at the last tick */
	int64_t                 idle_s, waited_s;     /* ticks without work; since one last began by time */
	struct checkpoint_stats stats;
};

static void checkpoint_ready(struct store_checkpoint *job);
static void checkpoint_done(struct store_checkpoint *job, enum err err);
static void checkpoint_tick(struct io_timer *timer);

enum err checkpoints_new(struct engine *engine)
{
	struct checkpoints *all = memory_zalloc(&engine->memory.engine, sizeof(*all));
	engine->checkpoints = all;
	engine->marks = memory_alloc(&engine->memory.engine, sizeof(*engine->marks) * DATABASE_COUNT);
	memset(engine->marks, 0xff, sizeof(*engine->marks) * DATABASE_COUNT);
	all->engine = engine;
	all->job = (struct store_checkpoint){
		.ready = checkpoint_ready, .done = checkpoint_done, .ctx = all};
	list_init(&all->waiting);
	list_init(&all->served);
	buf_init(&all->out, &engine->memory.engine);
	io_timer_init(&all->timer, checkpoint_tick, all);
	all->stats.last_duration_s = -1;
	all->stats.last_save_s = engine->started_ms / 1000;
	return OK;
}

static void waiters_end(struct list *waiters, enum err err)
{
	while (!list_is_empty(waiters)) {
		struct checkpoint_waiter *waiter =
		    LIST_OF(waiters->next, struct checkpoint_waiter, link);
		list_remove(&waiter->link);
		waiter->done(waiter, err);
	}
}

void checkpoints_free(struct engine *engine)
{
	struct checkpoints *all = engine->checkpoints;
	if (all == NULL)
		return;
	waiters_end(&all->served, ERR_CLOSED);
	waiters_end(&all->waiting, ERR_CLOSED);
	io_timer_cancel(engine->io, &all->timer);
	buf_fini(&all->out);
	memory_free(&engine->memory.engine, engine->marks, sizeof(*engine->marks) * DATABASE_COUNT);
	memory_free(&engine->memory.engine, all, sizeof(*all));
	engine->checkpoints = NULL;
}

/* ---- When ---- */

/* Once a second: whether it is time, or everybody rests and a start would have much to replay. */
static void checkpoint_tick(struct io_timer *timer)
{
	struct checkpoints *all = timer->ctx;
	const struct engine *engine = all->engine;
	const struct settings *settings = engine->settings;
	uint64_t lsn = store_last_lsn(engine->store), commands = engine->counters.commands;
	bool works = lsn != all->tick_lsn || commands - all->tick_commands > IDLE_COMMANDS;
	all->idle_s = works ? 0 : all->idle_s + 1;
	all->tick_lsn = lsn;
	all->tick_commands = commands;
	bool rests = settings->checkpoint_idle_s > 0 && all->idle_s >= settings->checkpoint_idle_s &&
	    lsn - all->begun_lsn >= IDLE_LSNS;
	bool is_time = settings->checkpoint_interval_s > 0 &&
	    ++all->waited_s >= settings->checkpoint_interval_s;
	if (is_time)
		all->waited_s = 0;
	if (rests || (is_time && lsn != all->begun_lsn))
		all->asked = true;
	io_timer_set(engine->io, &all->timer, TICK_US);
}

void checkpoints_opened(struct engine *engine)
{
	struct checkpoints *all = engine->checkpoints;
	struct store_stats stats;
	store_get_stats(engine->store, &stats);
	all->begun_lsn = stats.checkpoint_lsn > 0 ? stats.checkpoint_lsn - 1 : 0;
	all->due_bytes = engine->settings->checkpoint_bytes;
	all->is_open = true;
	io_timer_set(engine->io, &all->timer, TICK_US);
}

void checkpoints_ask(struct engine *engine, struct checkpoint_waiter *waiter)
{
	struct checkpoints *all = engine->checkpoints;
	if (!all->is_open) {
		if (waiter != NULL)
			waiter->done(waiter, ERR_READONLY);
		return;
	}
	all->asked = true;
	if (waiter != NULL)
		list_append(&all->waiting, &waiter->link);
}

static bool checkpoint_is_due(struct checkpoints *all)
{
	struct engine *engine = all->engine;
	if (all->asked)
		return true;
	if (engine->settings->checkpoint_bytes == 0 || engine->closing)
		return false;
	if (store_last_lsn(engine->store) == all->begun_lsn)
		return false;
	return store_appended_bytes(engine->store) >= all->due_bytes;
}

static void checkpoint_start(struct checkpoints *all)
{
	struct engine *engine = all->engine;
	all->job.seed = engine->directories[0].seed;
	enum err err = store_checkpoint_begin(engine->store, &all->job);
	if (err == ERR_BUSY)
		return;               /* asked again with the next pass */
	all->asked = false;
	while (!list_is_empty(&all->waiting)) {
		struct list *link = all->waiting.next;
		list_remove(link);
		list_append(&all->served, link);
	}
	all->started_us = io_now_us(engine->io);
	all->state = CHECKPOINT_BEGINNING;
	all->begun_lsn = store_last_lsn(engine->store);
	all->due_bytes = store_appended_bytes(engine->store) + engine->settings->checkpoint_bytes;
	if (err != OK)
		checkpoint_done(&all->job, err);
}

/* ---- Chunks ---- */

static uint8_t chunk_bits(uint64_t count)
{
	if (count < 4096)
		return 3;
	return count < 1 << 18 ? 6 : CHECKPOINT_BITS;
}

static void set_clear(struct engine *engine, uint8_t set)
{
	for (uint32_t i = 0; i < 1U << CHECKPOINT_BITS; i++) {
		const struct store_chunk none = {.db = set, .index = i};
		(void)store_checkpoint_chunk(engine->store, &none);
	}
}

/* The store has noted where the log is: from here on changes are in the log behind that. */
static void checkpoint_set_up(struct checkpoints *all)
{
	struct engine *engine = all->engine;
	for (unsigned db = 0; db < DATABASE_COUNT; db++) {
		uint8_t bits = chunk_bits(directory_count(&engine->directories[db]));
		all->bits[db] = bits;
		all->all[db] = !store_checkpoint_bits(engine->store, (uint8_t)db, bits);
	}
	(void)store_checkpoint_bits(engine->store, CHUNK_PAST, CHECKPOINT_BITS);
	set_clear(engine, CHUNK_PAST);
	bool is_there = store_checkpoint_bits(engine->store, CHUNK_SET_DERIVED, CHECKPOINT_BITS);
	all->index_is_due = kept_index_is_due(engine, all->job.slot, is_there);
	if (all->index_is_due)
		set_clear(engine, CHUNK_SET_DERIVED);
	past_dump_begin(engine);
	all->in_past = all->past_over = all->in_chunk = all->in_index = all->index_over = false;
	all->db = 0;
	all->chunk = 0;
	all->state = CHECKPOINT_WRITING;
}

static void checkpoint_ready(struct store_checkpoint *job)
{
	struct checkpoints *all = job->ctx;
	ASSERT(all->state == CHECKPOINT_BEGINNING || all->state == CHECKPOINT_WRITING);
	all->ready = true;
	if (all->state == CHECKPOINT_BEGINNING)
		checkpoint_set_up(all);
}

/* Must this chunk be written? If so its marks are cleared: it is read from here on. */
static bool chunk_take_marks(struct checkpoints *all)
{
	uint8_t *marks = all->engine->marks[all->db];
	uint8_t bit = (uint8_t)(1U << all->job.slot);
	bool due = all->all[all->db];
	uint32_t step = 1U << all->bits[all->db];
	for (uint32_t i = all->chunk; i < CHECKPOINT_MARKS; i += step)
		due = due || (marks[i] & bit) != 0;
	for (uint32_t i = all->chunk; due && i < CHECKPOINT_MARKS; i += step)
		marks[i] &= (uint8_t)~bit;
	return due;
}

struct chunk_walk {
	struct checkpoints *all;
	struct directory   *directory;
	uint64_t            mask;
};

static void chunk_entry(void *ctx, struct entry *entry)
{
	struct chunk_walk *walk = ctx;
	struct checkpoints *all = walk->all;
	if (walk->mask != 0) {
		uint64_t hash = directory_hash(walk->directory, entry_key(entry));
		if ((hash & walk->mask) != all->chunk)
			return;
	}
	chunk_write_entry(all->engine, &all->out, entry);
	all->count++;
	all->fetches |= chunk_fetches(entry);
}

/* A few buckets of the chunk. True: it is complete. The lowest bits of a cursor stay what they
 * are until all buckets that share them have been seen. */
static bool chunk_walk(struct checkpoints *all)
{
	struct directory *directory = &all->engine->directories[all->db];
	uint64_t mask = (UINT64_C(1) << all->bits[all->db]) - 1;
	/* A table with fewer buckets than there are chunks (after a FLUSH) mixes them. */
	bool mixed = directory->tables[0].mask < mask;
	struct chunk_walk walk = {all, directory, mixed ? mask : 0};
	for (int i = 0; i < BUCKETS_PER_LOOK; i++) {
		all->cursor = directory_scan(directory, all->cursor, chunk_entry, &walk);
		if (all->cursor == 0 || (all->cursor & mask) != all->chunk)
			return true;
	}
	return false;
}

/* On to the next chunk that is due. False: there is none. */
static bool checkpoint_next_chunk(struct checkpoints *all)
{
	for (; all->db < DATABASE_COUNT; all->db++, all->chunk = 0) {
		for (; all->chunk < 1U << all->bits[all->db]; all->chunk++) {
			if (!chunk_take_marks(all))
				continue;
			all->in_chunk = true;
			all->cursor = all->chunk;
			all->count = 0;
			all->fetches = false;
			buf_clear(&all->out);
			return true;
		}
	}
	return false;
}

static void checkpoint_finish(struct checkpoints *all)
{
	struct engine *engine = all->engine;
	all->state = CHECKPOINT_ENDING;
	buf_clear(&all->out);
	chunk_write_settings(engine, &all->out);
	store_checkpoint_finish(engine->store, buf_span(&all->out));
	buf_fini(&all->out);
}

/* A chunk of a set that is written piece by piece. */
static bool checkpoint_pieces(struct checkpoints *all, uint8_t set)
{
	const struct store_chunk chunk = {
		.db = set, .index = all->chunk, .count = all->count, .bytes = buf_span(&all->out),
	};
	all->ready = !store_checkpoint_chunk(all->engine->store, &chunk);
	buf_clear(&all->out);
	all->chunk++;
	return all->ready;
}

static void checkpoint_begin_index(struct checkpoints *all)
{
	all->in_index = true;
	all->index_over = !all->index_is_due;
	all->chunk = 0;
	buf_clear(&all->out);
	if (all->index_is_due)
		all->index_bytes = kept_index_begin(all->engine);
}

/* The search index, in the same way. */
static bool checkpoint_index(struct checkpoints *all)
{
	if (all->index_over) {
		checkpoint_finish(all);
		return false;
	}
	if (all->out.len == 0)
		all->count = 0;
	all->index_over = !kept_index_dump(all->engine, &all->out, &all->count);
	bool last = all->chunk + 1 == 1U << CHECKPOINT_BITS;
	if (!all->index_over && (all->out.len < all->index_bytes || last))
		return true;
	return checkpoint_pieces(all, CHUNK_SET_DERIVED);
}

/* The past in chunks of some size; the last one takes what is left. False: the store is writing. */
static bool checkpoint_past(struct checkpoints *all)
{
	if (all->past_over) {
		checkpoint_begin_index(all);
		return true;
	}
	if (flushed_images_wait(all->engine)) {       /* they belong to the past */
		(void)flushed_step(all->engine);
		return true;
	}
	if (all->out.len == 0)
		all->count = 0;
	all->past_over = !past_dump(all->engine, &all->out, &all->count);
	bool last = all->chunk + 1 == 1U << CHECKPOINT_BITS;
	if (!all->past_over && (all->out.len < PAST_CHUNK_BYTES || last))
		return true;
	return checkpoint_pieces(all, CHUNK_PAST);
}

/* One piece of work. False: the store is writing. */
static bool checkpoint_work(struct checkpoints *all)
{
	if (all->in_index)
		return checkpoint_index(all);
	if (all->in_past)
		return checkpoint_past(all);
	if (!all->in_chunk) {
		all->in_past = !checkpoint_next_chunk(all);
		if (all->in_past) {
			all->chunk = 0;
			buf_clear(&all->out);
		}
		return true;
	}
	if (!chunk_walk(all))
		return true;
	all->in_chunk = false;
	all->stats.chunks++;
	const struct store_chunk chunk = {
		.db = (uint8_t)all->db, .index = all->chunk, .count = all->count,
		.first = all->fetches, .bytes = buf_span(&all->out),
	};
	all->ready = !store_checkpoint_chunk(all->engine->store, &chunk);
	all->chunk++;
	return all->ready;
}

bool checkpoints_step(struct engine *engine)
{
	struct checkpoints *all = engine->checkpoints;
	if (all->is_open && all->state == CHECKPOINT_RESTING && checkpoint_is_due(all) &&
	    collections_let_checkpoint(engine))
		checkpoint_start(all);
	if (all->state != CHECKPOINT_WRITING || !all->ready)
		return false;
	uint64_t from_us = io_clock_us(engine->io), now_us = from_us;
	bool more = true;
	while (more && now_us - from_us < SLICE_US) {
		more = checkpoint_work(all);
		now_us = io_clock_us(engine->io);
	}
	all->stats.slice_us_max = max_u64(all->stats.slice_us_max, now_us - from_us);
	return more;
}

static void checkpoint_done(struct store_checkpoint *job, enum err err)
{
	struct checkpoints *all = job->ctx;
	struct engine *engine = all->engine;
	uint64_t us = io_now_us(engine->io) - all->started_us;
	all->state = CHECKPOINT_RESTING;
	all->ready = false;
	all->in_chunk = false;
	past_dump_end(engine);
	kept_index_end(engine, all->job.slot, err == OK);
	all->stats.last_duration_s = (int64_t)(us / 1000000);
	all->stats.failed = err != OK;
	if (err == OK) {
		all->stats.last_save_s = io_wall_ms(engine->io) / 1000;
		all->stats.saves++;
		log_notice(engine->log, "checkpoint written in %.3f s", (double)us / 1e6);
	}
	waiters_end(&all->served, err);
}

bool checkpoints_is_running(const struct engine *engine)
{
	return engine->checkpoints->state != CHECKPOINT_RESTING;
}

void checkpoints_get_stats(const struct engine *engine, struct checkpoint_stats *out)
{
	const struct checkpoints *all = engine->checkpoints;
	*out = all->stats;
	out->running = checkpoints_is_running(engine);
	out->current_duration_s = -1;
	if (out->running)
		out->current_duration_s =
		    (int64_t)((io_now_us(engine->io) - all->started_us) / 1000000);
	uint64_t last = store_last_lsn(engine->store);
	out->changes = last > all->begun_lsn ? last - all->begun_lsn : 0;
}
