/* store/fail.c: when a write or a sync fails.
 *
 * Nothing is tried again in the segment where it happened: the kernel may have dropped the
 * error together with the bytes. Once all writes under way have ended, the batches that are
 * not durable, which are all still in memory, go in order to a fresh segment, are read back
 * and compared; only then are they acknowledged, and the owner is offered the new places. If
 * that fails too, or no segment can be had, the store is read-only from then on.
 *
 * Copies on their way to another tier or out of a segment that is being cleaned are simply
 * given up: the originals are where they were.
 */
#include "store/clean.h"

/* Batches under repair: how far the one at the front was compared. */
struct repair {
	struct batch *batch;              /* being read back */
	uint64_t      at;
	uint8_t      *buf;                /* PIECE_BYTES */
	struct iovec  iov;
	struct io_op  op;
	uint32_t      left;               /* batches not yet compared */
};

static void fail_read_done(struct io_op *op, int32_t result);

static void fail_repair_free(struct store *store)
{
	memory_free(store->memory, store->repair->buf, PIECE_BYTES);
	memory_free(store->memory, store->repair, sizeof(*store->repair));
	store->repair = NULL;
}

void fail_abandon(struct store *store)
{
	if (store->repair != NULL)
		fail_repair_free(store);
}

/* ---- Giving up ---- */

static void fail_read_only(struct stream *stream)
{
	struct store *store = stream->store;
	struct repair *repair = store->repair;
	stream->failed = true;
	store_set_state(store, ERR_READONLY);
	for (struct list *at = stream->batches.next; at != &stream->batches; at = at->next)
		move_batch_failed(LIST_OF(at, struct batch, link), ERR_READONLY);
	if (stream->open != NULL)
		move_batch_failed(stream->open, ERR_READONLY);
	read_fail_waiting(store);
	if (repair != NULL && repair->batch == NULL)
		fail_repair_free(store);
	move_pump(store);
	store_check_closed(store);
}

/* Nothing that is not durable counts in this segment any more. */
static void fail_segment(struct stream *stream, struct segment *segment)
{
	segment->failed = true;
	segment->birth_lsn = segment->death_lsn = 0;      /* who knows what is there */
	segment->tail = SECTOR;
	if (segment->id == stream->durable_segment)
		segment->tail = (uint64_t)stream->durable_sector * SECTOR;
	ASSERT(segment->id >= stream->durable_segment);
	stream_note_end(stream, segment);
}

static void fail_give_up_batch(struct stream *stream, struct batch *batch)
{
	struct store *store = stream->store;
	struct segment *segment = batch->segment;
	move_batch_failed(batch, ERR_IO);
	clean_batch_failed(batch);
	/* Parts are released by the moves that own them. */
	fail_segment(stream, segment);
	stream_batch_done(stream, batch);
	store->reclaim_due = true;
}

static void fail_copies(struct stream *stream)
{
	struct store *store = stream->store;
	ASSERT(stream_is_copies(stream));
	stream->failures++;
	if (stream->active != NULL)
		fail_segment(stream, stream->active);
	if (stream->open != NULL) {
		list_append(&stream->batches, &stream->open->link);
		stream->open = NULL;
	}
	while (!list_is_empty(&stream->batches))
		fail_give_up_batch(stream, LIST_OF(stream->batches.next, struct batch, link));
	stream->failed = false;
	struct segment *active = stream->active;
	if (active != NULL) {
		segment_set_state(active, SEGMENT_SEALED);
		stream->active = NULL;
	}
	move_pump(store);
	reclaim_pump(store);
	store_check_closed(store);
}

/* ---- The second home ---- */

static bool fail_take_segment(struct stream *stream, uint64_t bytes)
{
	struct segment *active = stream->active;
	if (active != NULL && !active->failed && active->tail + bytes <= segment_room_end(active->bytes))
		return true;
	return stream_next_segment(stream, 0) == OK;
}

static void fail_move_batch(struct stream *stream, struct batch *batch)
{
	struct segment *to = stream->active;
	ASSERT(!to->failed);
	ASSERT(batch->segment != NULL && batch->segment->pins > 0);
	struct segment *from = batch->segment;
	from->pins--;
	batch->segment = to;
	to->pins++;
	to->life = stream->store->life;
	move_batch_rehomed(batch, from);
	if (batch->state != BATCH_OPEN) {
		/* What it says about the segments before it changes with its own. */
		memcpy(batch->commit.ended, to->ended, sizeof(to->ended));
		batch->commit.durable_segment = stream->durable_segment;
		batch->commit.durable_sector = stream->durable_sector;
	}
	struct stamp stamp = segment_stamp(to, to->tail);
	batch_move(batch, &stamp);
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct batch_entry *entry = &batch->entries[i];
		bool is_mark = record_is_mark(entry->type, entry->body_bytes);
		segment_note(to, entry->lsn, entry->place.bytes, is_mark, entry->type);
		if (!is_mark)
			segment_retain(to, entry->place.bytes);
	}
	if (batch->count > 0)
		stream->store->repair->left++;
	batch->rewritten = batch->count > 0;
	if (batch->state == BATCH_OPEN)
		return;
	batch->state = BATCH_WAITING;
	batch->sync = BATCH_DSYNC;
	to->tail += batch->bytes;
}

