/* engine/engine.c: birth, the pass, and death of the engine. */
#include "engine/internal.h"

#include "engine/index/analysis.h"
#include "engine/block.h"
#include "engine/checkpoint.h"
#include "engine/collection/collection_log.h"
#include "engine/databases.h"
#include "engine/index/fields.h"
#include "engine/flush.h"
#include "engine/index/kept_index.h"
#include "engine/replica/quarantine.h"
#include "engine/replica/rejoin.h"
#include "engine/replica/repair.h"
#include "engine/replica/replica.h"
#include "engine/tier.h"
#include "engine/users.h"

static void reclaim_bodies(void *ctx, size_t bytes)
{
	struct engine *engine = ctx;
	uint64_t freed = engine->hot == NULL ? 0 : body_cache_shrink(engine->hot, bytes);
	if (freed < bytes)
		(void)image_service_shrink(engine, bytes - freed);
}

static void engine_opened(void *ctx, enum err err)
{
	struct engine *engine = ctx;
	struct store_stats stats;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	engine->loading = false;
	if (err == OK)
		err = past_opened(engine);
	if (err == OK) {
		store_get_stats(engine->store, &stats);
		log_notice(engine->log, "recovered %llu records in %.3f s",
		    (unsigned long long)stats.recovered_records, (double)stats.recovered_us / 1e6);
		if (engine->settings->replicaof[0] == 0)
			collections_recovered(engine);
		engine_drop_awaited(engine);
		doubts_end(engine);
		engine->replay_lsn = 0;
		engine_partly_opened(engine);
		fields_opened(engine);
		users_opened(engine);
		replication_opened(engine);
		if (!engine->settings->readonly) {
			tiers_opened(engine);
			checkpoints_opened(engine);
		}
		if (!engine->partly)
			reindex_start(engine);
	}
	engine->events->opened(engine->events_ctx, err);
}

/* The log is safe up to lsn: replies that waited for it may leave. */
static void engine_durable(void *ctx, uint64_t lsn)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	UNUSED(lsn);
	engine->flush_sessions = true;
}

static void engine_appended(void *ctx, const struct record *record)
{
	replication_appended(ctx, record);
}

static void engine_extended(void *ctx, uint64_t lsn, struct span more)
{
	replication_extended(ctx, lsn, more);
}

/* The first record of this life is coming. */
static enum err engine_preface(void *ctx)
{
	return replication_begin_life(ctx);
}

/* A promoted follower does what followers leave to others. */
void engine_took_over(struct engine *engine)
{
	collections_recovered(engine);
	analysis_wake(engine);
	engine->flush_sessions = true;
}

static void flush_waiting_sessions(struct engine *engine)
{
	struct list *at = engine->sessions.next;
	engine->flush_sessions = false;
	while (at != &engine->sessions) {
		struct session *session = LIST_OF(at, struct session, link);
		at = at->next;
		if (!list_is_empty(&session->slots))
			session_flush(session);
	}
}

static void engine_store_state(void *ctx, enum err state)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	engine->flush_sessions = true;        /* read-only: what waits, waits for nothing */
	if (state == OK)
		log_notice(engine->log, "the store takes writes again");
	else
		log_warning(engine->log, "the store refuses writes: %s", err_name(state));
}

static void random_hex(struct engine *engine, char out[41])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t raw[20];
	io_random(engine->io, raw, sizeof(raw));
	for (size_t i = 0; i < sizeof(raw); i++) {
		out[2 * i] = hex[raw[i] >> 4];
		out[2 * i + 1] = hex[raw[i] & 15];
	}
	out[40] = 0;
}

static enum err engine_new_store(struct engine *engine)
{
	static const struct store_events events = {
	    .recovered = engine_recovered,
	    .opened = engine_opened,
	    .load_begin = engine_load_begin,
	    .load_chunk = engine_load_chunk,
	    .load_settings = engine_load_settings,
	    .load_reset = engine_load_reset,
	    .key_hash = engine_key_hash,
	    .foreseen = engine_foreseen,
	    .progress = engine_progress,
	    .loaded = engine_loaded,
	    .durable = engine_durable,
	    .appended = engine_appended,
	    .extended = engine_extended,
	    .preface = engine_preface,
	    .relocated = engine_relocated,
	    .corrupt = engine_record_corrupt,
	    .state = engine_store_state,
	    .is_live = engine_is_live,
	    .whereabouts = engine_whereabouts,
	};
	const struct settings *settings = engine->settings;
	struct body_pool_options pool = {
		.bytes = settings->body_memory, .reclaim = reclaim_bodies, .ctx = engine,
	};
	enum err err = body_pool_new(engine->io, &pool, &engine->pool);
	if (err != OK)
		return err;
	engine->hot = body_cache_new(&engine->memory.images, settings->hot_memory);
	engine->metas = body_cache_new(&engine->memory.images, settings->meta_memory);
	struct store_options options = {
		.dir = {settings->dir, settings->warm_dir[0] != 0 ? settings->warm_dir : NULL},
		.segment_bytes = (uint32_t)settings->segment_bytes,
		.spare_segments = (uint32_t)settings->spare_segments,
		.disk_bytes_max = settings->disk_bytes_max,
		.batches_in_flight = (uint32_t)settings->batches_in_flight,
		.batch_delay_ms = (uint32_t)settings->batch_delay_ms,
		.read_only = settings->readonly,
		.load_bytes_first = settings->load_first_bytes,
		.from_log = settings->rewind_to[0] != 0 || engine->rejoin->cut,
		.pool = engine->pool, .memory = &engine->memory.store, .log = engine->log,
	};
	return store_new(engine->io, &options, &events, engine, &engine->store);
}

