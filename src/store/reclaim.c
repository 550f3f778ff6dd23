/* store/reclaim.c: segments in which nothing is alive.
 *
 * Such a segment goes when its records are known on disk, elsewhere, to have been durable
 * (recovery would take a hole among younger LSNs for a torn tail), when whatever superseded them is
 * durable, and when no other segment holds anything older than its marks, which might
 * otherwise come back (clean.h has the exact rule). It is recycled while spares are short, else
 * unlinked. Until either is
 * known to be durable it counts as being there: a power cut may bring it back.
 */
#include "store/clean.h"

static void reclaim_closed(struct io_op *op, int32_t result);

/* The smallest LSN outside of `segment`. */
static uint64_t reclaim_oldest_elsewhere(const struct store *store, const struct segment *segment)
{
	uint64_t oldest = UINT64_MAX;
	for (uint32_t i = 0; i < store->segment_count; i++) {
		if (store->segments[i] != segment)
			oldest = min_u64(oldest, store->segments[i]->lsn_min);
	}
	return oldest;
}

/* EXPIRE marks apart. */
static bool reclaim_marks_needed(const struct store *store, const struct segment *segment)
{
	const struct clean_pins pins = clean_pins(store);
	ASSERT(segment->marks > 0);
	return clean_needs_mark(&pins, segment, segment->mark_lsn_max);
}

/* Nobody needs it any more, once this LSN is known on disk to be durable. */
static bool segment_is_dying(const struct segment *segment, uint64_t *lsn)
{
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	*lsn = max_u64(segment->lsn_max, segment->free_lsn);
	return segment->state == SEGMENT_SEALED && segment->live_records == 0 &&
	    segment->pins == 0 && segment->zero_iov.iov_len == 0;
}

/* Without the commit block that says how far the log was durable, a recovery would cut it. */
static bool segment_may_go(const struct store *store, const struct segment *segment, uint64_t lsn)
{
	return lsn <= store->recorded_lsn && segment->id != store->recorded_in;
}

bool segment_is_dead(const struct store *store, const struct segment *segment)
{
	uint64_t lsn;
	if (!segment_is_dying(segment, &lsn) || !segment_may_go(store, segment, lsn))
		return false;
	ASSERT(segment->live_bytes == 0);
	if (segment->marks == 0)
		return true;
	/* A checkpoint may know of keys whose records are gone: their marks must be replayed. */
	if (segment->mark_lsn_max >= checkpoint_keep_lsn(store))
		return false;
	if (segment->mark_lsn_max > store->keep_marks_lsn)
		return false;                 /* a follower has not heard of them yet */
	if (reclaim_oldest_elsewhere(store, segment) > segment->mark_lsn_max)
		return true;
	return segment->expires == 0 && !reclaim_marks_needed(store, segment);
}

static bool segment_is_reusable(const struct store *store, const struct segment *segment)
{
	ASSERT(segment->bytes > 0 || segment->state == SEGMENT_LOST);
	return !segment->failed && segment->bytes == store->options.segment_bytes;
}

struct segment *reclaim_reusable(const struct store *store, enum tier tier)
{
	if (!store->whole || !(store->reclaim_due || store->recorded_lsn >= store->reclaim_lsn))
		return NULL;
	for (uint32_t i = 0; i < store->segment_count; i++) {
		struct segment *segment = store->segments[i];
		if (segment->tier == tier && segment_is_reusable(store, segment) &&
		    segment_is_dead(store, segment))
			return segment;
	}
	return NULL;
}

static void reclaim_synced(struct io_op *op, int32_t result)
{
	struct segment *segment = op->ctx;
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	struct store *store = segment->store;
	ASSERT(store->retiring > 0);
	store->retiring--;
	if (result < 0) {
		/* It stays in the table until the next start: it may come back. */
		log_warning(store->log, "Cannot unlink %s: %s", segment->path,
		    err_name(io_err(result)));
	} else {
		segment_free(store, segment);
		store->stats.segments_unlinked++;
	}
	store->maker.retry_us = 0;            /* there may be room now */
	maker_pump(store);
	store->reclaim_due = true;
	reclaim_pump(store);
	store_check_closed(store);
}

static void reclaim_unlinked(struct io_op *op, int32_t result)
{
	struct segment *segment = op->ctx;
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	if (result < 0) {
		reclaim_synced(op, result);
		return;
	}
	struct store *store = segment->store;
	io_op_init(&segment->op, reclaim_synced, segment);
	io_sync_directory(store->io, &segment->op, store->dir[segment->tier]);
}

static void reclaim_closed(struct io_op *op, int32_t result)
{
	struct segment *segment = op->ctx;
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	UNUSED(result);
	io_op_init(&segment->op, reclaim_unlinked, segment);
	io_unlink(segment->store->io, &segment->op, segment->path);
}

static void reclaim_unlink(struct store *store, struct segment *segment)
{
	ASSERT(segment->state == SEGMENT_SEALED);
	segment_set_state(segment, SEGMENT_RETIRING);
	store->retiring++;
	int fd = segment->fd;
	segment->fd = -1;
	io_op_init(&segment->op, reclaim_closed, segment);
	io_close(store->io, &segment->op, fd);
}

/* True if something was begun and there may be more to do. */
static bool reclaim_one(struct store *store, struct segment *segment)
{
	uint32_t spares;
	segment_spare(store, segment->tier, &spares);
	uint32_t want = segment->tier == TIER_HOT ? store->options.spare_segments : 1;
	/* Where the operator gave the store its room, it keeps what was made and zeroed once. */
	want += 2 + (uint32_t)(store->options.disk_bytes_max / store->options.segment_bytes / 4);
	bool short_of = spares < want;
	ASSERT(segment->fd >= 0);
	if (!segment_is_reusable(store, segment) || !short_of || !store->tier_used[segment->tier]) {
		reclaim_unlink(store, segment);
		return true;
	}
	if (store->maker.busy)
		return false;                 /* its turn comes */
	maker_recycle(store, segment);
	return true;
}

void reclaim_pump(struct store *store)
{
	if (store->recorded_lsn >= store->reclaim_lsn)
		store->reclaim_due = true;
	if (!store->reclaim_due || !store->whole || store->closing ||
	    store->state == ERR_READONLY)
		return;
	store->reclaim_due = false;
	store->reclaim_lsn = UINT64_MAX;
	for (uint32_t i = 0; i < store->segment_count; i++) {
		struct segment *segment = store->segments[i];
		uint64_t lsn;
		if (segment_is_dying(segment, &lsn) && !segment_may_go(store, segment, lsn))
			store->reclaim_lsn = min_u64(store->reclaim_lsn, lsn);
		if (!segment_is_dead(store, segment))
			continue;
		store->reclaim_due = true;
		if (!reclaim_one(store, segment))
			return;
		i = UINT32_MAX;               /* the table changed: from the start */
		if (store->retiring > 0)
			return;                   /* one at a time: the oldest frees the next */
	}
	store->reclaim_due = false;
}
