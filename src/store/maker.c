/* store/maker.c: makes segments, one at a time, ahead of need.
 *
 * New:      create, allocate, header copy at the end, header, sync of the directory.
 * Recycled: header copy at the end, header (from here on the old records are void, for the
 *           nonce has changed), rename, sync of the directory. A crash between the two headers
 *           leaves the old segment; one that tears the first leaves the new one.
 *
 * A spare is zeroed from its end towards its start in slices, so that later writes
 * change no file system metadata. Being zeroed does not matter for correctness, unless the
 * file system cannot allocate: then a segment is zeroed before it counts as a spare.
 */
#include "store/clean.h"

#include <errno.h>

enum maker_step {
	MAKER_OPEN,
	MAKER_ALLOCATE,
	MAKER_EXTEND,
	MAKER_TRAILER,
	MAKER_HEADER,
	MAKER_RENAME,
	MAKER_SYNC,
	MAKER_ZERO,
	MAKER_CLEAN_CLOSE,
	MAKER_CLEAN_UNLINK,
	MAKER_CLEAN_SYNC,
};

/* Between pieces, beside writes, which gain from zeros, and beside reads, which wait behind each piece. */
enum { ZERO_PACE_US = 4000, ZERO_PACE_READS_US = 20000 };

static void maker_step_done(struct io_op *op, int32_t result);
static void zeroer_wake(struct io_timer *timer);
static void zeroer_done(struct io_op *op, int32_t result);

void maker_init(struct store *store)
{
	struct maker *maker = &store->maker;
	io_op_init(&maker->op, maker_step_done, store);
	maker->header = memory_try_alloc_aligned(store->memory, SECTOR, SECTOR);
	store->zeros = memory_try_alloc_aligned(store->memory, SECTOR, PIECE_BYTES);
	ASSERT(maker->header != NULL);
	ASSERT(store->zeros != NULL);
	memset(store->zeros, 0, PIECE_BYTES);
	io_timer_init(&store->zero_timer, zeroer_wake, store);
}

void maker_fini(struct store *store)
{
	ASSERT(maker_is_idle(store));
	io_timer_cancel(store->io, &store->zero_timer);
	memory_free(store->memory, store->maker.header, SECTOR);
	memory_free(store->memory, store->zeros, PIECE_BYTES);
}

void maker_abandon(struct store *store)
{
	struct maker *maker = &store->maker;
	if (maker->old_path != NULL)
		memory_free(store->memory, maker->old_path, strlen(maker->old_path) + 1);
	maker->old_path = NULL;
	maker->busy = false;
	if (store->zeroed != NULL)
		store->zeroed->zero_iov.iov_len = 0;
	store->zeroed = NULL;
}

bool maker_is_idle(const struct store *store)
{
	return !store->maker.busy && store->zeroed == NULL;
}

static void maker_write_header(struct store *store, bool trailer)
{
	struct maker *maker = &store->maker;
	const struct segment *segment = maker->segment;
	struct segment_header header;
	segment_fill_header(segment, &header);
	segment_header_write(maker->header, &header);
	maker->iov = (struct iovec){.iov_base = maker->header, .iov_len = SECTOR};
	const struct io_transfer transfer = {
		.fd = segment->fd,
		.durable = true,
		.offset = trailer ? segment->bytes - SECTOR : 0,
		.iov = &maker->iov,
		.iov_count = 1,
	};
	io_write(store->io, &maker->op, &transfer);
}

