/* store/clean.c: drives the cleaner from piece to piece. See clean.h for the rules.
 *
 * It runs from its own timer and from the ends of its reads, never from within a call of the
 * owner. Between two runs it either reads, or its timer is set, or it waits for clean_pump: a
 * batch of copies to become durable, or a segment to be made.
 */
#include "store/clean.h"

static void clean_run(struct cleaner *cleaner);

static void clean_wakes(struct io_timer *timer)
{
	clean_run(timer->ctx);
}

void clean_init(struct store *store)
{
	struct cleaner *cleaner = memory_zalloc(store->memory, sizeof(*cleaner));
	cleaner->magic = CLEANER_MAGIC;
	cleaner->store = store;
	cleaner->disk_free = UINT64_MAX / 2;
	io_timer_init(&cleaner->timer, clean_wakes, cleaner);
	store->cleaner = cleaner;
}

void clean_abandon(struct store *store)
{
	struct cleaner *cleaner = store->cleaner;
	CHECK_OBJ(cleaner, CLEANER_MAGIC);
	cleaner->reading = false;
	cleaner->copies = 0;
}

void clean_fini(struct store *store)
{
	struct cleaner *cleaner = store->cleaner;
	DROP_OBJ(cleaner, CLEANER_MAGIC);
	ASSERT(!cleaner->reading);
	io_timer_cancel(store->io, &cleaner->timer);
	body_unref(cleaner->window);
	memory_free(store->memory, cleaner, sizeof(*cleaner));
	store->cleaner = NULL;
}

bool clean_is_idle(const struct store *store)
{
	/* Read-only, copies under way will not end. */
	return !store->cleaner->reading &&
	    (store->cleaner->copies == 0 || store->state == ERR_READONLY);
}

bool clean_is_helping(const struct store *store)
{
	const struct cleaner *cleaner = store->cleaner;
	CHECK_OBJ(cleaner, CLEANER_MAGIC);
	if (store->events.is_live == NULL || !store->opened || cleaner->stopped)
		return false;
	if (!store->whole)
		return true;                  /* it soon will be */
	return cleaner->victim != NULL || !cleaner->hopeless || store->reclaim_lsn != UINT64_MAX ||
	    store->retiring > 0;
}

/* Is there anything that it waits for, and that clean_pump will tell of? */
static bool clean_is_waiting(const struct cleaner *cleaner)
{
	return !cleaner->reading && !cleaner->running && !io_timer_is_set(&cleaner->timer);
}

static void clean_after(struct cleaner *cleaner, uint64_t delay_us)
{
	ASSERT(!cleaner->reading);
	if (!cleaner->stopped)
		io_timer_set(cleaner->store->io, &cleaner->timer, delay_us);
}

/* ---- The window ---- */

static void clean_read_done(struct io_op *op, int32_t result);

static void clean_read(struct cleaner *cleaner)
{
	struct store *store = cleaner->store;
	size_t len = min_u64(PIECE_BYTES, cleaner->window->block_bytes - cleaner->have);
	ASSERT(len > 0 && len % SECTOR == 0);
	cleaner->iov = (struct iovec){cleaner->window->block + cleaner->have, len};
	io_op_init(&cleaner->op, clean_read_done, cleaner);
	const struct io_transfer transfer = {
		.fd = cleaner->victim->fd,
		.offset = cleaner->from + cleaner->have,
		.iov = &cleaner->iov,
		.iov_count = 1,
	};
	cleaner->reading = true;
	store->stats.reads++;
	io_read(store->io, &cleaner->op, &transfer);
}

/* The window goes to byte `at` of the victim, and holds `want` bytes from there at least. */
static enum clean_step clean_want(struct cleaner *cleaner, uint64_t at, uint64_t want)
{
	uint64_t from = at / SECTOR * SECTOR;
	uint64_t to = round_up(max_u64(at + want, from + PIECE_BYTES), SECTOR);
	size_t bytes = (size_t)(min_u64(to, cleaner->victim->bytes) - from);
	ASSERT(at + want <= cleaner->victim->bytes);
	struct body *window = cleaner->window;
	if (window == NULL || window->refs > 1 || window->block_bytes != bytes) {
		body_unref(window);
		cleaner->window = NULL;
		if (body_new_heap(cleaner->store->memory, bytes, &cleaner->window) != OK)
			return CLEAN_WAIT;
	}
	cleaner->from = from;
	cleaner->have = cleaner->checked = 0;
	clean_read(cleaner);
	return CLEAN_READ;
}

