/* store/recovery.c: drives recovery from phase to phase; reads windows of segments. See
 * recovery.h for the rules. */
#include "store/recovery.h"

#include "store/clean.h"

enum { WINDOW_LEAST = 16 << 10 };

static void recovery_wake(struct io_timer *timer)
{
	recovery_run(timer->ctx);
}

enum err recovery_start(struct store *store)
{
	struct recovery *recovery = memory_zalloc(store->memory, sizeof(*recovery));
	recovery->store = store;
	recovery->started_us = io_clock_us(store->io);
	recovery->load_fd = -1;
	buf_init(&recovery->manifest_file, store->memory);
	recovery->sector = memory_try_alloc_aligned(store->memory, SECTOR, SECTOR);
	ASSERT(recovery->sector != NULL);
	io_timer_init(&recovery->timer, recovery_wake, recovery);
	for (int tier = 0; tier < TIER_COUNT; tier++) {
		struct window *window = &recovery->window[tier];
		window->size = 4 * WINDOW_LEAST;
		window->buf = memory_try_alloc_aligned(store->memory, SECTOR, PIECE_BYTES);
		ASSERT(window->buf != NULL);
	}
	store->recovery = recovery;
	enum err err = recover_list(recovery);
	if (err != OK) {
		recovery_free(store);
		return err;
	}
	io_timer_set(store->io, &recovery->timer, 0);
	return OK;
}

void recovery_free(struct store *store)
{
	struct recovery *recovery = store->recovery;
	if (recovery == NULL)
		return;
	struct memory *memory = store->memory;
	io_timer_cancel(store->io, &recovery->timer);
	if (recovery->reading)
		store_read_fini(&recovery->read);
	for (uint32_t i = 0; i < recovery->name_count; i++)
		memory_free(memory, recovery->names[i], strlen(recovery->names[i]) + 1);
	memory_free(memory, recovery->names, recovery->name_count * sizeof(*recovery->names));
	memory_free(memory, recovery->name_tiers, recovery->name_count);
	memory_free(memory, recovery->file_path, recovery->file_path_bytes);
	recover_footer_free(recovery);
	recover_merge_free(recovery);
	recover_load_free(recovery);
	memory_free(memory, recovery->scanned,
	    recovery->scanned_count * sizeof(*recovery->scanned));
	memory_free(memory, recovery->found, recovery->found_cap * sizeof(*recovery->found));
	memory_free(memory, recovery->voids, recovery->void_cap * sizeof(*recovery->voids));
	memory_free(memory, recovery->runs, recovery->run_cap * sizeof(*recovery->runs));
	memory_free(memory, recovery->gaps, recovery->gap_cap * sizeof(*recovery->gaps));
	memory_free(memory, recovery->sector, SECTOR);
	for (int tier = 0; tier < TIER_COUNT; tier++)
		memory_free(memory, recovery->window[tier].buf, PIECE_BYTES);
	memory_free(memory, recovery, sizeof(*recovery));
	store->recovery = NULL;
}

void recovery_fail(struct recovery *recovery, enum err err)
{
	struct store *store = recovery->store;
	ASSERT(err != OK);
	ASSERT(!recovery->stopped);
	recovery->stopped = true;
	store->events.opened(store->ctx, err);
}

/* ---- Windows ---- */

static void window_done(struct io_op *op, int32_t result);

static void window_submit(struct recovery *recovery, struct window *window, uint64_t offset,
    size_t len)
{
	io_op_init(&window->op, window_done, recovery);
	window->iov =
	    (struct iovec){.iov_base = window->buf + (offset - window->from), .iov_len = len};
	const struct io_transfer transfer = {
		.fd = window->segment->fd,
		.offset = offset,
		.iov = &window->iov,
		.iov_count = 1,
	};
	ASSERT(len > 0);
	recovery->store->stats.reads++;
	io_read(recovery->store->io, &window->op, &transfer);
}

/* The read failed as a whole: sector by sector, what can be had. Unreadable bytes are bad
 * bytes: zeros, of which checksums will say so. True when the window is complete. */
static bool window_be_careful(struct recovery *recovery, struct window *window, bool failed)
{
	if (!window->is_careful) {
		window->is_careful = true;
		window->careful = 0;
	} else {
		if (failed) {
			memset(window->buf + window->careful, 0, SECTOR);
			log_warning(recovery->store->log, "%s is unreadable at %llu",
			    window->segment->path,
			    (unsigned long long)window->from + window->careful);
		}
		window->careful += SECTOR;
	}
	if (window->careful >= window->want) {
		window->is_careful = false;
		return true;
	}
	window_submit(recovery, window, window->from + window->careful, SECTOR);
	return false;
}

