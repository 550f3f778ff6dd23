/* store/store.c: the doors of the store: open, append, flush, close, look. */
#include "store/clean.h"
#include "store/extend.h"

#include <errno.h>

static void store_tick(struct io_timer *timer);
static void store_delay(struct io_timer *timer);
static void store_run_deferred(struct io_timer *timer);

static char *store_copy_text(struct store *store, const char *text)
{
	if (text == NULL)
		return NULL;
	size_t bytes = strlen(text) + 1;
	char *copy = memory_alloc(store->memory, bytes);
	memcpy(copy, text, bytes);
	return copy;
}

static enum err store_check_options(const struct store_options *options)
{
	uint32_t bytes = options->segment_bytes;
	if (options->dir[TIER_HOT] == NULL || (bytes & (bytes - 1)) != 0)
		return ERR_INVALID;
	if (bytes != 0 && (bytes < 1U << 20 || bytes > 1U << 30))
		return ERR_INVALID;
	if (options->batches_in_flight > 4)
		return ERR_INVALID;
	ASSERT(options->memory != NULL);
	ASSERT(options->pool != NULL);
	return OK;
}

enum err store_new(struct io *io, const struct store_options *options,
    const struct store_events *events, void *ctx, struct store **out)
{
	enum err err = store_check_options(options);
	if (err != OK)
		return err;
	struct store *store = memory_zalloc(options->memory, sizeof(*store));
	store->magic = STORE_MAGIC;
	store->io = io;
	store->options = *options;
	store->events = *events;
	store->ctx = ctx;
	store->log = options->log;
	store->memory = options->memory;
	if (store->options.segment_bytes == 0)
		store->options.segment_bytes = 64 << 20;
	if (store->options.spare_segments <= RESERVE_SEGMENTS)
		store->options.spare_segments = RESERVE_SEGMENTS + 1;
	if (store->options.batches_in_flight == 0)
		store->options.batches_in_flight = 1;
	for (int tier = 0; tier < TIER_COUNT; tier++)
		store->dir[tier] = store_copy_text(store, options->dir[tier]);
	for (int number = 0; number < STREAM_COUNT; number++)
		stream_init(store, &store->streams[number], (enum log_stream)number);
	store->tier_used[TIER_HOT] = true;
	store->direct = true;
	store->next_segment = 1;
	store->next_lsn = 1;
	store->reclaim_lsn = store->keep_marks_lsn = UINT64_MAX;
	list_init(&store->reads_waiting);
	list_init(&store->reads_deferred);
	list_init(&store->reads_running);
	list_init(&store->moves);
	list_init(&store->moves_ended);
	io_timer_init(&store->tick, store_tick, store);
	io_timer_init(&store->delay, store_delay, store);
	io_timer_init(&store->deferred_timer, store_run_deferred, store);
	maker_init(store);
	chain_init(store);
	clean_init(store);
	err = checkpoint_init(store);
	if (err != OK) {
		store_free(store);
		return err;
	}
	*out = store;
	return OK;
}

static void store_teardown(struct store *store)
{
	ASSERT(maker_is_idle(store));
	io_timer_cancel(store->io, &store->tick);
	io_timer_cancel(store->io, &store->delay);
	io_timer_cancel(store->io, &store->deferred_timer);
	clean_fini(store);
	for (int number = 0; number < STREAM_COUNT; number++)
		stream_fini(&store->streams[number]);
	for (int tier = 0; tier < TIER_COUNT; tier++) {
		if (store->dir[tier] != NULL)
			memory_free(store->memory, store->dir[tier], strlen(store->dir[tier]) + 1);
	}
	while (store->segment_count > 0) {
		struct segment *segment = store->segments[store->segment_count - 1];
		if (segment->fd >= 0)
			io_close_now(store->io, segment->fd);
		segment->fd = -1;
		segment->pins = 0;
		segment_free(store, segment);
	}
	memory_free(store->memory, store->segments, store->segment_cap * sizeof(*store->segments));
	maker_fini(store);
	chain_fini(store);
	checkpoint_fini(store);
	memory_free(store->memory, store->voids, store->void_cap * sizeof(*store->voids));
	DROP_OBJ(store, STORE_MAGIC);
	memory_free(store->memory, store, sizeof(*store));
}

