/* store/batch.c: see batch.h. */
#include "store/batch.h"

#include "base/arith.h"
#include "base/crc32c.h"

enum { BATCH_MAGIC = 0x42617463 };

struct batch *batch_new(struct memory *memory)
{
	ASSERT(memory != NULL);
	uint8_t *buf = memory_try_alloc_aligned(memory, SECTOR, BATCH_BUFFER);
	ASSERT(buf != NULL);
	struct batch *batch = memory_zalloc(memory, sizeof(*batch));
	batch->magic = BATCH_MAGIC;
	batch->memory = memory;
	batch->buf = buf;
	batch->entries = memory_alloc(memory, BATCH_RECORDS * sizeof(*batch->entries));
	list_init(&batch->link);
	list_init(&batch->moves);
	return batch;
}

static void batch_drop_bodies(struct batch *batch)
{
	ASSERT(batch->body_count <= BATCH_BODIES);
	for (uint32_t i = 0; i < batch->body_count; i++)
		body_unref(batch->bodies[i]);
	batch->body_count = 0;
}

void batch_free(struct batch *batch)
{
	DROP_OBJ(batch, BATCH_MAGIC);
	ASSERT(list_is_empty(&batch->moves));
	batch_drop_bodies(batch);
	memory_free(batch->memory, batch->entries, BATCH_RECORDS * sizeof(*batch->entries));
	memory_free(batch->memory, batch->buf, BATCH_BUFFER);
	memory_free(batch->memory, batch, sizeof(*batch));
}

void batch_begin(struct batch *batch, const struct stamp *stamp)
{
	CHECK_OBJ(batch, BATCH_MAGIC);
	ASSERT(stamp->offset % SECTOR == 0);
	ASSERT(list_is_empty(&batch->moves));
	batch_drop_bodies(batch);
	batch->state = BATCH_OPEN;
	batch->sync = BATCH_NO_SYNC;
	batch->rewritten = batch->everysec = batch->wants_sync = false;
	batch->offset = stamp->offset;
	batch->bytes = 0;
	batch->first_lsn = batch->last_lsn = batch->new_lsn = 0;
	batch->always_lsn = batch->recorded_lsn = 0;
	batch->count = batch->piece_count = 0;
	batch->summed = batch->heads_crc = 0;
	batch->buf_len = batch->piece_from = 0;
}

/* Field by field: a whole that was just written in parts is slow to copy. */
static inline void batch_spot(const struct batch *batch, const struct record *record,
    uint32_t body_bytes, struct batch_spot *out)
{
	uint64_t at = round_up(batch->bytes, RECORD_ALIGN);
	uint32_t head = record_head_bytes(record->key.len, record->meta.len, body_bytes);
	ASSERT(batch->offset % SECTOR == 0);
	struct record_layout layout = record_layout(batch->offset + at, head, body_bytes);
	bool by_reference = body_bytes > BODY_INLINE_MAX;
	out->at = at;
	out->end = at + layout.bytes;
	out->buffered = by_reference ? layout.body_at + body_bytes % SECTOR : layout.bytes;
	out->layout.head_bytes = layout.head_bytes;
	out->layout.body_at = layout.body_at;
	out->layout.bytes = layout.bytes;
	out->by_reference = by_reference;
}

uint64_t batch_bytes_with(const struct batch *batch, const struct record *record,
    const struct payload *payload, struct batch_spot *spot)
{
	CHECK_OBJ(batch, BATCH_MAGIC);
	ASSERT(batch->state == BATCH_OPEN);
	batch_spot(batch, record, payload->len, spot);
	if (batch->count == BATCH_RECORDS || batch->body_count == BATCH_BODIES)
		return 0;
	if (batch->count > 0 && spot->end > BATCH_BYTES_SOFT)
		return 0;
	size_t buffered = round_up(batch->buf_len, RECORD_ALIGN) + spot->buffered;
	if (round_up(round_up(buffered, RECORD_ALIGN) + COMMIT_BYTES, SECTOR) > BATCH_BUFFER)
		return 0;
	return round_up(round_up(spot->end, RECORD_ALIGN) + COMMIT_BYTES, SECTOR);
}

uint64_t batch_bytes_alone(const struct record *record, uint32_t body_bytes)
{
	uint32_t head = record_head_bytes(record->key.len, record->meta.len, body_bytes);
	struct record_layout layout = record_layout(0, head, body_bytes);
	ASSERT(layout.bytes >= head);
	return round_up(layout.bytes, SECTOR) + SECTOR;
}