static void window_done(struct io_op *op, int32_t result)
{
	struct recovery *recovery = op->ctx;
	struct window *window = NULL;
	for (int tier = 0; tier < TIER_COUNT; tier++) {
		if (op == &recovery->window[tier].op)
			window = &recovery->window[tier];
	}
	ASSERT(window != NULL);
	bool failed = result < 0 || (size_t)result != window->iov.iov_len;
	if (result == 0) {                        /* the file has lost its end: zeros, as it was made */
		size_t from = window->is_careful ? window->careful : 0;
		memset(window->buf + from, 0, window->want - from);
		window->is_careful = failed = false;
	}
	recovery->store->stats.read_errors += failed;
	recovery->store->stats.read_bytes += window->iov.iov_len;
	if ((failed || window->is_careful) && !window_be_careful(recovery, window, failed))
		return;
	window->len = window->want;
	recovery_run(recovery);
}

/* The next read is long where bytes follow each other and short where bodies are skipped. */
static size_t window_next_size(const struct window *window, const struct segment *segment,
    uint64_t at)
{
	size_t size = window->size;
	uint64_t end = window->from + window->len;
	ASSERT(size >= WINDOW_LEAST);
	if (window->segment != segment || at > end + WINDOW_LEAST)
		size = window->size / 2;
	else if (at >= window->from)
		size = window->size * 2;
	if (size < WINDOW_LEAST)
		size = WINDOW_LEAST;
	return size > PIECE_BYTES ? (size_t)PIECE_BYTES : size;
}

struct span window_get(struct recovery *recovery, struct segment *segment, uint64_t at,
    uint64_t want)
{
	struct window *window = &recovery->window[segment->tier];
	uint64_t end = window->from + window->len;
	ASSERT(want > 0 && want <= PIECE_BYTES / 2);
	if (!io_op_is_idle(&window->op))
		return (struct span){0};      /* a chunk came before these bytes */
	if (window->segment == segment && at >= window->from && at + want <= end)
		return span_of(window->buf + (at - window->from), (size_t)(end - at));
	window->size = window_next_size(window, segment, at);
	uint64_t from = at / SECTOR * SECTOR;
	uint64_t to = round_up(max_u64(at + want, from + window->size), SECTOR);
	to = min_u64(to, segment->bytes);
	window->segment = segment;
	window->from = from;
	window->len = 0;
	window->want = (size_t)(to - from);
	ASSERT(window->want <= PIECE_BYTES);
	ASSERT(at + want <= to);
	window_submit(recovery, window, from, window->want);
	return (struct span){0};
}

enum err window_get_record(struct recovery *recovery, const struct found *found,
    struct record_view *view, struct span *bytes)
{
	struct segment *segment = segment_find(recovery->store, found->segment);
	uint64_t offset = (uint64_t)found->offset * RECORD_ALIGN, want = RECORD_HEADER;
	ASSERT(segment != NULL);
	struct stamp stamp = segment_stamp(segment, offset);
	for (int tries = 0; tries < 3; tries++) {
		*bytes = window_get(recovery, segment, offset, want);
		if (bytes->len == 0)
			return ERR_AGAIN;
		enum err err = record_parse(*bytes, &stamp, view);
		if (err == OK && view->header.lsn == found->lsn) {
			bool is_long = view->header.body_bytes > BODY_INLINE_MAX;
			want = is_long ? view->layout.head_bytes : view->layout.bytes;
			if (bytes->len >= want)
				return OK;
		} else if (err == ERR_AGAIN) {
			want = view->layout.head_bytes;
		} else {
			return ERR_CORRUPT;
		}
	}
	return ERR_CORRUPT;
}

/* ---- Phases ---- */

static bool recovery_make(struct recovery *recovery)
{
	struct store *store = recovery->store;
	uint32_t spares;
	if (store->options.read_only)
		return true;
	segment_spare(store, TIER_HOT, &spares);
	ASSERT(store->state != ERR_READONLY);
	return spares > RESERVE_SEGMENTS || store->maker.retry_us != 0 ||
	    store->state == ERR_DISKFULL;
}