void store_free(struct store *store)
{
	if (store == NULL)
		return;
	CHECK_OBJ(store, STORE_MAGIC);
	recovery_free(store);
	ASSERT(list_is_empty(&store->reads_waiting) && list_is_empty(&store->reads_deferred));
	ASSERT(list_is_empty(&store->reads_running) && list_is_empty(&store->moves));
	store_teardown(store);
}

void store_abandon(struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	recovery_free(store);
	read_abandon(store);
	move_abandon(store);
	fail_abandon(store);
	maker_abandon(store);
	clean_abandon(store);
	for (int number = 0; number < STREAM_COUNT; number++) {
		struct stream *stream = &store->streams[number];
		stream->in_flight = 0;
		stream->syncing = false;
		if (stream->reach_segment != NULL)
			stream->reach_segment->pins--;
		stream->reach_segment = NULL;
		stream_abandon(stream);
	}
	store_teardown(store);
}

enum err store_open(struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	ASSERT(!store->opened && store->recovery == NULL);
	enum err err = recovery_start(store);
	if (err == OK)
		io_timer_set(store->io, &store->tick, TICK_US);
	return err;
}

static void store_tick(struct io_timer *timer)
{
	struct store *store = timer->ctx;
	CHECK_OBJ(store, STORE_MAGIC);
	io_timer_set(store->io, &store->tick, TICK_US);
	if (!store->opened)
		return;
	enum { HEAVY_BYTES = 32 << 20 };
	store->is_heavy = store->stats.appended_bytes - store->appended_seen > HEAVY_BYTES;
	store->appended_seen = store->stats.appended_bytes;
	commit_tick(store);
	checkpoint_pump(store);
	maker_pump(store);
	zeroer_pump(store);
	store->reclaim_due = true;
	reclaim_pump(store);
	clean_tick(store);
}

static void store_delay(struct io_timer *timer)
{
	struct store *store = timer->ctx;
	CHECK_OBJ(store, STORE_MAGIC);
	struct stream *stream = &store->streams[TIER_HOT];
	if (stream->open == NULL || stream->open->count == 0)
		return;
	stream->urge = true;
	commit_pump(stream);
}

void store_defer(struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	if (!io_timer_is_set(&store->deferred_timer))
		io_timer_set(store->io, &store->deferred_timer, 0);
}

static void store_run_deferred(struct io_timer *timer)
{
	struct store *store = timer->ctx;
	CHECK_OBJ(store, STORE_MAGIC);
	read_run_deferred(store);
	move_run_deferred(store);
	move_pump(store);
	store_check_closed(store);
}

void store_set_state(struct store *store, enum err state)
{
	ASSERT(state == OK || state == ERR_DISKFULL || state == ERR_READONLY);
	if (store->state == state || store->state == ERR_READONLY)
		return;
	if (state == OK)
		log_notice(store->log, "The store has room again");
	else
		log_warning(store->log, "The store is %s", err_name(state));
	store->state = state;
	if (store->opened)
		store->events.state(store->ctx, state);
}

enum err store_no_room(const struct store *store)
{
	if (store->state != OK)
		return store->state;
	bool full = store->maker.retry_us != 0 && !clean_is_helping(store);
	return full ? ERR_DISKFULL : ERR_OVERLOADED;
}

/* ---- Writing ---- */