enum err engine_new(struct io *io, struct settings *settings, struct log *log,
    const struct engine_events *events, void *events_ctx, struct engine **out)
{
	struct memory boot = {0};
	struct engine *engine = memory_zalloc(&boot, sizeof(*engine));
	uint64_t seed;
	engine->magic = ENGINE_MAGIC;
	engine->memory.engine = boot;
	engine->io = io;
	engine->settings = settings;
	engine->log = log;
	engine->events = events;
	engine->events_ctx = events_ctx;
	engine->loading = true;
	engine->started_ms = io_wall_ms(io);
	engine->started_us = io_now_us(io);
	list_init(&engine->sessions);
	list_init(&engine->loads);
	list_init(&engine->searches);
	list_init(&engine->twin_checks);
	list_init(&engine->waits);
	list_init(&engine->checks);
	list_init(&engine->proofs);
	list_init(&engine->pressed);
	pause_init(engine);
	list_init(&engine->monitors);
	list_init(&engine->awaiting);
	list_init(&engine->awaiting_all);
	list_init(&engine->watchers);
	list_init(&engine->slowlog);
	list_init(&engine->doubts);
	io_random(io, &seed, sizeof(seed));
	random_init(&engine->random, seed);
	random_hex(engine, engine->run_id);
	random_hex(engine, engine->repl_id);
	/* One for all: a batch of requests is hashed before a SELECT in it says which database is meant. */
	seed = random_next(&engine->random);
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		directory_init(&engine->directories[i], &engine->memory.values, seed);
	kept_index_new(engine);
	rejoin_new(engine);
	repairs_new(engine);
	enum err err = checkpoints_new(engine);
	if (err == OK)
		err = engine_new_store(engine);
	dedupe_new(engine);
	scrub_new(engine);
	analysis_new(engine);
	fields_new(engine);
	collections_new(engine);
	users_new(engine);
	replication_new(engine);
	databases_init(engine);
	quarantine_new(engine);
	if (err == OK)
		err = past_new(engine);
	if (err == OK)
		err = tiers_new(engine);
	if (err == OK)
		err = image_service_new(engine);
	if (err != OK) {
		engine_free(engine);
		return err;
	}
	*out = engine;
	return OK;
}

enum err engine_open(struct engine *engine)
{
	CHECK_OBJ(engine, ENGINE_MAGIC);
	return store_open(engine->store);
}

/* What works through everything that there is. */
static bool engine_work(struct engine *engine)
{
	bool more = past_step(engine);
	more |= scrub_step(engine);
	more |= flushed_is_due(engine) && flushed_step(engine);
	if (engine_follows(engine))           /* the leader does the rest, and its log tells of it */
		return collections_step(engine) || more;
	more |= tiers_step(engine);
	more |= analysis_step(engine);
	more |= collections_step(engine);
	return more;
}

bool engine_pass(struct engine *engine)
{
	CHECK_OBJ(engine, ENGINE_MAGIC);
	bool more = false;
	engine->counters.passes++;
	collections_end_pass(engine);
	if (UNLIKELY(engine->tracking != NULL))
		more |= tracking_step(engine);
	if (!engine->loading && !engine->closing) {
		more |= searches_step(engine);
		more |= indexes_sweep(engine);
		more |= fields_step(engine);
		more |= reindex_step(engine);
		more |= checks_step(engine);
		more |= proofs_step(engine);
	}
	if (!engine->loading && !engine->closing && !engine->settings->readonly) {
		if (!engine_follows(engine))
			engine_expire_some(engine);
		if (!engine->partly)
			more |= engine_work(engine);
	}
	if (!engine->loading && !engine->partly)
		more |= checkpoints_step(engine);
	store_flush(engine->store);
	engine->is_pressed = store_is_pressed(engine->store);
	sessions_unpress(engine);
	more |= replication_step(engine);
	if (!engine->closing)
		more |= repairs_step(engine);
	waits_step(engine);
	if (engine->flush_sessions)
		flush_waiting_sessions(engine);
	return more;
}

