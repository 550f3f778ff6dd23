/* store/stream.c: where the next record goes: the open batch, the active segment. */
#include "store/extend.h"
#include "store/state.h"

void stream_init(struct store *store, struct stream *stream, enum log_stream number)
{
	_Static_assert((int)STREAM_USER == (int)TIER_HOT, "moves go by tier");
	_Static_assert((int)STREAM_WARM == (int)TIER_WARM, "moves go by tier");
	ASSERT(number < STREAM_COUNT);
	stream->magic = STREAM_MAGIC;
	stream->store = store;
	stream->number = (uint8_t)number;
	stream->tier = number == STREAM_WARM ? TIER_WARM : TIER_HOT;
	stream->batch_limit = STREAM_BATCHES;
	list_init(&stream->batches);
	list_init(&stream->idle);
	list_init(&stream->moves_waiting);
	reach_init(stream);
}

static void stream_free_list(struct list *batches)
{
	while (!list_is_empty(batches)) {
		struct batch *batch = LIST_OF(batches->next, struct batch, link);
		list_remove(&batch->link);
		batch_free(batch);
	}
}

void stream_fini(struct stream *stream)
{
	DROP_OBJ(stream, STREAM_MAGIC);
	ASSERT(stream->in_flight == 0 && !stream->syncing && stream->reach_segment == NULL);
	reach_fini(stream);
	if (stream->open != NULL)
		batch_free(stream->open);
	stream_free_list(&stream->batches);
	stream_free_list(&stream->idle);
}

/* Whoever waits for a batch is gone. */
void stream_abandon(struct stream *stream)
{
	CHECK_OBJ(stream, STREAM_MAGIC);
	ASSERT(stream->in_flight == 0);
	if (stream->open != NULL)
		list_init(&stream->open->moves);
	for (struct list *at = stream->batches.next; at != &stream->batches; at = at->next)
		list_init(&LIST_OF(at, struct batch, link)->moves);
}

struct batch *stream_batch_new(struct stream *stream)
{
	struct batch *batch;
	ASSERT(stream->batch_count < stream->batch_limit);
	if (list_is_empty(&stream->idle)) {
		batch = batch_new(stream->store->memory);
	} else {
		/* The one used last: its buffer is still in the processor's cache. */
		batch = LIST_OF(stream->idle.prev, struct batch, link);
		list_remove(&batch->link);
	}
	batch->stream = stream;
	stream->batch_count++;
	return batch;
}

void stream_batch_done(struct stream *stream, struct batch *batch)
{
	enum { IDLE_KEPT = 4 };
	ASSERT(stream->batch_count > 0);
	list_remove(&batch->link);
	ASSERT(batch->segment->pins > 0);
	batch->segment->pins--;
	batch->segment = NULL;
	stream->batch_count--;
	if (stream->batch_count >= IDLE_KEPT) {
		batch_free(batch);
		return;
	}
	const struct stamp nowhere = {0};
	batch_begin(batch, &nowhere);            /* lets go of its bodies */
	list_append(&stream->idle, &batch->link);
}

uint64_t stream_room(const struct stream *stream)
{
	CHECK_OBJ(stream, STREAM_MAGIC);
	if (stream->active == NULL)
		return 0;
	uint64_t used = stream->active->tail;
	if (stream->open != NULL)
		used = stream->open->offset + stream->open->bytes + SECTOR;
	uint64_t end = footer_end_for(stream->active, NULL);
	return used < end ? end - used : 0;
}

static struct batch *stream_open_batch(struct stream *stream)
{
	struct segment *segment = stream->active;
	struct batch *batch = stream_batch_new(stream);
	ASSERT(segment->state == SEGMENT_ACTIVE && !segment->failed);
	struct stamp stamp = segment_stamp(segment, segment->tail);
	batch_begin(batch, &stamp);
	batch->segment = segment;
	segment->pins++;
	return batch;
}

/* A sync of this batch must cover what was written before it without one. */
static enum batch_sync stream_sync_for(const struct stream *stream, const struct batch *batch)
{
	if (!batch->wants_sync)
		return BATCH_NO_SYNC;
	for (struct list *at = stream->batches.prev; at != &stream->batches; at = at->prev) {
		const struct batch *before = LIST_OF(at, struct batch, link);
		if (before->sync == BATCH_FSYNC && before->segment == batch->segment)
			return BATCH_DSYNC;
		if (before->sync == BATCH_NO_SYNC && before->segment == batch->segment)
			return BATCH_FSYNC;
	}
	return BATCH_DSYNC;
}

