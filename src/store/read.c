/* store/read.c: a record back from the disk, verified.
 *
 * One contiguous read of whole sectors brings head and body of a record up to 1 MiB; above
 * that, pieces of 1 MiB follow each other into one block, checked as they come. A chain is
 * its head, read like any other record, and then its parts in order, straight into the
 * place that they have in the body. The block becomes the body's, so nothing is copied.
 */
#include "store/state.h"

#include <errno.h>

enum { READ_MAGIC = 0x52656164, READ_STATE_MAGIC = 0x52645374, META_FIRST = 16 << 10 };

struct store_read_state {
	uint32_t           magic;
	struct list        link;
	struct store      *store;
	struct store_read *read;          /* NULL: cancelled */
	struct segment    *segment;       /* pinned while a read is under way */
	bool               heap, waiting, chained;
	enum err           err;           /* deferred */
	struct io_op       op;
	struct iovec       iov[2];
	struct body       *block;         /* sectors from `from` on */
	uint64_t           from;          /* in the segment */
	size_t             have;
	bool               parsed;
	struct record_view view;
	size_t             checked;       /* bytes of the body that passed */
	struct place       head;          /* of a chain: where its head is known to lie now */
	struct body       *body;          /* the whole one */
	uint32_t           part;
	size_t             body_at;       /* of the part, in the whole body */
	size_t             part_have;     /* bytes of the part's body */
	struct body       *part_head;
	struct place       part_place;
};

static void read_done(struct io_op *op, int32_t result);
static void read_part_done(struct io_op *op, int32_t result);
static void read_try(struct store_read_state *state);

static void read_free(struct store_read_state *state)
{
	struct store *store = state->store;
	ASSERT(state->segment == NULL);
	list_remove(&state->link);
	body_unref(state->block);
	body_unref(state->body);
	body_unref(state->part_head);
	DROP_OBJ(state, READ_STATE_MAGIC);
	memory_free(store->memory, state, sizeof(*state));
}

static void read_unpin(struct store_read_state *state)
{
	struct store *store = state->store;
	ASSERT(state->segment != NULL && state->segment->pins > 0);
	ASSERT(store->reads_active > 0);
	state->segment->pins--;
	state->segment = NULL;
	store->reads_active--;
}

static void read_pin(struct store_read_state *state, struct segment *segment)
{
	ASSERT(state->segment == NULL);
	ASSERT(segment->fd >= 0);
	state->segment = segment;
	segment->pins++;
	list_remove(&state->link);
	list_append(&state->store->reads_running, &state->link);
	state->store->reads_active++;
}

/* The end of a read that did not start, told later: never from within the caller's call. */
static void read_defer(struct store_read_state *state, enum err err)
{
	ASSERT(state->segment == NULL);
	state->err = err;
	list_remove(&state->link);
	list_append(&state->store->reads_deferred, &state->link);
	store_defer(state->store);
}

static void read_finish(struct store_read_state *state, enum err err)
{
	struct store *store = state->store;
	struct store_read *read = state->read;
	if (read == NULL) {
		read_free(state);
	} else {
		read->state->err = err;
		read->done(read, err);
	}
	store_check_closed(store);
}

void read_run_deferred(struct store *store)
{
	struct list now;
	list_init(&now);
	while (!list_is_empty(&store->reads_deferred)) {
		struct list *link = store->reads_deferred.next;
		list_remove(link);
		list_append(&now, link);
	}
	while (!list_is_empty(&now)) {
		struct store_read_state *state = LIST_OF(now.next, struct store_read_state, link);
		CHECK_OBJ(state, READ_STATE_MAGIC);
		list_remove(&state->link);
		read_finish(state, state->err);
	}
}

static void read_corrupt(struct store_read_state *state, const char *what)
{
	struct store *store = state->store;
	struct place place = state->read != NULL ? state->read->place : (struct place){0};
	struct record record;
	if (state->heap)
		return;                       /* recovery judges for itself */
	log_warning(store->log, "Segment %u, offset %llu: %s", place.segment,
	    (unsigned long long)place.offset * RECORD_ALIGN, what);
	store->stats.corrupt_records++;
	if (state->read == NULL)
		return;
	if (state->parsed)
		record_from_view(&state->view, &record);
	store->events.corrupt(store->ctx, place, state->parsed ? &record : NULL);
}