static void maker_submit(struct store *store)
{
	struct maker *maker = &store->maker;
	struct segment *segment = maker->segment;
	uint32_t direct = store->direct ? (uint32_t)IO_DIRECT : 0;
	int fd;
	ASSERT(maker->busy);
	switch ((enum maker_step)maker->step) {
	case MAKER_OPEN:
		io_open(store->io, &maker->op, segment->path,
		    IO_READ | IO_WRITE | IO_CREATE | IO_TRUNCATE | direct);
		break;
	case MAKER_ALLOCATE:
		io_allocate(store->io, &maker->op, segment->fd, segment->bytes);
		break;
	case MAKER_EXTEND:
		io_truncate(store->io, &maker->op, segment->fd, segment->bytes);
		break;
	case MAKER_TRAILER:
	case MAKER_HEADER:
		maker_write_header(store, maker->step == MAKER_TRAILER);
		break;
	case MAKER_RENAME:
		io_rename(store->io, &maker->op, maker->old_path, segment->path);
		break;
	case MAKER_SYNC:
	case MAKER_CLEAN_SYNC:
		io_sync_directory(store->io, &maker->op, store->dir[segment->tier]);
		break;
	case MAKER_ZERO:
		zeroer_pump(store);
		break;
	case MAKER_CLEAN_CLOSE:
		fd = segment->fd;
		segment->fd = -1;
		io_close(store->io, &maker->op, fd);
		break;
	case MAKER_CLEAN_UNLINK:
		io_unlink(store->io, &maker->op, segment->path);
		break;
	}
}

static void maker_go(struct store *store, enum maker_step step)
{
	store->maker.step = (uint8_t)step;
	maker_submit(store);
}

static void maker_finish(struct store *store)
{
	struct maker *maker = &store->maker;
	struct segment *segment = maker->segment;
	ASSERT(segment->state == SEGMENT_MAKING);
	segment_set_state(segment, SEGMENT_SPARE);
	segment->zero_first = false;
	if (maker->recycling)
		store->stats.segments_recycled++;
	else
		store->stats.segments_created++;
	maker->busy = false;
	maker->segment = NULL;
	maker->retry_us = 0;
	maker->failures = 0;
	uint32_t spares;
	segment_spare(store, TIER_HOT, &spares);
	if (store->state == ERR_DISKFULL && spares > RESERVE_SEGMENTS)
		store_set_state(store, OK);
	recovery_maker_done(store);
	for (int number = 0; number < STREAM_COUNT; number++) {
		fail_pump(&store->streams[number]);
		commit_pump(&store->streams[number]);
	}
	move_pump(store);
	clean_pump(store);
	zeroer_pump(store);
	maker_pump(store);
	recovery_maker_done(store);           /* that may have come to the limit of the disk */
	reclaim_pump(store);
	store_check_closed(store);
}

/* Only the reserve is left: the store is full, unless the cleaner can still help. */
static void maker_no_room(struct store *store)
{
	clean_wake(store);
	if (store->state == OK && !clean_is_helping(store))
		store_set_state(store, ERR_DISKFULL);
	recovery_no_room(store);
}

/* No segment can be made now: what is there is used up first. */
static void maker_give_up(struct store *store, enum tier tier)
{
	store->maker.busy = false;
	store->maker.segment = NULL;
	if (store->maker.failures == 1) {     /* an error, not a full disk: once more, at once */
		maker_pump(store);
		if (store->maker.busy)
			return;
	}
	store->maker.retry_us = io_now_us(store->io) + TICK_US;
	uint32_t spares;
	segment_spare(store, TIER_HOT, &spares);
	if (tier == TIER_HOT && spares <= RESERVE_SEGMENTS)
		maker_no_room(store);
	recovery_maker_done(store);
	for (int number = 0; number < STREAM_COUNT; number++)
		fail_pump(&store->streams[number]);
	move_pump(store);
	store_check_closed(store);
}

/* The file keeps the name that it had. */
static void maker_keep_name(struct store *store)
{
	struct maker *maker = &store->maker;
	struct segment *segment = maker->segment;
	if (maker->old_path == NULL)
		return;
	ASSERT(segment->path != NULL);
	memory_free(store->memory, segment->path, segment->path_bytes);
	segment->path = maker->old_path;
	segment->path_bytes = strlen(segment->path) + 1;
	maker->old_path = NULL;
}