/* Zeros up to the next multiple of `unit`, in the buffer and on disk alike. */
static void batch_pad(struct batch *batch, uint64_t unit)
{
	size_t len = (size_t)(round_up(batch->buf_len, unit) - batch->buf_len);
	ASSERT(batch->buf_len + len <= BATCH_BUFFER);
	memset(batch->buf + batch->buf_len, 0, len);
	batch->buf_len += len;
	batch->bytes += len;
}

static void batch_push_piece(struct batch *batch, void *ptr, size_t len)
{
	ASSERT(batch->piece_count < BATCH_PIECES);
	ASSERT((uintptr_t)ptr % SECTOR == 0 && len % SECTOR == 0);
	if (len == 0)
		return;
	batch->pieces[batch->piece_count++] = (struct iovec){.iov_base = ptr, .iov_len = len};
}

/* The buffer's bytes since the last body become a piece. */
static void batch_cut_piece(struct batch *batch)
{
	ASSERT(batch->buf_len % SECTOR == 0);
	batch_push_piece(batch, batch->buf + batch->piece_from, batch->buf_len - batch->piece_from);
	batch->piece_from = batch->buf_len;
}

static void batch_add_body(struct batch *batch, const struct payload *payload, bool by_reference)
{
	const uint8_t *bytes = payload->body != NULL ? payload->body->ptr + payload->from
	                                             : payload->value.ptr;
	if (!by_reference) {
		if (payload->len > 0)
			memcpy(batch->buf + batch->buf_len, bytes, payload->len);
		batch->buf_len += payload->len;
		batch->bytes += payload->len;
		return;
	}
	ASSERT(payload->body != NULL);
	ASSERT(batch->body_count < BATCH_BODIES);
	batch_pad(batch, SECTOR);
	batch_cut_piece(batch);
	size_t rest = payload->len % SECTOR, len = payload->len - rest;
	batch_push_piece(batch, payload->body->ptr + payload->from, len);
	batch->bodies[batch->body_count++] = body_ref(payload->body);
	memcpy(batch->buf + batch->buf_len, bytes + len, rest);
	batch->buf_len += rest;
	batch->bytes += payload->len;
}

static void batch_note(struct batch *batch, const struct record *record, bool is_move)
{
	if (batch->first_lsn == 0 || record->lsn < batch->first_lsn)
		batch->first_lsn = record->lsn;
	if (record->lsn > batch->last_lsn)
		batch->last_lsn = record->lsn;
	if (is_move || record->sync == SYNC_ALWAYS)
		batch->wants_sync = true;
	if (is_move)
		return;
	ASSERT(record->lsn > batch->new_lsn);
	if ((record->flags & RECORD_CONTINUES) == 0)
		batch->new_lsn = record->lsn;
	if (record->sync == SYNC_ALWAYS && batch->always_lsn == 0)
		batch->always_lsn = record->lsn;
	if (record->sync == SYNC_EVERYSEC)
		batch->everysec = true;
}

/* The checksums of the first `count` heads go into one. The last record may still grow: its head is summed
 * when the next one comes, as long as it is in the cache. */
static void batch_sum_heads(struct batch *batch, uint32_t count)
{
	ASSERT(batch->summed <= count && count <= batch->count);
	for (; batch->summed < count; batch->summed++) {
		const uint8_t *head = batch->buf + batch->entries[batch->summed].head_at;
		batch->heads_crc = crc32c(batch->heads_crc, span_of(head + 4, 4));
	}
}

struct place batch_add(struct batch *batch, const struct stamp *stamp, const struct record *record,
    const struct payload *payload, const struct batch_spot *spot)
{
	ASSERT(spot->at == round_up(batch->bytes, RECORD_ALIGN));
	ASSERT(stamp->segment > 0);
	uint32_t crc;
	const uint32_t *crcs = payload->crcs;
	if (crcs == NULL) {
		ASSERT(payload->body == NULL && payload->len <= BODY_INLINE_MAX);
		crc = crc32c(0, payload->value);
		crcs = &crc;
	}
	batch_sum_heads(batch, batch->count);
	batch_pad(batch, RECORD_ALIGN);
	struct batch_entry *entry = &batch->entries[batch->count++];
	struct place place = {
	    .segment = stamp->segment,
	    .offset = (uint32_t)((batch->offset + spot->at) / RECORD_ALIGN),
	    .bytes = spot->layout.bytes,
	};
	entry->lsn = record->lsn;
	entry->place = place;
	entry->old = (struct place){0};
	entry->head_at = (uint32_t)batch->buf_len;
	entry->head_bytes = spot->layout.head_bytes;
	entry->from_start = (uint32_t)spot->at;
	entry->body_bytes = payload->len;
	entry->type = record->type;
	entry->flags = record->flags;
	entry->db = record->db;
	entry->is_move = record->place.segment != 0;
	entry->is_cleaned = false;
	record_write_stamped(batch->buf + batch->buf_len, record, payload->len, crcs,
	    &(struct stamp){stamp->segment, stamp->nonce, batch->offset + spot->at});
	batch->buf_len += spot->layout.head_bytes;
	batch->bytes += spot->layout.head_bytes;
	batch_add_body(batch, payload, spot->by_reference);
	ASSERT(batch->bytes == spot->end);
	batch_note(batch, record, entry->is_move);
	return place;
}

