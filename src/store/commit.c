/* store/commit.c: batches to the disk, and what is durable.
 *
 * Group commit without a timer for whoever waits: the open batch goes when nothing that
 * somebody waits for is under way, or when it has gathered GATHER_BYTES; until then it grows.
 * Records that nobody waits for gather up to batch_delay_ms or GATHER_BYTES_IDLE.
 *
 * A batch somebody waits for is one write with RWF_DSYNC. If batches before it were written
 * without a sync, it is a plain write and one sync over all of them instead: recovery keeps a
 * prefix of the log, so nothing is durable before what precedes it. Writes end in any
 * order; batches leave the list, and are acknowledged, strictly in theirs.
 */
#include "store/clean.h"

static void commit_write_done(struct io_op *op, int32_t result);
static void commit_sync_done(struct io_op *op, int32_t result);

static void commit_submit(struct stream *stream, struct batch *batch)
{
	struct store *store = stream->store;
	ASSERT(batch->state == BATCH_WAITING);
	ASSERT(batch->bytes % SECTOR == 0);
	batch->state = BATCH_WRITING;
	batch->submitted_us = io_clock_us(store->io);
	stream->in_flight++;
	io_op_init(&batch->op, commit_write_done, batch);
	const struct io_transfer transfer = {
		.fd = batch->segment->fd,
		.durable = batch->sync == BATCH_DSYNC,
		.offset = batch->offset,
		.iov = batch->pieces,
		.iov_count = batch->piece_count,
	};
	io_write(store->io, &batch->op, &transfer);
}

/* Something that is waited for has not reached the disk yet. */
static bool commit_is_busy(const struct stream *stream)
{
	if (stream->in_flight > 0)
		return true;
	for (struct list *at = stream->batches.next; at != &stream->batches; at = at->next) {
		const struct batch *batch = LIST_OF(at, struct batch, link);
		if (batch->wants_sync)
			return true;
	}
	return false;
}

static bool commit_should_go(const struct stream *stream)
{
	const struct batch *batch = stream->open;
	if (batch == NULL || batch->count == 0)
		return false;
	if (stream->urge ||
	    batch->bytes >= (batch->wants_sync ? GATHER_BYTES : GATHER_BYTES_IDLE))
		return true;
	return batch->wants_sync && !commit_is_busy(stream);
}

/* Submits closed batches in order. True if none has to wait. */
static bool commit_submit_waiting(struct stream *stream)
{
	for (struct list *at = stream->batches.next; at != &stream->batches; at = at->next) {
		struct batch *batch = LIST_OF(at, struct batch, link);
		if (batch->state != BATCH_WAITING)
			continue;
		if (stream->in_flight >= stream->store->options.batches_in_flight)
			return false;
		uint64_t end = batch->offset + batch->bytes;
		bool covered = end <= reach_end(batch->segment);
		if (zeroer_overlaps(batch->segment, batch->offset, end))
			return false;
		if (covered)
			commit_submit(stream, batch);
		reach_extend(stream, batch->segment, end);
		if (!covered)
			return false;
	}
	return true;
}

void commit_pump(struct stream *stream)
{
	CHECK_OBJ(stream, STREAM_MAGIC);
	if (stream->failed || !commit_submit_waiting(stream))
		return;
	if (stream->in_flight >= stream->store->options.batches_in_flight)
		return;
	if (!commit_should_go(stream))
		return;
	stream_close_batch(stream, false);
	commit_submit_waiting(stream);
}

bool commit_is_quiet(const struct stream *stream)
{
	bool open = stream->open != NULL && stream->open->count > 0;
	return !open && list_is_empty(&stream->batches) && !stream->syncing &&
	    stream->in_flight == 0;
}

/* Reads of its records may go ahead: every batch before it was written too. */
static void commit_note_written(struct stream *stream)
{
	for (struct list *at = stream->batches.next; at != &stream->batches; at = at->next) {
		struct batch *batch = LIST_OF(at, struct batch, link);
		if (batch->state != BATCH_WRITTEN || batch->rewritten)
			break;
		uint64_t end = batch->offset + batch->bytes;
		batch->segment->written = max_u64(batch->segment->written, end);
	}
	read_pump_waiting(stream->store);
}