static void maker_failed(struct store *store, int32_t result)
{
	struct maker *maker = &store->maker;
	struct segment *segment = maker->segment;
	log_warning(store->log, "Cannot make segment %s (step %d): %s", segment->path,
	    maker->step, err_name(io_err(result)));
	if (io_err(result) != ERR_DISKFULL) {
		store->stats.write_errors++;
		maker->failures++;
	}
	maker->recycling = false;
	maker_keep_name(store);
	maker_go(store, segment->fd >= 0 ? MAKER_CLEAN_CLOSE : MAKER_CLEAN_UNLINK);
}

static void maker_clean_done(struct store *store, int32_t result)
{
	struct maker *maker = &store->maker;
	struct segment *segment = maker->segment;
	enum tier tier = segment->tier;
	if (maker->step == MAKER_CLEAN_CLOSE) {
		maker_go(store, MAKER_CLEAN_UNLINK);
		return;
	}
	if (maker->step == MAKER_CLEAN_UNLINK && result >= 0) {
		maker_go(store, MAKER_CLEAN_SYNC);
		return;
	}
	/* A recycled one that may come back after a power cut goes on counting. */
	if (result < 0 && segment->lsn_min != UINT64_MAX)
		segment_set_state(segment, SEGMENT_RETIRING);
	else
		segment_free(store, segment);
	maker_give_up(store, tier);
}

/* The steps that bear a failure, or lead elsewhere than to the next one. */
static void maker_opened(struct store *store, int32_t result)
{
	struct segment *segment = store->maker.segment;
	if (result == -EINVAL && store->direct) {
		log_notice(store->log, "No direct I/O on %s: buffered writes and syncs instead",
		    store->dir[segment->tier]);
		store->direct = false;
		maker_go(store, MAKER_OPEN);
	} else if (result < 0) {
		maker_failed(store, result);
	} else {
		segment->fd = result;
		maker_go(store, MAKER_ALLOCATE);
	}
}

static void maker_step_done(struct io_op *op, int32_t result)
{
	struct store *store = op->ctx;
	CHECK_OBJ(store, STORE_MAGIC);
	struct maker *maker = &store->maker;
	enum maker_step step = maker->step;
	ASSERT(maker->busy);
	if (step >= MAKER_CLEAN_CLOSE) {
		maker_clean_done(store, result);
	} else if (step == MAKER_OPEN) {
		maker_opened(store, result);
	} else if (step == MAKER_ALLOCATE && (result == -EOPNOTSUPP || result == -ENOSYS)) {
		maker->segment->zero_first = true;
		maker_go(store, MAKER_EXTEND);
	} else if (result < 0 && step != MAKER_RENAME) {
		maker_failed(store, result);
	} else if ((step == MAKER_TRAILER || step == MAKER_HEADER) && result != SECTOR) {
		maker_failed(store, -EIO);
	} else if (step == MAKER_ALLOCATE) {
		maker_go(store, MAKER_TRAILER);
	} else if (step == MAKER_HEADER) {
		segment_clear(maker->segment);
		maker_go(store, maker->recycling ? MAKER_RENAME : MAKER_SYNC);
	} else if (step == MAKER_RENAME && result < 0) {
		maker_keep_name(store);
		maker_go(store, MAKER_SYNC);
	} else if (step == MAKER_RENAME) {
		memory_free(store->memory, maker->old_path, strlen(maker->old_path) + 1);
		maker->old_path = NULL;
		maker_go(store, MAKER_SYNC);
	} else if (step == MAKER_SYNC) {
		if (maker->segment->zero_first)
			maker_go(store, MAKER_ZERO);
		else
			maker_finish(store);
	} else {
		maker_go(store, (enum maker_step)(step + 1));
	}
}

static void maker_begin(struct store *store, struct segment *segment, bool recycling)
{
	struct maker *maker = &store->maker;
	ASSERT(!maker->busy);
	segment_set_state(segment, SEGMENT_MAKING);
	io_random(store->io, &segment->nonce, sizeof(segment->nonce));
	segment->parts = 1;
	segment->created_ms = io_wall_ms(store->io);
	maker->busy = true;
	maker->recycling = recycling;
	maker->segment = segment;
	maker_go(store, recycling ? MAKER_TRAILER : MAKER_OPEN);
}