static void stream_close(struct stream *stream, struct batch *batch, uint32_t flags)
{
	struct store *store = stream->store;
	struct segment *segment = batch->segment;
	struct commit_block commit = {
		.flags = flags,
		.stream = stream->number,
		.life = store->life,
		.epoch = store->epoch,
		.durable_lsn = store->durable_lsn,
		.durable_segment = stream->durable_segment,
		.durable_sector = stream->durable_sector,
		.time_ms = io_wall_ms(store->io),
	};
	memcpy(commit.ended, segment->ended, sizeof(commit.ended));
	struct stamp stamp = segment_stamp(segment, batch->offset);
	batch_close(batch, &stamp, &commit);
	batch->sync = (uint8_t)stream_sync_for(stream, batch);
	list_append(&stream->batches, &batch->link);
	segment->tail = batch->offset + batch->bytes;
	segment->life = store->life;
	ASSERT(segment->tail <= segment->bytes - SECTOR);
}

void stream_mark(struct stream *stream)
{
	ASSERT(stream->open == NULL);
	ASSERT(stream->active != NULL);
	if (stream->batch_count >= stream->batch_limit - 1 || stream_room(stream) < SECTOR)
		return;
	struct batch *batch = stream_open_batch(stream);
	batch->wants_sync = true;
	stream_close(stream, batch, 0);
}

/* Nothing in the segment itself says where it ends: a write failed, and no seal was written. */
static bool end_is_needed(const struct store *store, uint32_t id)
{
	const struct segment *segment = segment_find(store, id);
	return segment != NULL && segment->failed;
}

/* The one whose place the next takes: itself, or the oldest that its seal tells as well. */
static uint32_t ended_victim(const struct stream *stream, uint32_t id)
{
	uint32_t at = 0;
	while (at < COMMIT_ENDED && stream->ended[at].segment != id)
		at++;
	if (at < COMMIT_ENDED)
		return at;
	at = COMMIT_ENDED - 1;
	while (at > 0 && end_is_needed(stream->store, stream->ended[at].segment))
		at--;
	return end_is_needed(stream->store, stream->ended[at].segment) ? COMMIT_ENDED - 1 : at;
}

void stream_note_end(struct stream *stream, const struct segment *segment)
{
	struct position end = {segment->id, (uint32_t)(segment->tail / SECTOR)};
	uint32_t at = ended_victim(stream, segment->id);
	if (stream->ended[at].segment != segment->id) {
		memmove(&stream->ended[1], &stream->ended[0], at * sizeof(end));
		at = 0;
	}
	stream->ended[at] = end;
	ASSERT(end.sector > 0);
}

void stream_close_batch(struct stream *stream, bool seal)
{
	CHECK_OBJ(stream, STREAM_MAGIC);
	struct batch *batch = stream->open;
	if (batch != NULL && batch->count > 0) {
		stream->open = NULL;
		stream_close(stream, batch, 0);
		stream->urge = false;
	}
	if (!seal || stream->active == NULL)
		return;
	ASSERT(stream->open == NULL || stream->open->count == 0);
	batch = stream->open;
	stream->open = NULL;
	if (batch == NULL)
		batch = stream_open_batch(stream);
	batch->wants_sync = true;
	stream_close(stream, batch, COMMIT_SEAL);
}

void stream_end_segment(struct stream *stream)
{
	struct segment *last = stream->active;
	ASSERT(last != NULL);
	if (!last->failed)
		stream_close_batch(stream, true);
	segment_set_state(last, SEGMENT_SEALED);
	stream->store->reclaim_due = true;
	stream_note_end(stream, last);
	stream->active = NULL;
}

enum err stream_next_segment(struct stream *stream, uint32_t keep)
{
	struct store *store = stream->store;
	uint32_t spares;
	struct segment *next = segment_spare(store, stream->tier, &spares);
	if (spares <= (stream->tier == TIER_HOT ? keep : 0)) {
		maker_pump(store);
		return store_no_room(store);
	}
	ASSERT(next->id > stream->durable_segment);
	if (stream->active != NULL)
		stream_end_segment(stream);
	memcpy(next->ended, stream->ended, sizeof(next->ended));
	segment_set_state(next, SEGMENT_ACTIVE);
	next->tail = next->written = SECTOR;
	next->stream = stream->number;
	next->birth_lsn = store->next_lsn;
	stream->active = next;
	maker_pump(store);
	return OK;
}