/* ---- One record ---- */

static void read_submit(struct store_read_state *state)
{
	struct store *store = state->store;
	size_t len = min_u64(PIECE_BYTES, state->block->block_bytes - state->have);
	ASSERT(len > 0 && len % SECTOR == 0);
	state->iov[0] = (struct iovec){state->block->block + state->have, len};
	io_op_init(&state->op, read_done, state);
	const struct io_transfer transfer = {
		.fd = state->segment->fd,
		.offset = state->from + state->have,
		.iov = state->iov,
		.iov_count = 1,
	};
	store->stats.reads++;
	store->stats.record_read_pieces++;
	io_read(store->io, &state->op, &transfer);
}

static enum err read_block(struct store_read_state *state, size_t bytes, struct body **out)
{
	struct store *store = state->store;
	ASSERT(bytes > 0);
	if (state->heap || (state->read != NULL && state->read->meta_only))
		return body_new_heap(store->memory, bytes, out);
	return body_new(store->options.pool, bytes, out);
}

/* Bytes of whole sectors that hold the record, or its beginning. */
static enum err read_begin(struct store_read_state *state, struct segment *segment, size_t least)
{
	struct place place = state->read->place;
	uint64_t offset = (uint64_t)place.offset * RECORD_ALIGN;
	state->from = offset / SECTOR * SECTOR;
	state->head = place;
	uint64_t bytes = round_up(offset + place.bytes, SECTOR) - state->from;
	if (state->read->meta_only)
		bytes = min_u64(bytes, max_u64(META_FIRST, round_up(least, SECTOR)));
	state->have = 0;
	body_unref(state->block);
	state->block = NULL;
	enum err err = read_block(state, (size_t)bytes, &state->block);
	if (err != OK)
		return err;
	if (state->segment == NULL)
		read_pin(state, segment);
	read_submit(state);
	return OK;
}

static void read_try(struct store_read_state *state)
{
	struct store *store = state->store;
	struct place place = state->read->place;
	struct segment *segment = segment_find(store, place.segment);
	uint64_t end = (uint64_t)place.offset * RECORD_ALIGN + place.bytes;
	if (segment != NULL && segment->state == SEGMENT_LOST) {
		read_defer(state, ERR_CORRUPT);
		return;
	}
	if (segment == NULL || segment->fd < 0 || place.bytes < RECORD_HEADER ||
	    end > segment->bytes) {
		read_defer(state, ERR_NOTFOUND);
		return;
	}
	if (end > segment->written) {
		struct stream *stream = &store->streams[segment->tier];
		if (store->state == ERR_READONLY) {
			read_defer(state, ERR_IO);
			return;
		}
		state->waiting = true;
		list_remove(&state->link);
		list_append(&store->reads_waiting, &state->link);
		stream->urge = stream->open != NULL && stream->open->count > 0;
		commit_pump(stream);
		return;
	}
	enum err err = read_begin(state, segment, 0);
	if (err != OK)
		read_defer(state, err);
}

void read_pump_waiting(struct store *store)
{
	struct list *at = store->reads_waiting.next;
	while (at != &store->reads_waiting) {
		struct store_read_state *state = LIST_OF(at, struct store_read_state, link);
		at = at->next;
		struct place place = state->read->place;
		const struct segment *segment = segment_find(store, place.segment);
		uint64_t end = (uint64_t)place.offset * RECORD_ALIGN + place.bytes;
		if (segment != NULL && end > segment->written)
			continue;
		list_remove(&state->link);
		state->waiting = false;
		read_try(state);
	}
}