/* What the window holds from `at` on. */
static struct span clean_bytes(const struct cleaner *cleaner, uint64_t at)
{
	uint64_t end = cleaner->from + cleaner->have;
	if (cleaner->window == NULL || at < cleaner->from || at >= end)
		return (struct span){0};
	return span_of(cleaner->window->block + (at - cleaner->from), (size_t)(end - at));
}

/* Checks the body of the record at `at` as far as it is there, beyond what was checked. */
static bool clean_check(struct cleaner *cleaner, const struct record_view *view, uint64_t at)
{
	struct span body = clean_bytes(cleaner, at + view->layout.body_at);
	if (cleaner->checked_at != at)
		cleaner->checked = 0;
	cleaner->checked_at = at;
	bool whole = body.len >= view->header.body_bytes;
	size_t len = whole ? view->header.body_bytes : body.len / CHUNK_BYTES * CHUNK_BYTES;
	ASSERT(cleaner->checked % CHUNK_BYTES == 0 || cleaner->checked == len);
	if (len <= cleaner->checked)
		return true;
	struct span fresh = span_slice(body, cleaner->checked, len - cleaner->checked);
	if (!record_check_chunks(view->crcs, (uint32_t)(cleaner->checked / CHUNK_BYTES), fresh))
		return false;
	cleaner->checked = len;
	return true;
}

static void clean_corrupt(struct cleaner *cleaner, const char *what, const struct record *record)
{
	struct store *store = cleaner->store;
	const struct place place = {cleaner->victim->id,
	    (uint32_t)(cleaner->scan.record_at / RECORD_ALIGN), 0};
	log_warning(store->log, "Segment %u, offset %llu: %s; it is kept as it is",
	    place.segment, (unsigned long long)cleaner->scan.record_at, what);
	cleaner->victim->left_alone = true;
	store->stats.corrupt_records++;
	store->events.corrupt(store->ctx, place, record);
}

static void clean_read_done(struct io_op *op, int32_t result)
{
	struct cleaner *cleaner = op->ctx;
	CHECK_OBJ(cleaner, CLEANER_MAGIC);
	struct store *store = cleaner->store;
	ASSERT(cleaner->reading && cleaner->victim != NULL);
	cleaner->reading = false;
	if (result < 0 || (size_t)result != cleaner->iov.iov_len) {
		store->stats.read_errors++;
		cleaner->scan.record_at = cleaner->from + cleaner->have;
		clean_corrupt(cleaner, "unreadable", NULL);
		cleaner->ended = true;
	} else {
		cleaner->have += (size_t)result;
		store->stats.read_bytes += (uint64_t)result;
	}
	if (cleaner->stopped) {
		store_check_closed(store);
		return;
	}
	bool more = !cleaner->ended && cleaner->have < cleaner->window->block_bytes;
	if (more) {
		/* A long record, which begins in the first sector: checked as it comes. */
		struct record_view view;
		struct stamp stamp = segment_stamp(cleaner->victim, cleaner->scan.at);
		struct span bytes = clean_bytes(cleaner, cleaner->scan.at);
		if (record_parse(bytes, &stamp, &view) == OK)
			(void)clean_check(cleaner, &view, cleaner->scan.at);
		clean_read(cleaner);
		return;
	}
	/* One slice: the rest that it takes makes up for the time it took. */
	uint64_t took = io_clock_us(store->io) - cleaner->slice_us;
	double rest = cleaner->duty < 1 ? (double)took * (1 - cleaner->duty) / cleaner->duty : 0;
	clean_after(cleaner, rest < TICK_US ? (uint64_t)rest : TICK_US);
}

/* ---- The victim ---- */