/* Every batch in `todo` finds a place, or false. */
static bool fail_move_all(struct stream *stream, struct list *todo, struct batch *open)
{
	while (!list_is_empty(todo)) {
		struct batch *batch = LIST_OF(todo->next, struct batch, link);
		list_remove(&batch->link);
		if (batch->count == 0) {          /* a seal or a mark */
			stream_batch_done(stream, batch);
			continue;
		}
		if (!fail_take_segment(stream, batch->bytes)) {
			list_append(&stream->batches, &batch->link);
			return false;
		}
		fail_move_batch(stream, batch);
		list_append(&stream->batches, &batch->link);
	}
	if (open == NULL)
		return true;
	uint64_t need = round_up(open->bytes + RECORD_ALIGN + COMMIT_BYTES, SECTOR);
	if (!fail_take_segment(stream, need))
		return false;
	fail_move_batch(stream, open);
	stream->open = open;
	return true;
}

/* The batches from the first one in a failed segment on. Those before it are well. */
static void fail_take_batches(struct stream *stream, struct list *todo)
{
	struct list *at = stream->batches.next;
	list_init(todo);
	while (at != &stream->batches && !LIST_OF(at, struct batch, link)->segment->failed)
		at = at->next;
	while (at != &stream->batches) {
		struct batch *batch = LIST_OF(at, struct batch, link);
		at = at->next;
		list_remove(&batch->link);
		list_append(todo, &batch->link);
		fail_segment(stream, batch->segment);
	}
	if (stream->active != NULL)
		fail_segment(stream, stream->active);
}

static void fail_rewrite(struct stream *stream)
{
	struct store *store = stream->store;
	struct list todo;
	uint32_t spares;
	segment_spare(store, TIER_HOT, &spares);
	if (spares == 0 && store->maker.busy)
		return;                       /* the maker calls again */
	if (spares == 0 || store->repair != NULL) {
		fail_read_only(stream);
		return;
	}
	fail_take_batches(stream, &todo);
	struct batch *open = stream->open;
	stream->open = NULL;
	store->repair = memory_zalloc(store->memory, sizeof(*store->repair));
	store->repair->buf = memory_try_alloc_aligned(store->memory, SECTOR, PIECE_BYTES);
	ASSERT(store->repair->buf != NULL);
	bool moved = fail_move_all(stream, &todo, open);
	if (!moved) {
		while (!list_is_empty(&todo)) {
			struct list *link = todo.next;
			list_remove(link);
			list_append(&stream->batches, link);
		}
		if (stream->open == NULL)
			stream->open = open;
		fail_read_only(stream);
		return;
	}
	/* It held only a mark or a seal: what comes next goes elsewhere all the same. */
	if (stream->active != NULL && stream->active->failed)
		stream_end_segment(stream);
	log_warning(store->log, "%u batches go to segment %u instead", store->repair->left,
	    stream->active != NULL ? stream->active->id : 0);
	stream->failed = false;
	if (store->repair->left == 0)
		fail_repair_free(store);
	commit_pump(stream);
	move_pump(store);
	store_check_closed(store);
}

void fail_pump(struct stream *stream)
{
	if (!stream->failed || stream->store->state == ERR_READONLY)
		return;
	if (stream->in_flight > 0 || stream->syncing)
		return;
	if (stream_is_copies(stream))
		fail_copies(stream);
	else
		fail_rewrite(stream);
}

void fail_stream(struct stream *stream, struct segment *segment, const char *what,
    int32_t result)
{
	CHECK_OBJ(stream, STREAM_MAGIC);
	ASSERT(segment != NULL);
	struct store *store = stream->store;
	store->stats.write_errors++;
	log_warning(store->log, "A %s in segment %u failed: %s", what, segment->id,
	    result < 0 ? err_name(io_err(result)) : "short");
	segment->failed = true;
	stream->failed = true;
	fail_pump(stream);
}

/* ---- Reading back ---- */

static void fail_read_next(struct stream *stream)
{
	struct repair *repair = stream->store->repair;
	struct batch *batch = repair->batch;
	size_t len = min_u64(PIECE_BYTES, batch->bytes - repair->at);
	ASSERT(len > 0);
	repair->iov = (struct iovec){.iov_base = repair->buf, .iov_len = len};
	io_op_init(&repair->op, fail_read_done, stream);
	const struct io_transfer transfer = {
		.fd = batch->segment->fd,
		.offset = batch->offset + repair->at,
		.iov = &repair->iov,
		.iov_count = 1,
	};
	io_read(stream->store->io, &repair->op, &transfer);
}