/* Spares that are not for this record. */
static uint32_t stream_spares_kept(const struct stream *stream, const struct record *record)
{
	if (stream->number == STREAM_SHORT || stream->number == STREAM_LONG)
		return 0;
	if (record->type == RECORD_VOID)
		return 0;                     /* nothing is cleaned before it is said */
	return record_may_use_reserve(record->type) && !record->can_wait ? RESERVE_CLEANER
	                                                                 : RESERVE_SEGMENTS;
}

/* Opens a batch in which the record fits: its size alone was checked before. */
static enum err stream_make_room(struct stream *stream, const struct record *record,
    const struct payload *payload)
{
	uint64_t need = batch_bytes_alone(record, payload->len);
	if (need > segment_room_end(stream->store->options.segment_bytes) - SECTOR)
		return ERR_TOOLARGE;
	if (stream->batch_count + 3 > stream->batch_limit)
		return ERR_OVERLOADED;
	uint64_t tail = stream->active == NULL ? 0 : stream->active->tail;
	bool fresh = stream->open == NULL && tail == SECTOR;     /* it takes this without a footer */
	if (stream->open != NULL)
		tail = stream->open->offset +
		    round_up(stream->open->bytes + RECORD_ALIGN + COMMIT_BYTES, SECTOR);
	if (stream->active == NULL || (!fresh && tail + need > footer_end_for(stream->active, record))) {
		enum err err = stream_next_segment(stream, stream_spares_kept(stream, record));
		if (err != OK)
			return err;
	}
	stream_close_batch(stream, false);
	if (stream->open == NULL)
		stream->open = stream_open_batch(stream);
	return OK;
}

/* True if the record has a spot in the open batch. */
static bool stream_find_spot(const struct stream *stream, const struct record *record,
    const struct payload *payload, struct batch_spot *spot)
{
	const struct batch *batch = stream->open;
	if (batch == NULL)
		return false;
	uint64_t bytes = batch_bytes_with(batch, record, payload, spot);
	return bytes > 0 && batch->offset + bytes <= footer_end_for(stream->active, record);
}

enum err stream_append(struct stream *stream, const struct record *record,
    const struct payload *payload, struct place *place)
{
	struct batch_spot spot;
	CHECK_OBJ(stream, STREAM_MAGIC);
	if (stream->failed)
		return ERR_OVERLOADED;
	if (!stream_find_spot(stream, record, payload, &spot)) {
		enum err err = stream_make_room(stream, record, payload);
		if (err != OK)
			return err;
		/* The first record of a fresh segment may leave no room for a footer. */
		uint64_t bytes = batch_bytes_with(stream->open, record, payload, &spot);
		ASSERT(bytes > 0);
		ASSERT(stream->open->offset + bytes <= segment_room_end(stream->active->bytes));
	}
	struct batch *batch = stream->open;
	struct segment *segment = stream->active;
	ASSERT(batch->segment == segment);
	struct stamp stamp = segment_stamp(segment, batch->offset);
	*place = batch_add(batch, &stamp, record, payload, &spot);
	bool is_mark = record_is_mark(record->type, payload->len);
	footer_count(segment, record);
	segment_note(segment, record->lsn, place->bytes, is_mark, record->type);
	if (is_mark)
		return OK;
	segment_retain(segment, place->bytes);
	int64_t until_ms = record->expire_ms != 0 ? record->expire_ms : INT64_MAX;
	if (until_ms > segment->expire_last_ms)
		segment->expire_last_ms = until_ms;
	return OK;
}

struct place stream_extend(struct stream *stream, uint64_t lsn, struct span more)
{
	const struct place none = {0};
	CHECK_OBJ(stream, STREAM_MAGIC);
	struct batch *batch = stream->open;
	struct segment *segment = stream->active;
	if (stream->failed || batch == NULL || batch->count == 0 ||
	    batch->entries[batch->count - 1].lsn != lsn)
		return none;
	ASSERT(batch->segment == segment);
	uint64_t end = round_up(round_up(batch->bytes + more.len, RECORD_ALIGN) + COMMIT_BYTES, SECTOR);
	if (batch->offset + end > footer_end_for(segment, NULL))
		return none;
	struct stamp stamp = segment_stamp(segment, batch->offset);
	struct place place = batch_extend(batch, &stamp, more);
	if (place.bytes == 0)
		return none;
	segment->record_bytes += more.len;
	segment->live_bytes += more.len;
	return place;
}