static bool clean_begin(struct cleaner *cleaner)
{
	struct store *store = cleaner->store;
	const struct clean_room room = clean_room(store);
	struct segment *victim = NULL;
	ASSERT(cleaner->victim == NULL && cleaner->copies == 0);
	if (store->state == ERR_READONLY || store->void_from != 0)
		return false;
	cleaner->duty = store->state == ERR_DISKFULL || store->maker.retry_us != 0
	    ? 1 : clean_duty(&room);
	if (cleaner->duty > 0) {
		victim = clean_pick_pinning(store);
		if (victim == NULL)
			victim = clean_pick(store);
		cleaner->hopeless = victim == NULL;   /* until the next tick */
	} else if (cleaner->idle_ticks >= CLEAN_IDLE_TICKS) {
		cleaner->duty = 0.2;
		victim = clean_pick_idle(store);
	}
	if (victim == NULL) {
		cleaner->duty = 0;
		return false;
	}
	victim->pins++;
	cleaner->victim = victim;
	cleaner->done.victims++;
	cleaner->ended = cleaner->lost = false;
	cleaner->from = cleaner->have = 0;
	scan_init(&cleaner->scan, victim->id, victim->nonce, victim->bytes);
	log_debug(store->log, "Cleaning segment %u: %llu of %llu bytes live", victim->id,
	    (unsigned long long)victim->live_bytes, (unsigned long long)victim->bytes);
	return true;
}

static void clean_finish(struct cleaner *cleaner)
{
	struct store *store = cleaner->store;
	struct segment *victim = cleaner->victim;
	ASSERT(victim != NULL && victim->pins > 0);
	ASSERT(cleaner->copies == 0);
	victim->pins--;
	cleaner->victim = NULL;
	if (cleaner->lost || victim->left_alone || victim->live_records > 0) {
		victim->clean_after_us = io_now_us(store->io) + CLEAN_RETRY_US;
		return;
	}
	victim->evacuated = true;
	victim->marks = victim->mark_bytes = victim->expires = victim->expire_bytes = 0;
	/* What was not copied is not needed, as things stand now. */
	victim->free_lsn = max_u64(victim->free_lsn, store->next_lsn - 1);
	cleaner->done.evacuated++;
	store->reclaim_due = true;
	reclaim_pump(store);
	commit_hurry(store);
}

static enum clean_step clean_record(struct cleaner *cleaner, const struct scan *before)
{
	const struct record_view *view = &cleaner->scan.view;
	uint64_t at = cleaner->scan.record_at;
	if (!clean_is_needed(cleaner))
		return CLEAN_ON;
	if (clean_bytes(cleaner, at).len < view->layout.bytes) {
		uint64_t bytes = view->layout.bytes;      /* the view goes with the scan */
		cleaner->scan = *before;
		return clean_want(cleaner, at, bytes);
	}
	if (!clean_check(cleaner, view, at)) {
		struct record record;
		record_from_view(view, &record);
		clean_corrupt(cleaner, "a record fails its checksum", &record);
		return CLEAN_END;
	}
	enum err err = clean_copy(cleaner);
	if (err == OK)
		return CLEAN_ON;
	if (err == ERR_TOOLARGE) {            /* segments were larger once */
		cleaner->victim->left_alone = true;
		return CLEAN_END;
	}
	cleaner->scan = *before;
	return CLEAN_WAIT;
}

static enum clean_step clean_step(struct cleaner *cleaner)
{
	struct scan *scan = &cleaner->scan;
	const struct segment *victim = cleaner->victim;
	if (cleaner->ended || scan->sealed || scan->at >= victim->tail)
		return CLEAN_END;
	struct span bytes = clean_bytes(cleaner, scan->at);
	uint64_t least = min_u64(COMMIT_BYTES, victim->bytes - scan->at);
	if (bytes.len < least)
		return clean_want(cleaner, scan->at, least);
	const struct scan before = *scan;
	switch (scan_next(scan, bytes)) {
	case SCAN_RECORD:
		return clean_record(cleaner, &before);
	case SCAN_COMMIT:
		return CLEAN_ON;
	case SCAN_MORE:
		return clean_want(cleaner, scan->at, scan->want);
	case SCAN_END:
		return CLEAN_END;
	case SCAN_BAD:
		break;
	}
	scan->record_at = scan->at;
	clean_corrupt(cleaner, "a record or commit block is corrupt", NULL);
	return CLEAN_END;
}

/* The copies made so far are on their way. */
static void clean_send(struct cleaner *cleaner)
{
	struct store *store = cleaner->store;
	for (int number = STREAM_WARM; number < STREAM_COUNT; number++) {
		struct stream *stream = &store->streams[number];
		if (stream->open == NULL || stream->open->count == 0)
			continue;
		stream->urge = true;
		commit_pump(stream);
	}
}