/* The next rewritten batch that was written but not yet compared, in order. */
static void fail_compare_next(struct stream *stream)
{
	struct repair *repair = stream->store->repair;
	if (repair == NULL || repair->batch != NULL || stream->failed)
		return;
	for (struct list *at = stream->batches.next; at != &stream->batches; at = at->next) {
		struct batch *batch = LIST_OF(at, struct batch, link);
		if (!batch->rewritten)
			continue;
		if (batch->state != BATCH_WRITTEN)
			return;
		repair->batch = batch;
		repair->at = 0;
		fail_read_next(stream);
		return;
	}
}

void fail_batch_written(struct batch *batch)
{
	struct stream *stream = batch->stream;
	ASSERT(batch->state == BATCH_WRITTEN && batch->rewritten);
	ASSERT(stream->store->repair != NULL);
	fail_compare_next(stream);
	commit_pump(stream);
}

static bool fail_same(const struct batch *batch, uint64_t from, struct span bytes)
{
	uint64_t at = 0;
	for (uint32_t i = 0; i < batch->piece_count && bytes.len > 0; i++) {
		const struct iovec *piece = &batch->pieces[i];
		if (from < at + piece->iov_len) {
			size_t skip = (size_t)(from - at);
			size_t len = min_u64(piece->iov_len - skip, bytes.len);
			if (memcmp((const uint8_t *)piece->iov_base + skip, bytes.ptr, len) != 0)
				return false;
			bytes = span_slice(bytes, len, bytes.len);
			from += len;
		}
		at += piece->iov_len;
	}
	return bytes.len == 0;
}

static bool fail_offer_record(struct batch *batch, const struct batch_entry *entry)
{
	struct store *store = batch->stream->store;
	struct record_view view;
	struct record record;
	uint64_t offset = (uint64_t)entry->place.offset * RECORD_ALIGN;
	struct stamp stamp = segment_stamp(batch->segment, offset);
	struct span head = span_of(batch->buf + entry->head_at, BATCH_BUFFER - entry->head_at);
	enum err err = record_parse(head, &stamp, &view);
	ASSERT(err == OK);
	record_from_view(&view, &record);
	record.flags &= (uint8_t)~RECORD_CHAINED;
	record.place = entry->place;
	if (!store->events.relocated(store->ctx, &record, entry->old, entry->place)) {
		chain_drop(store, entry->old);
		read_relocated(store, entry->old, (struct place){0});
		return false;
	}
	chain_rehead(store, entry->old, entry->place);
	read_relocated(store, entry->old, entry->place);
	return true;
}

/* Every record of the batch has a second home: those who know the first one hear of it. */
void fail_offer(struct batch *batch)
{
	struct store *store = batch->stream->store;
	for (uint32_t i = 0; i < batch->count; i++) {
		struct batch_entry *entry = &batch->entries[i];
		struct place from = entry->old, to = entry->place;
		if (from.segment == 0 || record_is_mark(entry->type, entry->body_bytes))
			continue;
		bool taken;
		if (entry->type == RECORD_PART)
			taken =
			    chain_part_moved(store, from, to) || move_part_moved(store, from, to);
		else if (entry->is_move)
			taken = true;             /* its move looks here when it is durable */
		else
			taken = fail_offer_record(batch, entry);
		struct place dead = taken ? from : to;
		segment_release(store, segment_find(store, dead.segment), dead.bytes);
		entry->old = (struct place){0};
	}
}

static void fail_compared(struct stream *stream)
{
	struct store *store = stream->store;
	struct repair *repair = store->repair;
	fail_offer(repair->batch);
	repair->batch->rewritten = false;
	repair->batch = NULL;
	ASSERT(repair->left > 0);
	if (--repair->left == 0)
		fail_repair_free(store);
	else
		fail_compare_next(stream);
	commit_written(stream);
}

static void fail_read_done(struct io_op *op, int32_t result)
{
	struct stream *stream = op->ctx;
	CHECK_OBJ(stream, STREAM_MAGIC);
	struct store *store = stream->store;
	struct repair *repair = store->repair;
	ASSERT(repair != NULL && repair->batch != NULL);
	size_t len = repair->iov.iov_len;
	bool good = result >= 0 && (size_t)result == len &&
	    fail_same(repair->batch, repair->at, span_of(repair->buf, len));
	if (stream->failed || !good) {
		if (!good)
			log_warning(store->log, "Segment %u does not read back as written",
			    repair->batch->segment->id);
		repair->batch->segment->failed = true;
		repair->batch = NULL;
		stream->failed = true;
		if (store->state == ERR_READONLY) {       /* a write failed meanwhile */
			fail_repair_free(store);
			store_check_closed(store);
			return;
		}
		fail_pump(stream);
		return;
	}
	repair->at += len;
	if (repair->at < repair->batch->bytes)
		fail_read_next(stream);
	else
		fail_compared(stream);
}