enum err store_check_record(const struct store *store, const struct record *record)
{
	if (!store->opened || store->closing)
		return ERR_CLOSED;
	if (store->state == ERR_READONLY)
		return ERR_READONLY;
	ASSERT(record->type > 0 && record->type != RECORD_PART && record->type <= RECORD_CHANGE);
	ASSERT(record->body == NULL || body_is_full(record->body));
	ASSERT(record->body == NULL || record->value.len == 0);
	if (record->key.len > KEY_BYTES_MAX || record->meta.len > META_BYTES_MAX)
		return ERR_TOOLARGE;
	if (record->value.len > BODY_INLINE_MAX)
		return ERR_TOOLARGE;
	return OK;
}

/* After a recovery that cut something off, the log says so before it says anything else. */
enum err store_append_void(struct store *store)
{
	struct stream *stream = &store->streams[TIER_HOT];
	struct record record = {
		.type = RECORD_VOID,
		.lsn = store->next_lsn,
		.refers = store->void_from,
		.time_ms = io_wall_ms(store->io),
		.epoch = store->epoch,
		.sync = SYNC_ALWAYS,
	};
	const struct payload payload = {0};
	enum err err = stream_append(stream, &record, &payload, &record.place);
	if (err != OK)
		return err;
	void_note(store, store->void_from, store->next_lsn);
	store->next_lsn++;
	store->void_from = 0;
	if (store->events.appended != NULL)
		store->events.appended(store->ctx, &record);
	return OK;
}

enum err store_rewind(struct store *store, uint64_t lsn)
{
	CHECK_OBJ(store, STORE_MAGIC);
	ASSERT(!store->options.read_only);
	if (lsn + 1 >= store->next_lsn)
		return OK;
	store->void_from = lsn + 1;
	return store_append_void(store);
}

/* One record, or a chain if it is long and does not fit into what is left of the segment. */
static bool store_wants_chain(const struct store *store, const struct record *record)
{
	enum { NEVER_SPLIT = 1 << 20 };
	if (record->body == NULL)
		return false;
	if (record->body->len > store->options.segment_bytes / 2)
		return true;
	if (record->body->len <= NEVER_SPLIT)
		return false;
	uint64_t need = batch_bytes_alone(record, (uint32_t)record->body->len);
	return need > stream_room(&store->streams[TIER_HOT]);
}

static enum err store_append_one(struct store *store, struct record *record)
{
	struct stream *stream = &store->streams[TIER_HOT];
	struct payload payload = {.value = record->value, .len = (uint32_t)record->value.len};
	if (record->body != NULL) {
		payload.body = record->body;
		payload.len = (uint32_t)record->body->len;
		payload.crcs = record->body->chunk_crcs;
		ASSERT(payload.crcs != NULL);
	}
	enum err err = stream_append(stream, record, &payload, &record->place);
	if (err != OK)
		return err;
	if (record_is_mark(record->type, payload.len))
		record->place = (struct place){0};
	return OK;
}

enum err store_append_as(struct store *store, struct record *record, bool chained)
{
	struct stream *stream = &store->streams[TIER_HOT];
	record->place = (struct place){0};
	if (!store->in_group)
		store->group_always = 0;
	enum err err = chained ? chain_append(store, record) : store_append_one(store, record);
	if (err != OK)
		return err;
	store->next_lsn = record->lsn + 1;
	group_note(store, record);
	if (store->first_always == 0) {
		if (record->sync == SYNC_ALWAYS)
			store->first_always = record->lsn;
		else
			store->written_lsn = record->lsn;
	}
	store->stats.appended_records++;
	store->stats.appended_bytes += record->key.len + record->meta.len + record->value.len +
	    (record->body == NULL ? 0 : record->body->len);
	ASSERT(stream->open != NULL && stream->open->count > 0);
	if (!io_timer_is_set(&store->delay))
		io_timer_set(store->io, &store->delay, store->options.batch_delay_ms * 1000ULL);
	if (store->events.appended != NULL)
		store->events.appended(store->ctx, record);
	return OK;
}