/* Steps until something must be waited for; false: the victim is done with. */
static bool clean_slice(struct cleaner *cleaner)
{
	enum clean_step step = CLEAN_ON;
	cleaner->pins_known = false;
	for (uint32_t i = 0; step == CLEAN_ON; i++) {
		if (cleaner->copies_bytes >= CLEAN_COPIES_BYTES)
			return true;
		if (i == CLEAN_SLICE_RECORDS) {
			clean_after(cleaner, 0);
			return true;
		}
		step = clean_step(cleaner);
	}
	if (step != CLEAN_END)
		return true;
	cleaner->ended = true;
	return cleaner->copies > 0;
}

static void clean_run(struct cleaner *cleaner)
{
	CHECK_OBJ(cleaner, CLEANER_MAGIC);
	struct store *store = cleaner->store;
	ASSERT(!cleaner->reading);
	if (cleaner->stopped || !store->whole)
		return;
	cleaner->slice_us = io_clock_us(store->io);
	if (cleaner->victim == NULL && !clean_begin(cleaner)) {
		if (cleaner->hopeless)
			maker_pump(store);    /* which says that the store is full, if it is */
		return;
	}
	cleaner->running = true;
	bool waits = clean_slice(cleaner);
	clean_send(cleaner);
	cleaner->running = false;
	uint64_t took = io_clock_us(store->io) - cleaner->slice_us;
	cleaner->done.slice_us_max = max_u64(cleaner->done.slice_us_max, took);
	if (waits)
		return;
	clean_finish(cleaner);
	clean_after(cleaner, 0);
}

/* ---- From outside ---- */

void clean_pump(struct store *store)
{
	struct cleaner *cleaner = store->cleaner;
	CHECK_OBJ(cleaner, CLEANER_MAGIC);
	if (cleaner->victim != NULL && clean_is_waiting(cleaner))
		clean_after(cleaner, 0);
}

void clean_wake(struct store *store)
{
	struct cleaner *cleaner = store->cleaner;
	CHECK_OBJ(cleaner, CLEANER_MAGIC);
	/* With a victim it waits for a batch or a segment, and clean_pump tells it: to try again
	 * before that is in vain, and whoever waits for room asks often. */
	if (!store->whole || store->events.is_live == NULL || cleaner->hopeless ||
	    cleaner->victim != NULL || !clean_is_waiting(cleaner))
		return;
	const struct clean_room room = clean_room(store);
	if (clean_duty(&room) > 0)            /* else what is needed is being made */
		clean_after(cleaner, 0);
}

void clean_tick(struct store *store)
{
	enum { DISK_TICKS = 8, IDLE_BYTES = 64 << 10 };
	struct cleaner *cleaner = store->cleaner;
	CHECK_OBJ(cleaner, CLEANER_MAGIC);
	if (store->events.is_live == NULL || cleaner->stopped)
		return;
	bool idle = store->stats.appended_bytes < cleaner->appended_seen + IDLE_BYTES;
	cleaner->idle_ticks = idle ? cleaner->idle_ticks + 1 : 0;
	cleaner->appended_seen = store->stats.appended_bytes;
	uint64_t free = 0, total;
	if (store->options.disk_bytes_max == 0 && cleaner->ticks % DISK_TICKS == 0 &&
	    io_disk_space(store->io, store->dir[TIER_HOT], &free, &total) == OK)
		cleaner->disk_free = free;
	cleaner->ticks++;
	cleaner->hopeless = false;
	if (clean_is_waiting(cleaner))
		clean_after(cleaner, 0);
}

void clean_stop(struct store *store)
{
	struct cleaner *cleaner = store->cleaner;
	CHECK_OBJ(cleaner, CLEANER_MAGIC);
	cleaner->stopped = true;
	io_timer_cancel(store->io, &cleaner->timer);
	clean_send(cleaner);
}

void clean_get_stats(const struct store *store, struct store_stats *out)
{
	const struct cleaner *cleaner = store->cleaner;
	CHECK_OBJ(cleaner, CLEANER_MAGIC);
	struct clean_room room = clean_room(store);
	out->cleaner.victims = cleaner->done.victims;
	out->cleaner.evacuated = cleaner->done.evacuated;
	out->cleaner.records = cleaner->done.records;
	out->cleaner.bytes = cleaner->done.bytes;
	out->cleaner.marks = cleaner->done.marks;
	out->cleaner.marks_dropped = cleaner->done.marks_dropped;
	out->cleaner.slice_us_max = cleaner->done.slice_us_max;
	out->cleaner.free_segments = room.free;
	out->cleaner.total_segments = room.total;
	if (cleaner->victim != NULL)
		out->cleaner.duty_percent = (uint32_t)(cleaner->duty * 100);
}