void maker_recycle(struct store *store, struct segment *segment)
{
	ASSERT(segment->pins == 0 && segment->live_records == 0);
	char name[32];
	uint32_t id = store->next_segment++;
	store->maker.old_path = segment->path;
	segment_name(name, segment->tier, id);
	segment_set_id(store, segment, id);
	segment->path = segment_path_new(store, segment->tier, name, &segment->path_bytes);
	segment->zero_from = SECTOR;
	maker_begin(store, segment, true);
}

/* Failed writes, or starts after power cuts, took the last spares, so that the cleaner has nowhere
 * to write: for this some more segments are made than the limit allows. */
static bool maker_is_stuck(const struct store *store)
{
	uint32_t spares;
	segment_spare(store, TIER_HOT, &spares);
	uint64_t over = (RESERVE_SEGMENTS - 1) * (uint64_t)store->options.segment_bytes;
	return spares == 0 && store->opened && store->streams[STREAM_SHORT].active == NULL &&
	    store->streams[STREAM_LONG].active == NULL &&
	    segment_bytes_of(store, TIER_HOT) <= store->options.disk_bytes_max + over;
}

static bool maker_may_create(struct store *store, enum tier tier)
{
	uint64_t max = store->options.disk_bytes_max;
	uint32_t spares;
	ASSERT(tier < TIER_COUNT);
	if (tier != TIER_HOT || max == 0)
		return true;
	if (segment_bytes_of(store, tier) + store->options.segment_bytes <= max)
		return true;
	if (maker_is_stuck(store))
		return true;
	segment_spare(store, tier, &spares);
	if (spares <= RESERVE_SEGMENTS)
		maker_no_room(store);
	return false;
}

bool maker_can_offer(const struct store *store, uint32_t count)
{
	uint64_t max = store->options.disk_bytes_max, dead = 0, spare = 0;
	if (max == 0)
		return true;
	for (uint32_t i = 0; i < store->segment_count; i++) {
		const struct segment *segment = store->segments[i];
		if (segment->tier != TIER_HOT)
			continue;
		if (segment->state == SEGMENT_SEALED)
			dead += segment->bytes - min_u64(segment->bytes, segment->live_bytes);
		else if (segment->state != SEGMENT_ACTIVE)
			spare++;
	}
	uint64_t used = segment_bytes_of(store, TIER_HOT);
	uint64_t room = (used < max ? max - used : 0) / store->options.segment_bytes;
	return room + spare + dead / store->options.segment_bytes >= count;
}

void maker_pump(struct store *store)
{
	if (store->maker.busy || store->closing || store->state == ERR_READONLY)
		return;
	if (io_now_us(store->io) < store->maker.retry_us)
		return;
	for (int tier = 0; tier < TIER_COUNT; tier++) {
		uint32_t spares, want = 1;
		if (tier == TIER_HOT)
			want = store->options.spare_segments + store->expect_segments;
		segment_spare(store, (enum tier)tier, &spares);
		if (!store->tier_used[tier] || spares >= want)
			continue;
		struct segment *dead = reclaim_reusable(store, (enum tier)tier);
		if (dead != NULL) {
			maker_recycle(store, dead);
			return;
		}
		if (!maker_may_create(store, (enum tier)tier))
			continue;
		char name[32];
		uint32_t id = store->next_segment++;
		segment_name(name, (enum tier)tier, id);
		struct segment *segment = segment_new(store, (enum tier)tier, id, name);
		segment->zero_from = segment->bytes - SECTOR;
		maker_begin(store, segment, false);
		return;
	}
}

/* ---- Zeroing ---- */

bool zeroer_overlaps(const struct segment *segment, uint64_t from, uint64_t to)
{
	uint64_t slice = segment->zero_iov.iov_len;
	ASSERT(from < to);
	return slice > 0 && from < segment->zero_from && to > segment->zero_from - slice;
}