void read_relocated(struct store *store, struct place from, struct place to)
{
	struct list *at = store->reads_waiting.next;
	for (; at != &store->reads_waiting; at = at->next) {
		struct store_read_state *state = LIST_OF(at, struct store_read_state, link);
		struct place *place = &state->read->place;
		if (place->segment == from.segment && place->offset == from.offset)
			*place = to;
	}
	/* What is under way ends where it began, but goes on to the parts by the new head. */
	for (at = store->reads_running.next; at != &store->reads_running; at = at->next) {
		struct store_read_state *state = LIST_OF(at, struct store_read_state, link);
		if (state->head.segment == from.segment && state->head.offset == from.offset)
			state->head = to;
	}
}

void read_fail_waiting(struct store *store)
{
	while (!list_is_empty(&store->reads_waiting)) {
		struct list *at = store->reads_waiting.next;
		struct store_read_state *state = LIST_OF(at, struct store_read_state, link);
		state->waiting = false;
		read_defer(state, ERR_IO);
	}
}

/* Checks what has come of the body. `len` bytes of it lie at `body`. */
static bool read_check_body(struct store_read_state *state, const uint8_t *body, size_t len)
{
	size_t total = state->view.header.body_bytes;
	if (len > total)
		len = total;
	size_t end = len == total ? total : len / CHUNK_BYTES * CHUNK_BYTES;
	ASSERT(state->checked <= end || end == 0);
	if (end <= state->checked)
		return true;
	struct span fresh = span_of(body + state->checked, end - state->checked);
	uint32_t first = (uint32_t)(state->checked / CHUNK_BYTES);
	state->checked = end;
	return record_check_chunks(state->view.crcs, first, fresh);
}

static enum err read_parse(struct store_read_state *state)
{
	const struct store_read *read = state->read;
	uint64_t offset = (uint64_t)read->place.offset * RECORD_ALIGN;
	size_t skip = (size_t)(offset - state->from);
	struct stamp stamp = segment_stamp(state->segment, offset);
	struct span bytes = span_of(state->block->block + skip, state->have - skip);
	enum err err = record_parse(bytes, &stamp, &state->view);
	if (err == ERR_AGAIN && state->view.layout.bytes == read->place.bytes)
		return ERR_AGAIN;
	if (err != OK)
		return ERR_CORRUPT;
	state->parsed = true;
	if (read->lsn != 0 && state->view.header.lsn != read->lsn)
		return ERR_CORRUPT;
	if (state->view.layout.bytes != read->place.bytes)
		return ERR_CORRUPT;
	return OK;
}

static void read_fill_record(struct store_read_state *state)
{
	struct store_read *read = state->read;
	record_from_view(&state->view, &read->record);
	read->record.flags &= (uint8_t)~RECORD_CHAINED;
	read->record.place = read->place;
	if (state->body != NULL) {
		read->record.body = state->body;
		read->record.body_bytes = state->body->len;
		state->body = NULL;
	} else if (!read->meta_only && !state->chained && state->view.header.body_bytes > 0) {
		size_t skip = (size_t)read->place.offset * RECORD_ALIGN - (size_t)state->from;
		body_narrow(state->block, skip + state->view.layout.body_at,
		    state->view.header.body_bytes, state->view.crcs);
		read->record.body = body_ref(state->block);
	}
}

static void read_next_part(struct store_read_state *state);

/* Head and all of the body are there and right. */
static void read_whole(struct store_read_state *state)
{
	struct store *store = state->store;
	struct store_read *read = state->read;
	struct span table;
	uint64_t total;
	state->chained = (state->view.header.flags & RECORD_CHAINED) != 0;
	if (!state->chained) {
		read_unpin(state);
		read_fill_record(state);
		read_finish(state, OK);
		return;
	}
	read_unpin(state);
	if (!read_is_chained(read, &table) || !chain_table_check(table, &total)) {
		read_corrupt(state, "table of a long body makes no sense");
		read_finish(state, ERR_CORRUPT);
		return;
	}
	if (read->meta_only) {
		read_fill_record(state);
		read->record.body_bytes = total;
		read_finish(state, OK);
		return;
	}
	enum err err = OK;
	if (state->head.segment == 0 || chain_find(store, state->head) == NULL)
		err = ERR_NOTFOUND;
	if (err == OK)
		err = read_block(state, (size_t)total, &state->body);
	if (err != OK)
		read_finish(state, err);
	else
		read_next_part(state);
}