struct place batch_extend(struct batch *batch, const struct stamp *stamp, struct span more)
{
	const struct place none = {0};
	CHECK_OBJ(batch, BATCH_MAGIC);
	ASSERT(batch->state == BATCH_OPEN && batch->count > 0);
	struct batch_entry *entry = &batch->entries[batch->count - 1];
	uint64_t body_bytes = entry->body_bytes + more.len;
	bool is_rehomed = entry->old.segment != 0;      /* and its owner has not heard of it */
	if (entry->is_move || is_rehomed || entry->body_bytes == 0 || body_bytes > BODY_INLINE_MAX ||
	    batch->bytes + more.len > BATCH_BYTES_SOFT)
		return none;
	if (round_up(round_up(batch->buf_len + more.len, RECORD_ALIGN) + COMMIT_BYTES, SECTOR) > BATCH_BUFFER)
		return none;
	ASSERT(batch->buf_len == entry->head_at + entry->head_bytes + entry->body_bytes);
	uint8_t *head = batch->buf + entry->head_at;
	memcpy(batch->buf + batch->buf_len, more.ptr, more.len);
	batch->buf_len += more.len;
	batch->bytes += more.len;
	entry->body_bytes = (uint32_t)body_bytes;
	entry->place.bytes += (uint32_t)more.len;
	record_extend_head(head, more);
	record_stamp(head, entry->head_bytes,
	    &(struct stamp){stamp->segment, stamp->nonce, batch->offset + entry->from_start});
	return entry->place;
}

static void batch_write_commit(struct batch *batch, size_t at, const struct stamp *stamp)
{
	struct commit_block *commit = &batch->commit;
	batch_sum_heads(batch, batch->count);
	commit->headers_crc = batch->heads_crc;
	commit->count = batch->count;
	commit->first_lsn = batch->first_lsn;
	commit->last_lsn = batch->last_lsn;
	commit->batch_sector = (uint32_t)(batch->offset / SECTOR);
	/* The block lies in the last sector of the batch, wherever its records end. */
	uint64_t from_start = batch->bytes - (batch->buf_len - at);
	commit_write(batch->buf + at, commit,
	    &(struct stamp){stamp->segment, stamp->nonce, batch->offset + from_start});
}

void batch_close(struct batch *batch, const struct stamp *stamp, const struct commit_block *commit)
{
	CHECK_OBJ(batch, BATCH_MAGIC);
	ASSERT(batch->state == BATCH_OPEN);
	batch->commit = *commit;
	batch->recorded_lsn = commit->durable_lsn;
	batch_pad(batch, RECORD_ALIGN);
	size_t at = batch->commit_at = batch->buf_len;
	batch->buf_len += COMMIT_BYTES;
	batch->bytes += COMMIT_BYTES;
	batch_pad(batch, SECTOR);
	batch_cut_piece(batch);
	batch_write_commit(batch, at, stamp);
	batch->state = BATCH_WAITING;
	ASSERT(batch->bytes % SECTOR == 0);
}

void batch_move(struct batch *batch, const struct stamp *stamp)
{
	CHECK_OBJ(batch, BATCH_MAGIC);
	ASSERT(stamp->offset % SECTOR == 0);
	batch->offset = stamp->offset;
	batch->summed = batch->heads_crc = 0;
	for (uint32_t i = 0; i < batch->count; i++) {
		struct batch_entry *entry = &batch->entries[i];
		uint64_t offset = batch->offset + entry->from_start;
		entry->old = entry->place;
		entry->place.segment = stamp->segment;
		entry->place.offset = (uint32_t)(offset / RECORD_ALIGN);
		record_stamp(batch->buf + entry->head_at, entry->head_bytes,
		    &(struct stamp){stamp->segment, stamp->nonce, offset});
	}
	if (batch->state != BATCH_OPEN)
		batch_write_commit(batch, batch->commit_at, stamp);
}