static void zeroer_wake(struct io_timer *timer)
{
	struct store *store = timer->ctx;
	CHECK_OBJ(store, STORE_MAGIC);
	zeroer_pump(store);
}

/* From here on it may be zeroed: of a segment in use, what no batch comes near to yet. */
static uint64_t zeroer_floor(const struct store *store, const struct segment *segment)
{
	uint64_t end = segment->tail;
	if (segment->state != SEGMENT_ACTIVE)
		return SECTOR;
	for (int number = 0; number < STREAM_COUNT; number++) {
		const struct stream *stream = &store->streams[number];
		if (stream->active == segment && stream->open != NULL)
			end = max_u64(end, stream->open->offset + stream->open->bytes);
	}
	return round_up(end + 2 * PIECE_BYTES, SECTOR);
}

static bool zeroer_wants(const struct store *store, const struct segment *segment)
{
	ASSERT(segment->zero_from >= SECTOR);
	if (segment->zero_from <= zeroer_floor(store, segment) || segment->fd < 0 || segment->failed)
		return false;
	if (segment->state == SEGMENT_MAKING)
		return segment->zero_first;
	/* Zeros help small writes. Long ones fill segments faster, and need the bandwidth. */
	return !store->is_heavy &&
	    (segment->state == SEGMENT_SPARE || segment->state == SEGMENT_ACTIVE);
}

void zeroer_pump(struct store *store)
{
	if (store->zeroed != NULL || store->closing || store->options.read_only ||
	    io_timer_is_set(&store->zero_timer))
		return;
	struct segment *segment = NULL;
	for (uint32_t i = 0; i < store->segment_count && segment == NULL; i++) {
		if (zeroer_wants(store, store->segments[i]))
			segment = store->segments[i];
	}
	if (segment == NULL)
		return;
	if (segment->state == SEGMENT_MAKING && store->maker.step != MAKER_ZERO)
		return;
	uint64_t len = min_u64(PIECE_BYTES, segment->zero_from - zeroer_floor(store, segment));
	ASSERT(len > 0);
	store->zeroed = segment;
	segment->zero_iov = (struct iovec){.iov_base = store->zeros, .iov_len = (size_t)len};
	io_op_init(&segment->zero_op, zeroer_done, segment);
	const struct io_transfer transfer = {
		.fd = segment->fd,
		.offset = segment->zero_from - len,
		.iov = &segment->zero_iov,
		.iov_count = 1,
	};
	io_write(store->io, &segment->zero_op, &transfer);
}

static void zeroer_done(struct io_op *op, int32_t result)
{
	struct segment *segment = op->ctx;
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	struct store *store = segment->store;
	uint64_t len = segment->zero_iov.iov_len;
	ASSERT(store->zeroed == segment);
	store->zeroed = NULL;
	segment->zero_iov.iov_len = 0;
	if (result == (int32_t)len) {
		segment->zero_from -= len;
		store->stats.written_bytes += len;
		store->stats.zeroed_bytes += len;
	} else if (segment->zero_first) {
		maker_failed(store, result < 0 ? result : -ENOSPC);
		return;
	} else {
		store->stats.write_errors++;
		log_warning(store->log, "Zeros for segment %u failed: %s", segment->id,
		    result < 0 ? err_name(io_err(result)) : "short");
		segment->zero_from = SECTOR;      /* not needed; a real write will tell */
	}
	for (int number = 0; number < STREAM_COUNT; number++)
		commit_pump(&store->streams[number]);
	if (segment->zero_first && segment->zero_from == SECTOR && !store->closing) {
		maker_finish(store);
		return;
	}
	if (segment->zero_first && store->closing)
		maker_failed(store, -ECANCELED);
	uint64_t pace_us = store->reads_active > 0 ? ZERO_PACE_READS_US : ZERO_PACE_US;
	bool busy = store->reads_active > 0 || store->streams[TIER_HOT].in_flight > 0;
	if (busy && !segment->zero_first)
		io_timer_set(store->io, &store->zero_timer, pace_us);
	else
		zeroer_pump(store);
	store_check_closed(store);
}