bool read_is_chained(const struct store_read *read, struct span *table)
{
	const struct store_read_state *state = read->state;
	CHECK_OBJ(state, READ_STATE_MAGIC);
	if (!state->parsed || (state->view.header.flags & RECORD_CHAINED) == 0)
		return false;
	size_t skip = (size_t)read->place.offset * RECORD_ALIGN - (size_t)state->from;
	*table = span_of(state->block->block + skip + state->view.layout.body_at,
	    state->view.header.body_bytes);
	return state->view.header.body_bytes <= BODY_INLINE_MAX;
}

static enum err read_absorb(struct store_read_state *state)
{
	struct store_read *read = state->read;
	size_t offset = (size_t)read->place.offset * RECORD_ALIGN;
	size_t skip = offset - (size_t)state->from;
	if (!state->parsed) {
		enum err err = read_parse(state);
		if (err == ERR_AGAIN && state->have < state->block->block_bytes)
			return ERR_AGAIN;
		if (err == ERR_AGAIN)
			return read->meta_only ? ERR_TOOLARGE : ERR_CORRUPT;
		if (err != OK)
			return err;
	}
	bool chained = (state->view.header.flags & RECORD_CHAINED) != 0;
	if (read->meta_only && chained && state->have < state->block->block_bytes)
		return ERR_AGAIN;
	if (read->meta_only && chained && skip + read->place.bytes > state->have)
		return ERR_TOOLARGE;
	if (read->meta_only && !chained)
		return OK;
	if (state->have > skip + state->view.layout.body_at) {
		size_t at = skip + state->view.layout.body_at;
		if (!read_check_body(state, state->block->block + at, state->have - at))
			return ERR_CORRUPT;
	}
	return state->have < state->block->block_bytes ? ERR_AGAIN : OK;
}

static void read_failed(struct store_read_state *state, int32_t result)
{
	state->store->stats.read_errors++;
	log_warning(state->store->log, "Reading segment %u failed: %s", state->segment->id,
	    err_name(io_err(result < 0 ? result : -EIO)));
	read_unpin(state);
	read_corrupt(state, "unreadable");
	read_finish(state, ERR_CORRUPT);
}

static void read_done(struct io_op *op, int32_t result)
{
	struct store_read_state *state = op->ctx;
	CHECK_OBJ(state, READ_STATE_MAGIC);
	ASSERT(state->segment != NULL);
	if (state->read == NULL) {
		read_unpin(state);
		read_finish(state, ERR_CANCELLED);
		return;
	}
	if (result < 0 || (size_t)result != state->iov[0].iov_len) {
		read_failed(state, result);
		return;
	}
	state->store->stats.read_bytes += (uint64_t)result;
	state->have += (size_t)result;
	enum err err = read_absorb(state);
	if (err == ERR_AGAIN) {
		read_submit(state);
	} else if (err == ERR_TOOLARGE) {       /* metadata longer than the first read */
		size_t least =
		    state->parsed ? state->view.layout.bytes : state->view.layout.head_bytes;
		state->parsed = false;
		err = read_begin(state, state->segment, least + SECTOR);
		if (err != OK) {
			read_unpin(state);
			read_finish(state, err);
		}
	} else if (err == OK) {
		read_whole(state);
	} else {
		read_unpin(state);
		read_corrupt(state, "a record fails its checksum");
		read_finish(state, ERR_CORRUPT);
	}
}

/* ---- The parts of a chain ---- */

