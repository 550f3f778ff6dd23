/* store/move.c: copies records to another tier.
 *
 * Read, append to the tier's stream under the same LSN, wait until that batch is durable,
 * offer the new place to the owner. Whatever happens in between, both places stay valid until
 * the owner has taken one. A chain is copied part by part and its head last; the parts keep
 * their LSNs and lengths, so the head's table stays true.
 */
#include "store/clean.h"

enum { MOVE_MAGIC = 0x4d6f7665 };
enum move_step { MOVE_READING, MOVE_WAITING, MOVE_COMMITTING, MOVE_ENDED };

static void move_release(struct store *store, struct place place)
{
	struct segment *segment = segment_find(store, place.segment);
	ASSERT(segment != NULL);
	segment_release(store, segment, place.bytes);
}

/* done() follows, not from within the caller's call. */
static void move_end(struct store *store, struct store_move *move, enum err err)
{
	CHECK_OBJ(move, MOVE_MAGIC);
	ASSERT(move->step != MOVE_ENDED);
	if (err != OK) {
		for (uint32_t i = 0; i < move->parts_done; i++)
			move_release(store, move->parts[i]);
	}
	list_remove(&move->link);
	list_remove(&move->batch_link);
	move->step = MOVE_ENDED;
	move->err = err;
	list_append(&store->moves_ended, &move->link);
	store_defer(store);
}

void move_run_deferred(struct store *store)
{
	while (!list_is_empty(&store->moves_ended)) {
		struct store_move *move = LIST_OF(store->moves_ended.next, struct store_move, link);
		CHECK_OBJ(move, MOVE_MAGIC);
		list_remove(&move->link);
		if (move->read.state != NULL)
			store_read_fini(&move->read);
		else if (move->is_given)
			body_unref(move->read.record.body);
		if (move->parts != NULL)
			memory_free(
			    store->memory, move->parts, move->part_count * sizeof(*move->parts));
		ASSERT(store->moves_active > 0);
		store->moves_active--;
		DROP_OBJ(move, MOVE_MAGIC);
		move->done(move, move->err);
	}
}

/* ---- Appending the copy ---- */

static struct record move_record(const struct store_move *move)
{
	struct record record = move->read.record;
	record.place = move->from;            /* marks it as a copy */
	record.sync = SYNC_ALWAYS;
	return record;
}

static enum err move_append_record(struct stream *stream, struct store_move *move,
    const struct record *record, const struct payload *payload, struct place *place)
{
	ASSERT(record->place.segment != 0);
	enum err err = stream_append(stream, record, payload, place);
	if (err != OK)
		return err;
	move->entry = stream->open->count - 1;
	return OK;
}

static enum err move_append_parts(struct stream *stream, struct store_move *move,
    struct span table)
{
	struct store *store = stream->store;
	struct body *body = move->read.record.body;
	if (move->parts == NULL) {
		move->part_count = (uint32_t)(table.len / CHAIN_ENTRY);
		move->parts = memory_zalloc(store->memory, move->part_count * sizeof(*move->parts));
	}
	while (move->parts_done < move->part_count) {
		struct chain_part part = chain_table_get(table, move->parts_done);
		struct record record = {
			.type = RECORD_PART,
			.flags = RECORD_CONTINUES,
			.lsn = part.lsn,
			.sync = SYNC_ALWAYS,
			.time_ms = move->read.record.time_ms,
			.place = move->from,
		};
		const struct payload payload = {
			.body = body,
			.from = (size_t)move->parts_bytes,
			.len = part.body_bytes,
			.crcs = body->chunk_crcs + move->parts_bytes / CHUNK_BYTES,
		};
		ASSERT(move->parts_bytes + part.body_bytes <= body->len);
		enum err err = move_append_record(stream, move, &record, &payload,
		    &move->parts[move->parts_done]);
		if (err != OK)
			return err;
		move->parts_done++;
		move->parts_bytes += part.body_bytes;
	}
	return OK;
}