enum err store_append(struct store *store, struct record *record)
{
	CHECK_OBJ(store, STORE_MAGIC);
	enum err err = store->is_following ? ERR_READONLY : store_check_record(store, record);
	if (err == OK && store->void_from != 0)
		err = store_append_void(store);
	if (err == OK && UNLIKELY(store->asks_preface))
		err = store_preface(store);
	if (err != OK)
		return err;
	record->lsn = store->next_lsn;
	record->time_ms = io_wall_ms(store->io);
	record->epoch = store->epoch;
	if (store->in_transaction)
		record->flags |= RECORD_CONTINUES;
	return store_append_as(store, record, store_wants_chain(store, record));
}

bool store_extend(struct store *store, uint64_t lsn, struct span more, struct place *place)
{
	CHECK_OBJ(store, STORE_MAGIC);
	if (!store->opened || store->closing || store->state == ERR_READONLY || lsn + 1 != store->next_lsn ||
	    store->in_transaction || store->in_group)
		return false;
	*place = stream_extend(&store->streams[TIER_HOT], lsn, more);
	if (place->bytes == 0)
		return false;
	store->stats.appended_bytes += more.len;
	if (store->events.extended != NULL)
		store->events.extended(store->ctx, lsn, more);
	return true;
}

void store_expect(struct store *store, uint64_t bytes)
{
	CHECK_OBJ(store, STORE_MAGIC);
	uint64_t segments = bytes / store->options.segment_bytes;
	ASSERT(segments < UINT32_MAX);
	store->expect_segments = max_u64(store->expect_segments, segments) & UINT32_MAX;
	maker_pump(store);
}

bool store_is_pressed(const struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	const struct stream *stream = &store->streams[TIER_HOT];
	uint32_t spares;
	if (store->state != OK || (store->maker.retry_us != 0 && !clean_is_helping(store)))
		return false;
	if (stream->failed || stream->batch_count > STREAM_BATCHES / 2)
		return true;
	segment_spare(store, TIER_HOT, &spares);
	if (spares > RESERVE_SEGMENTS)
		return false;
	uint64_t least = min_u64(store->options.segment_bytes / 4, 1 << 20);
	return stream->active == NULL || stream_room(stream) < least;
}

bool store_is_short(const struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	uint64_t max = store->options.disk_bytes_max;
	uint32_t spares;
	if (store->state == ERR_DISKFULL)
		return true;
	segment_spare(store, TIER_HOT, &spares);
	if (store->state != OK || spares >= store->options.spare_segments)
		return false;
	return max != 0 && !store->maker.busy &&
	    segment_bytes_of(store, TIER_HOT) + store->options.segment_bytes > max;
}

void store_flush(struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	for (int number = 0; number <= STREAM_WARM; number++)
		commit_pump(&store->streams[number]);     /* the cleaner sends its own */
	checkpoint_pump(store);
}

void store_sync(struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	struct stream *stream = &store->streams[TIER_HOT];
	store->sync_lsn = store->next_lsn - 1;
	if (stream->open != NULL && stream->open->count > 0) {
		stream->open->wants_sync = true;
		stream->urge = true;
	}
	stream->sync_wanted = !list_is_empty(&stream->batches);
	if (stream->failed)
		return;
	if (!stream->syncing)
		commit_advance(stream);
	commit_pump(stream);
}

uint64_t store_appended_bytes(const struct store *store)
{
	return store->stats.appended_bytes;
}
uint64_t store_last_lsn(const struct store *store) { return store->next_lsn - 1; }
uint64_t store_cut_from(const struct store *store) { return store->cut_from; }
uint64_t store_durable_lsn(const struct store *store) { return store->durable_lsn; }
uint64_t store_recorded_lsn(const struct store *store) { return store->recorded_lsn; }
uint64_t store_written_lsn(const struct store *store) { return store->written_lsn; }
enum err store_state(const struct store *store) { return store->state; }

void store_release(struct store *store, struct place place)
{
	CHECK_OBJ(store, STORE_MAGIC);
	if (place.segment == 0)
		return;
	struct segment *segment = segment_find(store, place.segment);
	ASSERT(segment != NULL);
	chain_drop(store, place);
	segment_release(store, segment, place.bytes);
}