/* Bytes of the part's body that the next read brings, and its head before the first. */
static void read_part_submit(struct store_read_state *state, uint32_t body_bytes)
{
	struct store *store = state->store;
	uint32_t head = record_head_bytes(0, 0, body_bytes);
	uint64_t offset = (uint64_t)state->part_place.offset * RECORD_ALIGN;
	struct record_layout layout = record_layout(offset, head, body_bytes);
	uint64_t from = offset / SECTOR * SECTOR;
	uint64_t body_from = offset + layout.body_at;
	uint32_t pieces = 0;
	bool in_head = body_bytes <= BODY_INLINE_MAX;
	if (state->part_have == 0)
		state->iov[pieces++] =
		    (struct iovec){state->part_head->block, state->part_head->block_bytes};
	if (!in_head) {
		size_t left = (size_t)round_up(body_bytes - state->part_have, SECTOR);
		size_t len = min_u64(left, PIECE_BYTES);
		uint8_t *to = state->body->block + state->body_at + state->part_have;
		state->iov[pieces++] = (struct iovec){to, len};
		if (state->part_have > 0)
			from = body_from + state->part_have;
	}
	io_op_init(&state->op, read_part_done, state);
	const struct io_transfer transfer = {
		.fd = state->segment->fd,
		.offset = from,
		.iov = state->iov,
		.iov_count = pieces,
	};
	ASSERT(pieces > 0);
	store->stats.reads++;
	store->stats.record_read_pieces++;
	io_read(store->io, &state->op, &transfer);
}

static struct chain_part read_part(const struct store_read_state *state, uint32_t *count)
{
	struct span table;
	bool chained = read_is_chained(state->read, &table);
	ASSERT(chained);
	*count = (uint32_t)(table.len / CHAIN_ENTRY);
	return chain_table_get(table, state->part < *count ? state->part : 0);
}

static void read_chain_complete(struct store_read_state *state)
{
	struct body *body = state->body;
	ASSERT(state->body_at == body->len);
	body->filled = body->hashed = body->len;
	read_fill_record(state);
	read_finish(state, OK);
}

static void read_next_part(struct store_read_state *state)
{
	struct store *store = state->store;
	uint32_t count;
	struct chain_part part = read_part(state, &count);
	if (state->part == count) {
		read_chain_complete(state);
		return;
	}
	const struct chain *chain =
	    state->head.segment == 0 ? NULL : chain_find(store, state->head);
	if (chain == NULL || chain->count != count) {
		read_finish(state, ERR_NOTFOUND);      /* it died meanwhile */
		return;
	}
	state->part_place = chain->parts[state->part];
	struct segment *segment = segment_find(store, state->part_place.segment);
	uint64_t end = (uint64_t)state->part_place.offset * RECORD_ALIGN + state->part_place.bytes;
	if (segment == NULL || end > segment->bytes) {        /* its file is missing */
		read_finish(state, ERR_CORRUPT);
		return;
	}
	uint32_t head = record_head_bytes(0, 0, part.body_bytes);
	uint64_t offset = (uint64_t)state->part_place.offset * RECORD_ALIGN;
	struct record_layout layout = record_layout(offset, head, part.body_bytes);
	uint64_t from = offset / SECTOR * SECTOR;
	uint64_t head_end = part.body_bytes <= BODY_INLINE_MAX ? round_up(end, SECTOR)
	                                                       : offset + layout.body_at;
	body_unref(state->part_head);
	state->part_head = NULL;
	enum err err = body_new_heap(store->memory, (size_t)(head_end - from), &state->part_head);
	if (err != OK) {
		read_finish(state, err);
		return;
	}
	state->part_have = 0;
	read_pin(state, segment);
	read_part_submit(state, part.body_bytes);
}

/* Head of the part, once: it must be the one that the table names. */
static bool read_part_parse(struct store_read_state *state, struct chain_part part)
{
	uint64_t offset = (uint64_t)state->part_place.offset * RECORD_ALIGN;
	size_t skip = (size_t)(offset % SECTOR);
	struct stamp stamp = segment_stamp(state->segment, offset);
	struct span bytes = span_of(state->part_head->block, state->part_head->block_bytes);
	struct record_view view;
	if (record_parse(span_slice(bytes, skip, bytes.len), &stamp, &view) != OK)
		return false;
	if (view.header.type != RECORD_PART || view.header.lsn != part.lsn ||
	    view.header.body_bytes != part.body_bytes)
		return false;
	if (part.body_bytes <= BODY_INLINE_MAX)
		memcpy(state->body->block + state->body_at, bytes.ptr + skip + view.layout.body_at,
		    part.body_bytes);
	struct body *body = state->body;
	if (body->chunk_crcs == NULL)
		body->chunk_crcs =
		    memory_zalloc(body->memory, (size_t)chunk_count(body->len) * sizeof(uint32_t));
	memcpy(body->chunk_crcs + state->body_at / CHUNK_BYTES, view.crcs.ptr, view.crcs.len);
	return true;
}