static enum err move_append(struct stream *stream, struct store_move *move)
{
	struct record record = move_record(move);
	struct payload payload = {0};
	struct span table;
	/* Segments are not in the order of copies: each says how many moves it has behind it. */
	unsigned moves = (unsigned)record.flags >> RECORD_MOVES_SHIFT;
	record.flags = (uint8_t)((record.flags & RECORD_CONTINUES) |
	    ((moves + 1) & RECORD_MOVES) << RECORD_MOVES_SHIFT);
	struct place place;
	if (move->read.state != NULL && read_is_chained(&move->read, &table)) {
		if (move->parts_done > 0 && move->failures != stream->failures)
			return ERR_IO;
		enum err err = move_append_parts(stream, move, table);
		if (err != OK)
			return err;
		record.flags |= RECORD_CHAINED;
		payload.value = table;
		payload.len = (uint32_t)table.len;
	} else if (record.body != NULL) {
		payload.body = record.body;
		payload.len = (uint32_t)record.body->len;
		payload.crcs = record.body->chunk_crcs;
	}
	record.body = NULL;
	return move_append_record(stream, move, &record, &payload, &place);
}

static bool move_is_live(struct store *store, const struct store_move *move)
{
	struct record record = move->read.record;
	record.place = move->from;
	ASSERT(record.lsn > 0);
	return store->events.is_live == NULL ||
	    store->events.is_live(store->ctx, &record) != RECORD_DEAD;
}

/* True if it need not wait any longer: appended, or ended. */
static bool move_try(struct store *store, struct store_move *move)
{
	struct stream *stream = &store->streams[move->tier];
	ASSERT(move->step == MOVE_WAITING);
	if (store->state == ERR_READONLY || store->closing) {
		move_end(store, move, store->closing ? ERR_CLOSED : ERR_READONLY);
		return true;
	}
	if (move->parts_done == 0)
		move->failures = stream->failures;
	/* What died while it was only in memory must not come to lie behind its tombstone. */
	enum err err = move_is_live(store, move) ? move_append(stream, move) : ERR_NOTFOUND;
	if (err == ERR_OVERLOADED)
		return false;
	if (err != OK) {
		move_end(store, move, err);
		return true;
	}
	move->step = MOVE_COMMITTING;
	stream->open->segment->moves_pending++;
	list_append(&stream->open->moves, &move->batch_link);
	return true;
}

void move_pump(struct store *store)
{
	for (int tier = 0; tier < TIER_COUNT; tier++) {
		struct stream *stream = &store->streams[tier];
		bool appended = false;
		while ((!stream->failed || store->state == ERR_READONLY) &&
		    !list_is_empty(&stream->moves_waiting)) {
			struct store_move *move =
			    LIST_OF(stream->moves_waiting.next, struct store_move, batch_link);
			list_remove(&move->batch_link);
			if (!move_try(store, move)) {
				/* First again when something changes. */
				list_append(stream->moves_waiting.next, &move->batch_link);
				appended = true;
				break;
			}
			appended = true;
		}
		if (appended && !stream->failed)
			commit_pump(stream);
	}
}

static void move_read_done(struct store_read *read, enum err err)
{
	struct store_move *move = read->ctx;
	CHECK_OBJ(move, MOVE_MAGIC);
	struct store *store = read->store;
	ASSERT(move->step == MOVE_READING);
	if (err != OK) {
		move_end(store, move, err);
		return;
	}
	move->from = read->place;             /* it may have gone elsewhere meanwhile */
	move->step = MOVE_WAITING;
	list_append(&store->streams[move->tier].moves_waiting, &move->batch_link);
	move_pump(store);
}

void store_move_start(struct store *store, struct store_move *move, struct place place,
    uint64_t lsn)
{
	CHECK_OBJ(store, STORE_MAGIC);
	ASSERT(move->tier < TIER_COUNT && move->done != NULL);
	move->magic = MOVE_MAGIC;
	move->from = place;
	move->parts = NULL;
	move->part_count = move->parts_done = 0;
	move->parts_bytes = 0;
	move->step = MOVE_READING;
	move->read = (struct store_read){
		.done = move_read_done,
		.ctx = move,
		.place = place,
		.lsn = lsn,
	};
	list_init(&move->link);
	list_init(&move->batch_link);
	list_append(&store->moves, &move->link);
	store->moves_active++;
	const struct segment *segment = segment_find(store, place.segment);
	if (store->closing || store->dir[move->tier] == NULL) {
		move_end(store, move, store->closing ? ERR_CLOSED : ERR_INVALID);
	} else if (segment == NULL) {
		move_end(store, move, ERR_NOTFOUND);
	} else if (segment->tier == move->tier) {
		move_end(store, move, OK);
	} else {
		store->tier_used[move->tier] = true;
		maker_pump(store);
		store_read_start(store, &move->read);
	}
}