/* One slice of sweeping for an index that has enough to reclaim, or of building its tables of
 * hashes. */
bool indexes_sweep(struct engine *engine)
{
	struct search_budget budget = {.units = 8};
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		if (engine->similars[i] != NULL && similar_step_is_due(engine->similars[i]))
			return similar_step(engine->similars[i], &budget) == ERR_AGAIN;
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		if (engine->indexes[i] != NULL && index_sweep_is_due(engine->indexes[i]))
			return index_sweep(engine->indexes[i], &budget) == ERR_AGAIN;
	return false;
}

struct closing {
	struct engine *engine;
	void         (*closed)(void *ctx);
	void          *ctx;
	struct checkpoint_waiter waiter;
};

static void closing_store_done(void *ctx)
{
	struct engine *engine = ctx;
	struct closing *closing = engine->closing_state;
	void (*closed)(void *) = closing->closed;
	void *closed_ctx = closing->ctx;
	memory_free(&engine->memory.engine, closing, sizeof(*closing));
	engine->closing_state = NULL;
	closed(closed_ctx);
}

static void closing_saved(struct checkpoint_waiter *waiter, enum err err)
{
	struct engine *engine = waiter->ctx;
	UNUSED(err);                          /* logged; the log has everything */
	store_close(engine->store, closing_store_done);
}

/* A last checkpoint makes the next start quick. */
static void closing_service_done(void *ctx)
{
	struct engine *engine = ctx;
	struct closing *closing = engine->closing_state;
	const struct settings *settings = engine->settings;
	struct checkpoint_stats stats;
	checkpoints_get_stats(engine, &stats);
	bool wanted = settings->checkpoint_interval_s > 0 || settings->checkpoint_bytes > 0;
	closing->waiter = (struct checkpoint_waiter){.done = closing_saved, .ctx = engine};
	list_init(&closing->waiter.link);
	wanted = wanted && !engine->partly && !engine->no_save;
	if (wanted && stats.changes > 0 && store_state(engine->store) == OK)
		checkpoints_ask(engine, &closing->waiter);
	else
		store_close(engine->store, closing_store_done);
}

static void closing_replication_done(struct engine *engine)
{
	image_service_close(engine, closing_service_done, engine);
}

void engine_close(struct engine *engine, void (*closed)(void *ctx), void *ctx)
{
	CHECK_OBJ(engine, ENGINE_MAGIC);
	ASSERT(!engine->closing);
	struct closing *closing = memory_alloc(&engine->memory.engine, sizeof(*closing));
	*closing = (struct closing){.engine = engine, .closed = closed, .ctx = ctx};
	engine->closing = true;
	waits_step(engine);
	checks_cancel(engine);
	proofs_cancel(engine);
	engine->closing_state = closing;
	reindex_stop(engine);
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		searches_cancel_db(engine, (uint8_t)i);
	replication_close(engine, closing_replication_done);
}

void engine_free(struct engine *engine)
{
	CHECK_OBJ(engine, ENGINE_MAGIC);
	pubsub_free(engine);
	ASSERT(list_is_empty(&engine->sessions));
	tracking_free(engine);
	replication_free(engine);
	rejoin_free(engine);
	repairs_free(engine);
	quarantine_free(engine);
	checks_cancel(engine);
	proofs_cancel(engine);
	image_service_free(engine);
	analysis_free(engine);
	blocked_free(engine);
	flushed_free(engine);
	doubts_clear(engine);
	collections_free(engine);
	fields_free(engine);
	users_free(engine);
	reindex_stop(engine);
	checkpoints_free(engine);
	tiers_free(engine);
	past_free(engine);
	dedupe_free(engine);
	scrub_free(engine);
	for (unsigned i = 0; i < DATABASE_COUNT; i++) {
		if (engine->kept != NULL)
			engine_index_drop(engine, (uint8_t)i);
		directory_fini(&engine->directories[i]);
	}
	kept_index_free(engine);
	slowlog_clear(engine);
	if (engine->hot != NULL)
		body_cache_free(engine->hot);
	if (engine->metas != NULL)
		body_cache_free(engine->metas);
	if (engine->store != NULL)
		store_free(engine->store);
	if (engine->pool != NULL)
		body_pool_free(engine->pool);
	struct memory boot = engine->memory.engine;
	DROP_OBJ(engine, ENGINE_MAGIC);
	memory_free(&boot, engine, sizeof(*engine));
}

void engine_setting_changed(struct engine *engine, const struct setting *setting)
{
	body_cache_set_budget(engine->hot, engine->settings->hot_memory);
	body_cache_set_budget(engine->metas, engine->settings->meta_memory);
	image_service_configure(engine);
	collections_configure(engine);
	analysis_wake(engine);
	replication_configure(engine);
	if (strcmp(setting->name, "requirepass") == 0)
		users_require_password(engine);
	engine->events->setting_changed(engine->events_ctx, setting);
}