static void commit_durable(struct stream *stream, struct batch *batch)
{
	struct store *store = stream->store;
	ASSERT(batch->state == BATCH_WRITTEN);
	ASSERT(stream->batches.next == &batch->link);
	/* Noted already, unless it was written while the stream had failed in another segment. */
	uint64_t end = batch->offset + batch->bytes;
	if (batch->segment->written < end) {
		batch->segment->written = end;
		read_pump_waiting(store);
	}
	stream->durable_segment = batch->segment->id;
	stream->durable_sector = (uint32_t)((batch->offset + batch->bytes) / SECTOR);
	if (stream->number == STREAM_USER)
		store->durable_lsn = max_u64(store->durable_lsn, batch->new_lsn);
	if (batch->recorded_lsn >= store->recorded_lsn) {
		store->recorded_lsn = batch->recorded_lsn;
		store->recorded_in = batch->segment->id;
	}
	if (batch->count > 0)
		stream->unmarked = true;
	else if ((batch->commit.flags & COMMIT_SEAL) == 0)
		stream->unmarked = false;
	move_batch_durable(batch);
	footer_note_durable(batch);
	clean_batch_durable(batch);
	stream_batch_done(stream, batch);
}

/* The sync, if one is due: over the written batches at the head that lie in one segment. */
static void commit_start_sync(struct stream *stream)
{
	struct store *store = stream->store;
	struct batch *last = NULL;
	uint32_t count = 0;
	bool due = false;
	for (struct list *at = stream->batches.next; at != &stream->batches; at = at->next) {
		struct batch *batch = LIST_OF(at, struct batch, link);
		if (batch->state != BATCH_WRITTEN || batch->rewritten)
			break;
		if (last != NULL && batch->segment != last->segment)
			break;
		last = batch;
		count++;
		due = due || batch->sync == BATCH_FSYNC;
	}
	due = due || stream->sync_wanted || count >= STREAM_UNSYNCED;
	if (last == NULL || !due)
		return;
	stream->syncing = true;
	stream->sync_upto = last;
	stream->sync_started_us = io_clock_us(store->io);
	io_op_init(&stream->sync_op, commit_sync_done, stream);
	io_sync(store->io, &stream->sync_op, last->segment->fd);
}

void commit_advance(struct stream *stream)
{
	struct store *store = stream->store;
	ASSERT(!stream->failed);
	if (stream->syncing)
		return;
	while (!list_is_empty(&stream->batches)) {
		struct batch *batch = LIST_OF(stream->batches.next, struct batch, link);
		if (batch->state != BATCH_WRITTEN || batch->sync != BATCH_DSYNC || batch->rewritten)
			break;
		commit_durable(stream, batch);
	}
	if (list_is_empty(&stream->batches) ||
	    (stream->number == STREAM_USER && store->durable_lsn >= store->sync_lsn))
		stream->sync_wanted = false;
	commit_start_sync(stream);
}

void commit_update_written(struct store *store)
{
	const struct stream *stream = &store->streams[STREAM_USER];
	uint64_t always = 0;
	for (struct list *at = stream->batches.next; at != &stream->batches; at = at->next) {
		always = LIST_OF(at, struct batch, link)->always_lsn;
		if (always != 0)
			break;
	}
	if (always == 0 && stream->open != NULL)
		always = stream->open->always_lsn;
	store->first_always = always;
	store->written_lsn = always != 0 ? always - 1 : store->next_lsn - 1;
	ASSERT(store->written_lsn < store->next_lsn);
}

void commit_tell(struct store *store)
{
	commit_update_written(store);
	if (store->written_lsn == store->told_written && store->durable_lsn == store->told_durable)
		return;
	ASSERT(store->durable_lsn >= store->told_durable);
	store->told_written = store->written_lsn;
	store->told_durable = store->durable_lsn;
	if (store->opened)
		store->events.durable(store->ctx, store->written_lsn);
}

static void commit_moved_on(struct stream *stream)
{
	struct store *store = stream->store;
	commit_advance(stream);
	commit_pump(stream);
	commit_tell(store);
	move_pump(store);
	reclaim_pump(store);
	commit_hurry(store);
	clean_pump(store);
	store_check_closed(store);
}

void commit_written(struct stream *stream)
{
	CHECK_OBJ(stream, STREAM_MAGIC);
	ASSERT(!stream->failed);
	commit_note_written(stream);
	commit_moved_on(stream);
}

/* A durable write, or a sync, took so long. */
static void commit_note_sync(struct store *store, uint64_t us)
{
	struct store_stats *stats = &store->stats;
	uint32_t bucket = us < 2 ? 0 : 63 - (uint32_t)__builtin_clzll(us);
	ASSERT(bucket < 64);
	stats->syncs++;
	stats->sync_us_total += us;
	stats->sync_us_max = max_u64(stats->sync_us_max, us);
	stats->sync_us[bucket < SYNC_BUCKETS ? bucket : SYNC_BUCKETS - 1]++;
}