static void recovery_finish(struct recovery *recovery)
{
	struct store *store = recovery->store;
	store->stats.recovered_us = io_clock_us(store->io) - recovery->started_us;
	recovery->stopped = true;
	store->opened = true;
	store->reclaim_due = true;
	store->whole = !recover_chunks_are_left(recovery);
	if (store->whole)
		recover_count_lost(store);
	log_notice(store->log, "Recovered %llu records from %u segments in %llu ms",
	    (unsigned long long)store->stats.recovered_records, store->segment_count,
	    (unsigned long long)store->stats.recovered_us / 1000);
	for (uint32_t i = 0; i < recovery->void_count; i++) {
		const struct void_range *range = &recovery->voids[i];
		if (recover_find(recovery, range->to) != NULL)
			void_note(store, range->from, range->to);
	}
	if (store->whole)
		recovery_free(store);
	else
		recover_chunks_behind(recovery);
	if (store->options.read_only) {
		store->void_from = 0;
		store->state = ERR_READONLY;
	}
	store->events.opened(store->ctx, OK);
	/* Not where these LSNs will be given again: store_follow. */
	if (store->void_from != 0 && store_append_void(store) != OK)
		log_verbose(store->log, "No room yet to say what was cut");
	store_flush(store);
	if (store->state != OK)
		store->events.state(store->ctx, store->state);
}

static bool recovery_step(struct recovery *recovery)
{
	switch ((enum recovery_phase)recovery->phase) {
	case RECOVERY_FILES:
		return recover_files(recovery);
	case RECOVERY_SCAN:
		return recover_scan(recovery);
	case RECOVERY_SALVAGE:
		if (!recover_salvage(recovery))
			return false;
		recover_follow_on(recovery);
		recover_judge(recovery);
		return true;
	case RECOVERY_VERIFY:
		return recover_verify(recovery);
	case RECOVERY_SORT:
		if (!recover_merge(recovery))
			return false;
		recover_sort(recovery);
		return true;
	case RECOVERY_LOAD:
		return recover_load(recovery);
	case RECOVERY_SEAL:
		return recover_seal(recovery);
	case RECOVERY_DELIVER:
		if (!recover_deliver(recovery))
			return false;
		maker_pump(recovery->store);
		return true;
	case RECOVERY_MAKE:
		return recovery_make(recovery);
	}
	return false;
}

/* Once a second; how far it is follows from the phase. */
static void recovery_say(struct recovery *recovery)
{
	enum { SAY_US = 1000000 };
	struct store *store = recovery->store;
	struct store_progress progress;
	uint64_t now_us = io_clock_us(store->io);
	if (recovery->said_us == 0)
		recovery->said_us = now_us;
	if (now_us - recovery->said_us < SAY_US)
		return;
	recovery->said_us = now_us;
	store_get_progress(store, &progress);
	log_notice(store->log, "Loading: %.1f%%, %zu records in %u segments seen, %llu taken over",
	    100.0 * (double)progress.loaded_bytes / (double)max_u64(progress.total_bytes, 1),
	    recovery->found_count, store->segment_count,
	    (unsigned long long)store->stats.recovered_records);
}

/* Half of the way is to find the records, the other half to tell of them. */
void store_get_progress(const struct store *store, struct store_progress *out)
{
	CHECK_OBJ(store, STORE_MAGIC);
	const struct recovery *recovery = store->recovery;
	*out = (struct store_progress){0};
	for (uint32_t i = 0; i < store->segment_count; i++)
		out->total_bytes += store->segments[i]->bytes;
	if (recovery == NULL) {
		out->loaded_bytes = store->opened ? out->total_bytes : 0;
		return;
	}
	uint64_t half = out->total_bytes / 2;
	if (recovery->phase == RECOVERY_SCAN)
		out->loaded_bytes = half * recovery->at / max_u64(recovery->scanned_count, 1);
	else if (recovery->phase > RECOVERY_SCAN)
		out->loaded_bytes = half;
	if (recovery->phase == RECOVERY_DELIVER)
		out->loaded_bytes += (uint64_t)((double)half * (double)recovery->next /
		    (double)max_u64(recovery->found_count, 1));
	else if (recovery->phase > RECOVERY_DELIVER)
		out->loaded_bytes = out->total_bytes;
}

void recovery_run(struct recovery *recovery)
{
	if (recovery->stopped || recovery->running)
		return;
	recovery->running = true;
	recovery_say(recovery);
	while (recovery_step(recovery)) {
		if (recovery->stopped)
			break;
		if (recovery->phase == RECOVERY_MAKE) {
			recovery_finish(recovery);
			return;
		}
		recovery->phase++;
	}
	recovery->running = false;
}

void recovery_maker_done(struct store *store)
{
	struct recovery *recovery = store->recovery;
	if (recovery != NULL && recovery->phase == RECOVERY_MAKE)
		recovery_run(recovery);
}

/* From the maker's call: not at once. */
void recovery_no_room(struct store *store)
{
	struct recovery *recovery = store->recovery;
	if (recovery != NULL && recovery->phase == RECOVERY_MAKE && !recovery->stopped)
		io_timer_set(store->io, &recovery->timer, 0);
}