void store_move_given(
    struct store *store, struct store_move *move, struct place place, const struct record *record)
{
	CHECK_OBJ(store, STORE_MAGIC);
	ASSERT(move->tier < TIER_COUNT && move->done != NULL && record->value.len == 0);
	uint64_t bytes = record->body == NULL ? 0 : record->body->len;
	move->magic = MOVE_MAGIC;
	move->from = place;
	move->is_given = true;
	move->step = MOVE_WAITING;
	move->read = (struct store_read){.record = *record};
	if (record->body != NULL)
		(void)body_ref(record->body);
	list_init(&move->link);
	list_init(&move->batch_link);
	list_append(&store->moves, &move->link);
	store->moves_active++;
	if (store->closing || store->dir[move->tier] == NULL || segment_find(store, place.segment) == NULL) {
		move_end(store, move, store->closing ? ERR_CLOSED : ERR_NOTFOUND);
	} else if (bytes > store->options.segment_bytes / 2) {
		move_end(store, move, ERR_TOOLARGE);
	} else {
		store->tier_used[move->tier] = true;
		maker_pump(store);
		list_append(&store->streams[move->tier].moves_waiting, &move->batch_link);
		move_pump(store);
	}
}

/* ---- The copy is safe ---- */

static void move_settle(struct store *store, struct store_move *move, struct place to)
{
	const struct place from = move->from;
	struct record record = move->read.record;
	record.place = to;
	if (move->part_count > 0) {
		struct chain *chain = chain_add(store, to, move->part_count);
		memcpy(chain->parts, move->parts, move->part_count * sizeof(*move->parts));
		move->parts_done = 0;         /* they are the chain's now */
	}
	bool taken = store->events.relocated(store->ctx, &record, from, to);
	if (taken)
		read_relocated(store, from, to);
	clean_note_copy(store, &record, taken);
	store_release(store, taken ? from : to);
	move_end(store, move, OK);
}

void move_batch_durable(struct batch *batch)
{
	struct store *store = batch->stream->store;
	while (!list_is_empty(&batch->moves)) {
		struct store_move *move = LIST_OF(batch->moves.next, struct store_move, batch_link);
		CHECK_OBJ(move, MOVE_MAGIC);
		ASSERT(move->step == MOVE_COMMITTING && move->entry < batch->count);
		list_remove(&move->batch_link);
		ASSERT(batch->segment->moves_pending > 0);
		batch->segment->moves_pending--;
		move_settle(store, move, batch->entries[move->entry].place);
	}
}

/* The batch is given up: its copies were never told to anybody. */
void move_batch_failed(struct batch *batch, enum err err)
{
	struct store *store = batch->stream->store;
	ASSERT(err != OK);
	while (!list_is_empty(&batch->moves)) {
		struct store_move *move = LIST_OF(batch->moves.next, struct store_move, batch_link);
		struct place to = batch->entries[move->entry].place;
		list_remove(&move->batch_link);
		ASSERT(batch->segment->moves_pending > 0);
		batch->segment->moves_pending--;
		move_release(store, to);
		move_end(store, move, err);
	}
}

bool move_has_parts(const struct store *store)
{
	for (struct list *at = store->moves.next; at != &store->moves; at = at->next) {
		const struct store_move *move = LIST_OF(at, struct store_move, link);
		if (move->parts_done > 0)
			return true;
	}
	return false;
}

void move_batch_rehomed(struct batch *batch, struct segment *from)
{
	for (struct list *at = batch->moves.next; at != &batch->moves; at = at->next) {
		ASSERT(from->moves_pending > 0);
		from->moves_pending--;
		batch->segment->moves_pending++;
	}
}

bool move_part_moved(struct store *store, struct place from, struct place to)
{
	for (struct list *at = store->moves.next; at != &store->moves; at = at->next) {
		struct store_move *move = LIST_OF(at, struct store_move, link);
		for (uint32_t i = 0; i < move->parts_done; i++) {
			if (move->parts[i].segment != from.segment ||
			    move->parts[i].offset != from.offset)
				continue;
			move->parts[i] = to;
			return true;
		}
	}
	return false;
}

void move_abandon(struct store *store)
{
	struct list *lists[] = {&store->moves, &store->moves_ended};
	for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
		while (!list_is_empty(lists[i])) {
			struct store_move *move = LIST_OF(lists[i]->next, struct store_move, link);
			list_remove(&move->link);
			list_remove(&move->batch_link);
			memory_free(
			    store->memory, move->parts, move->part_count * sizeof(*move->parts));
		}
	}
}