void store_retain(struct store *store, struct place place)
{
	CHECK_OBJ(store, STORE_MAGIC);
	struct segment *segment = segment_find(store, place.segment);
	ASSERT(segment != NULL);
	ASSERT(segment->live_records > 0 || store->recovery != NULL);
	segment_retain(segment, place.bytes);
	chain_retain(store, place);
}

void store_note_death(struct store *store, struct place place)
{
	CHECK_OBJ(store, STORE_MAGIC);
	struct segment *segment = segment_find(store, place.segment);
	ASSERT(segment != NULL);
	segment_note_death(segment, store->recovery != NULL ? 0 : store->next_lsn - 1);
	segment->has_ended = true;
}

void store_note_deaths(struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	/* In recovery nobody knows any more when they died. */
	uint64_t lsn = store->recovery != NULL ? 0 : store->next_lsn - 1;
	for (uint32_t i = 0; i < store->segment_count; i++) {
		struct segment *segment = store->segments[i];
		if (segment->live_records == 0)
			continue;
		segment_note_death(segment, lsn);
		segment->has_ended = true;
	}
}

enum tier store_tier(const struct store *store, struct place place)
{
	const struct segment *segment = segment_find(store, place.segment);
	ASSERT(segment != NULL);
	return (enum tier)segment->tier;
}

/* ---- Closing ---- */

static bool store_is_quiet(const struct store *store)
{
	for (int number = 0; number < STREAM_COUNT; number++) {
		const struct stream *stream = &store->streams[number];
		if (stream->in_flight > 0 || stream->syncing || stream->reach_segment != NULL)
			return false;
		if (store->state != ERR_READONLY && !commit_is_quiet(stream))
			return false;
	}
	return maker_is_idle(store) && store->reads_active == 0 && store->moves_active == 0 &&
	    store->retiring == 0 && store->footers_active == 0 && store->repair == NULL &&
	    clean_is_idle(store) && checkpoint_is_idle(store) && recover_chunks_are_idle(store);
}

void store_check_closed(struct store *store)
{
	if (!store->closing || store->closed || !store_is_quiet(store))
		return;
	struct stream *hot = &store->streams[TIER_HOT];
	if (hot->unmarked && !hot->failed && store->state != ERR_READONLY && hot->open == NULL &&
	    hot->active != NULL) {
		hot->unmarked = false;
		stream_mark(hot);
		commit_pump(hot);
		if (!commit_is_quiet(hot))
			return;
	}
	store->closed = true;
	io_timer_cancel(store->io, &store->tick);
	io_timer_cancel(store->io, &store->delay);
	io_timer_cancel(store->io, &store->zero_timer);
	store->closed_event(store->ctx);
}

void store_close(struct store *store, void (*closed)(void *ctx))
{
	CHECK_OBJ(store, STORE_MAGIC);
	ASSERT(!store->closing);
	ASSERT(store->opened);
	store->closing = true;
	clean_stop(store);
	recover_chunks_stop(store);
	store->closed_event = closed;
	if (store->state != ERR_READONLY)
		store_sync(store);
	store_defer(store);           /* closed() never runs from here */
}

void store_get_stats(const struct store *store, struct store_stats *out)
{
	CHECK_OBJ(store, STORE_MAGIC);
	*out = store->stats;
	clean_get_stats(store, out);
	for (uint32_t i = 0; i < store->segment_count; i++) {
		const struct segment *segment = store->segments[i];
		out->tier[segment->tier].segments++;
		out->tier[segment->tier].bytes += segment->bytes;
		out->tier[segment->tier].live_bytes += segment->live_bytes;
		out->tier[segment->tier].live_records += segment->live_records;
		out->tier[segment->tier].tombstones += segment->marks;
		if (segment->record_bytes > segment->live_bytes)
			out->tier[segment->tier].dead_bytes +=
			    segment->record_bytes - segment->live_bytes;
	}
}