static bool read_part_check(struct store_read_state *state, struct chain_part part, size_t got)
{
	if (state->part_have == 0 && !read_part_parse(state, part))
		return false;
	if (part.body_bytes <= BODY_INLINE_MAX) {
		got = part.body_bytes;
	} else if (state->part_have == 0) {
		ASSERT(got >= state->part_head->block_bytes);
		got -= state->part_head->block_bytes;
	}
	size_t at = state->body_at + state->part_have;
	size_t len = min_u64(got, part.body_bytes - state->part_have);
	struct span crcs = span_of(state->body->chunk_crcs,
	    (size_t)chunk_count(state->body->len) * sizeof(uint32_t));
	state->part_have += len;
	return record_check_chunks(crcs, (uint32_t)(at / CHUNK_BYTES),
	    span_of(state->body->block + at, len));
}

static void read_part_done(struct io_op *op, int32_t result)
{
	struct store_read_state *state = op->ctx;
	CHECK_OBJ(state, READ_STATE_MAGIC);
	ASSERT(state->segment != NULL);
	if (state->read == NULL) {
		read_unpin(state);
		read_finish(state, ERR_CANCELLED);
		return;
	}
	size_t want = state->iov[0].iov_len;
	uint32_t count;
	struct chain_part part = read_part(state, &count);
	if (state->part_have == 0 && part.body_bytes > BODY_INLINE_MAX)
		want += state->iov[1].iov_len;
	if (result < 0 || (size_t)result != want) {
		read_failed(state, result);
		return;
	}
	state->store->stats.read_bytes += (uint64_t)result;
	if (!read_part_check(state, part, (size_t)result)) {
		read_unpin(state);
		read_corrupt(state, "a part of a long body fails its checksum");
		read_finish(state, ERR_CORRUPT);
		return;
	}
	if (state->part_have < part.body_bytes) {
		read_part_submit(state, part.body_bytes);
		return;
	}
	read_unpin(state);
	state->body_at += part.body_bytes;
	state->part++;
	read_next_part(state);
}

/* ---- The doors ---- */

static void read_start(struct store *store, struct store_read *read, bool heap)
{
	struct store_read_state *state = memory_zalloc(store->memory, sizeof(*state));
	ASSERT(read->done != NULL);
	state->magic = READ_STATE_MAGIC;
	state->store = store;
	state->read = read;
	state->heap = heap;
	list_init(&state->link);
	read->magic = READ_MAGIC;
	read->store = store;
	read->record = (struct record){0};
	read->state = state;
	read_try(state);
}

void store_read_start(struct store *store, struct store_read *read)
{
	CHECK_OBJ(store, STORE_MAGIC);
	store->stats.record_reads++;
	ASSERT(read->place.segment > 0);
	read_start(store, read, false);
}

void read_start_heap(struct store *store, struct store_read *read)
{
	CHECK_OBJ(store, STORE_MAGIC);
	ASSERT(read->place.segment > 0);
	read_start(store, read, true);
}

void store_read_fini(struct store_read *read)
{
	DROP_OBJ(read, READ_MAGIC);
	struct store_read_state *state = read->state;
	CHECK_OBJ(state, READ_STATE_MAGIC);
	ASSERT(state->read == read);
	body_unref(read->record.body);
	read->record = (struct record){0};
	read->state = NULL;
	state->read = NULL;
	if (state->segment == NULL)
		read_free(state);             /* else the callback of the read under way does */
}

void read_abandon(struct store *store)
{
	struct list *lists[] = {
	    &store->reads_waiting, &store->reads_deferred, &store->reads_running};
	for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
		while (!list_is_empty(lists[i])) {
			struct store_read_state *state =
			    LIST_OF(lists[i]->next, struct store_read_state, link);
			if (state->read != NULL)
				body_unref(state->read->record.body);
			state->segment = NULL;
			read_free(state);
		}
	}
}