static void commit_write_done(struct io_op *op, int32_t result)
{
	struct batch *batch = op->ctx;
	struct stream *stream = batch->stream;
	struct store *store = stream->store;
	CHECK_OBJ(stream, STREAM_MAGIC);
	ASSERT(batch->state == BATCH_WRITING);
	ASSERT(stream->in_flight > 0);
	stream->in_flight--;
	store->stats.batches++;
	if (result < 0 || (uint64_t)result != batch->bytes) {
		batch->state = BATCH_WAITING;
		fail_stream(stream, batch->segment, "write", result);
		return;
	}
	batch->state = BATCH_WRITTEN;
	store->stats.written_bytes += batch->bytes;
	if (batch->sync == BATCH_DSYNC) {
		commit_note_sync(store, io_clock_us(store->io) - batch->submitted_us);
	}
	if (stream->failed) {
		fail_pump(stream);
		return;
	}
	if (batch->rewritten) {
		fail_batch_written(batch);
		return;
	}
	commit_written(stream);
}

static void commit_sync_done(struct io_op *op, int32_t result)
{
	struct stream *stream = op->ctx;
	CHECK_OBJ(stream, STREAM_MAGIC);
	struct store *store = stream->store;
	ASSERT(stream->syncing);
	stream->syncing = false;
	commit_note_sync(store, io_clock_us(store->io) - stream->sync_started_us);
	struct batch *upto = stream->sync_upto;
	stream->sync_upto = NULL;
	if (result < 0) {
		fail_stream(stream, upto->segment, "sync", result);
		return;
	}
	bool last = false;
	while (!last) {
		struct batch *batch = LIST_OF(stream->batches.next, struct batch, link);
		last = batch == upto;
		commit_durable(stream, batch);
	}
	if (stream->failed)
		fail_pump(stream);            /* a write failed meanwhile */
	else
		commit_moved_on(stream);
}

/* After a start, or when its last segment was sealed, the log has nowhere to say what became
 * durable; a dead segment may wait for that. */
static void commit_open_for_mark(struct stream *stream)
{
	struct store *store = stream->store;
	ASSERT(stream->number == STREAM_USER);
	if (stream->active != NULL || stream->failed || store->state == ERR_READONLY)
		return;
	if (store->reclaim_lsn == UINT64_MAX || store->reclaim_lsn > store->durable_lsn)
		return;
	/* The last spare will do: what the mark says makes at least one segment free. */
	if (stream_next_segment(stream, 0) == OK) {
		stream->unmarked = true;
		return;
	}
	/* There is none: any stream's commit block can say it. */
	for (int number = STREAM_USER + 1; number < STREAM_COUNT; number++) {
		struct stream *other = &store->streams[number];
		bool room = other->active != NULL && !other->failed && stream_room(other) >= SECTOR;
		if (room && store->recorded_lsn < store->reclaim_lsn)
			other->unmarked = true;
	}
}

/* Streams in which all is quiet say what became durable. */
void store_record_durable(struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	commit_open_for_mark(&store->streams[STREAM_USER]);
	for (int number = 0; number < STREAM_COUNT; number++) {
		struct stream *stream = &store->streams[number];
		if (stream->failed || !stream->unmarked || !commit_is_quiet(stream))
			continue;
		if (stream->active == NULL || stream->open != NULL)
			continue;
		if (stream_room(stream) >= SECTOR) {
			stream_mark(stream);
		} else {                      /* the seal has its place, and says as much */
			stream_end_segment(stream);
			stream->unmarked = false;
		}
		commit_pump(stream);
	}
}

void commit_hurry(struct store *store)
{
	uint32_t spares;
	segment_spare(store, TIER_HOT, &spares);
	if (store->reclaim_lsn == UINT64_MAX || store->recorded_lsn >= store->reclaim_lsn ||
	    spares > RESERVE_SEGMENTS + 1 || store->state == ERR_READONLY || store->closing)
		return;
	if (store->durable_lsn >= store->reclaim_lsn && commit_is_quiet(&store->streams[STREAM_USER]))
		store_record_durable(store);
	else if (store->sync_lsn < store->reclaim_lsn || store->sync_lsn + 1 < store->next_lsn)
		store_sync(store);    /* what nobody waits for stands in the way of the mark */
}

/* Once a second: what was promised within a second, and a mark when all is quiet. */
void commit_tick(struct store *store)
{
	struct stream *hot = &store->streams[TIER_HOT];
	bool everysec = hot->open != NULL && hot->open->everysec;
	for (struct list *at = hot->batches.next; at != &hot->batches; at = at->next)
		everysec = everysec || LIST_OF(at, struct batch, link)->everysec;
	if (everysec && !hot->failed)
		store_sync(store);
	store_record_durable(store);
	commit_hurry(store);
}
