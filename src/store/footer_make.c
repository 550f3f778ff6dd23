/* store/footer_make.c: gathers a segment's footer while the segment is filled, and writes it.
 *
 * Records enter when their batch is durable, in the order of the log, wherever batches had
 * to go. Blocks are compressed as they fill up, so that sealing costs no more than the last
 * one. The write is not synced and nobody waits for it: a footer that is torn is none.
 */
#include "store/state.h"

#include "store/footer.h"

struct footer {
	struct footer_base base;
	uint32_t           index, count;      /* of the block being filled */
	uint64_t           items;
	uint32_t           batches;
	size_t             raw_len;
	uint8_t           *raw;               /* FOOTER_BLOCK_RAW */
	uint8_t           *block;             /* FOOTER_BLOCK_HEADER + FOOTER_BLOCK_RAW */
	struct iovec      *pieces;            /* PIECE_BYTES each, filled in order */
	uint32_t           piece_count;
	uint64_t           stored;
	struct io_op       op;
	struct segment    *segment;
};

static void footer_written(struct io_op *op, int32_t result);

void footer_drop(struct segment *segment)
{
	struct footer *footer = segment->footer;
	if (footer == NULL)
		return;
	struct memory *memory = segment->store->memory;
	for (uint32_t i = 0; i < footer->piece_count; i++)
		memory_free(memory, footer->pieces[i].iov_base, PIECE_BYTES);
	memory_free(memory, footer->pieces, footer->piece_count * sizeof(*footer->pieces));
	memory_free(memory, footer->raw, FOOTER_BLOCK_RAW);
	memory_free(memory, footer->block, FOOTER_BLOCK_HEADER + FOOTER_BLOCK_RAW);
	memory_free(memory, footer, sizeof(*footer));
	segment->footer = NULL;
}

static struct footer *footer_of(struct segment *segment)
{
	struct memory *memory = segment->store->memory;
	if (segment->footer != NULL)
		return segment->footer;
	struct footer *footer = memory_zalloc(memory, sizeof(*footer));
	footer->raw = memory_alloc(memory, FOOTER_BLOCK_RAW);
	footer->block = memory_alloc(memory, FOOTER_BLOCK_HEADER + FOOTER_BLOCK_RAW);
	footer->segment = segment;
	segment->footer = footer;
	return footer;
}

/* One more piece, or false. */
static bool footer_add_piece(struct footer *footer)
{
	struct memory *memory = footer->segment->store->memory;
	uint8_t *piece = memory_try_alloc_aligned(memory, SECTOR, PIECE_BYTES);
	if (piece == NULL)
		return false;
	uint32_t count = footer->piece_count;
	footer->pieces = memory_resize(memory, footer->pieces, count * sizeof(*footer->pieces),
	    (count + 1) * sizeof(*footer->pieces));
	footer->pieces[count] = (struct iovec){.iov_base = piece, .iov_len = PIECE_BYTES};
	footer->piece_count++;
	return true;
}

static bool footer_store(struct footer *footer, struct span bytes)
{
	while (bytes.len > 0) {
		uint64_t room = footer->piece_count * (uint64_t)PIECE_BYTES - footer->stored;
		if (room == 0) {
			if (footer->piece_count >= IO_IOV_MAX - 1 || !footer_add_piece(footer))
				return false;
			continue;
		}
		size_t len = (size_t)min_u64(room, bytes.len);
		uint8_t *piece = footer->pieces[footer->stored / PIECE_BYTES].iov_base;
		memcpy(piece + footer->stored % PIECE_BYTES, bytes.ptr, len);
		footer->stored += len;
		bytes = span_slice(bytes, len, bytes.len);
	}
	return true;
}

static bool footer_close_block(struct footer *footer)
{
	if (footer->count == 0)
		return true;
	struct stamp stamp = segment_stamp(footer->segment, 0);
	size_t len = footer_block_write(footer->block, &stamp, footer->index, footer->count,
	    span_of(footer->raw, footer->raw_len));
	footer->index++;
	footer->count = 0;
	footer->raw_len = 0;
	footer->base = (struct footer_base){0};
	return footer_store(footer, span_of(footer->block, len));
}

static void footer_fill_item(struct footer_item *item, const struct batch_entry *entry,
    const struct record_view *view)
{
	const struct record_header *header = &view->header;
	*item = (struct footer_item){
		.lsn = entry->lsn,
		.offset = entry->place.offset,
		.bytes = entry->place.bytes,
		.type = header->type,
		.flags = header->flags,
		.db = header->db,
		.is_mark = record_is_mark(header->type, header->body_bytes),
		.refers = header->refers,
		.expire_ms = header->expire_ms,
		.time_ms = header->time_ms,
		.body_bytes = header->body_bytes,
		.key = view->key,
		.meta = view->meta,
	};
	item->has_head =
	    footer_holds_head(item->type, item->flags, view->key.len + view->meta.len);
}

/* False: no memory; there will be no footer. */
static bool footer_add(struct footer *footer, struct footer_item *item)
{
	struct footer_base base = footer->base;
	size_t most = FOOTER_NUMBERS_MAX + (item->has_head ? item->key.len + item->meta.len : 0);
	if (footer->raw_len + most > FOOTER_BLOCK_RAW &&
	    footer->raw_len + footer_item_write(NULL, &base, item) > FOOTER_BLOCK_RAW &&
	    !footer_close_block(footer))
		return false;
	footer->raw_len +=
	    footer_item_write(footer->raw + footer->raw_len, &footer->base, item);
	footer->count++;
	footer->items++;
	ASSERT(footer->raw_len <= FOOTER_BLOCK_RAW);
	return true;
}

/* The item of one record of a durable batch. */
static void footer_note_record(struct footer_item *item, const struct batch *batch,
    const struct batch_entry *entry)
{
	struct stamp stamp =
	    segment_stamp(batch->segment, (uint64_t)entry->place.offset * RECORD_ALIGN);
	struct span head = span_of(batch->buf + entry->head_at, batch->buf_len - entry->head_at);
	struct record_view view;
	if (!footer_holds_head(entry->type, entry->flags, 0) && entry->type != RECORD_SETTING) {
		*item = (struct footer_item){
			.lsn = entry->lsn,
			.offset = entry->place.offset,
			.bytes = entry->place.bytes,
			.type = entry->type,
			.flags = entry->flags,
			.db = entry->db,
		};
		return;
	}
	record_view_own(head, &stamp, &view);
	footer_fill_item(item, entry, &view);
}

static bool footer_note_records(struct footer *footer, const struct batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct batch_entry *entry = &batch->entries[i];
		struct footer_item item;
		footer_note_record(&item, batch, entry);
		item.batch_sector = (uint32_t)(batch->offset / SECTOR);
		if (!footer_add(footer, &item))
			return false;
	}
	return true;
}

void footer_note_durable(struct batch *batch)
{
	struct segment *segment = batch->segment;
	ASSERT(segment->magic == SEGMENT_MAGIC);
	if (segment->failed || segment->footer_lost)
		return;
	struct footer *footer = footer_of(segment);
	footer->batches++;
	if (!footer_note_records(footer, batch)) {
		segment->footer_lost = true;
		footer_drop(segment);
	} else if ((batch->commit.flags & COMMIT_SEAL) != 0) {
		footer_write(segment, &batch->commit);
	}
}

static void footer_submit(struct segment *segment, uint64_t from)
{
	struct footer *footer = segment->footer;
	struct store *store = segment->store;
	const struct io_transfer transfer = {
		.fd = segment->fd,
		.offset = from,
		.iov = footer->pieces,
		.iov_count = footer->piece_count,
	};
	segment->pins++;
	store->footers_active++;
	store->stats.written_bytes += footer_tail_at(segment->bytes) + SECTOR - from;
	io_op_init(&footer->op, footer_written, segment);
	io_write(store->io, &footer->op, &transfer);
}

void footer_write(struct segment *segment, const struct commit_block *seal)
{
	static const uint8_t zeros[SECTOR];
	struct footer *footer = segment->footer;
	ASSERT(footer != NULL);
	ASSERT(!segment->failed);
	bool good = footer_close_block(footer);
	struct footer_tail tail = {
		.stream = seal->stream,
		.block_count = footer->index,
		.batches = footer->batches,
		.count = footer->items,
		.stored_bytes = footer->stored,
		.life = seal->life,
		.durable_lsn = seal->durable_lsn,
		.durable_segment = seal->durable_segment,
		.durable_sector = seal->durable_sector,
		.end_sector = (uint32_t)(segment->tail / SECTOR),
	};
	memcpy(tail.ended, seal->ended, sizeof(tail.ended));
	uint64_t from = footer_blocks_at(segment->bytes, footer->stored);
	good = good && from >= segment->tail &&
	    !zeroer_overlaps(segment, from, segment->bytes - SECTOR);
	size_t gap = (size_t)(round_up(footer->stored, SECTOR) - footer->stored);
	good = good && footer_store(footer, span_of(zeros, gap));
	struct stamp stamp = segment_stamp(segment, 0);
	footer_tail_write(footer->block, &tail, &stamp);
	good = good && footer_store(footer, span_of(footer->block, SECTOR));
	if (!good) {
		footer_drop(segment);
		return;
	}
	struct iovec *last = &footer->pieces[footer->piece_count - 1];
	last->iov_len = (size_t)(footer->stored - (footer->piece_count - 1) * (uint64_t)PIECE_BYTES);
	ASSERT(last->iov_len % SECTOR == 0);
	footer_submit(segment, from);
}

/* Whether it worked does not matter: without one the records are walked through. */
static void footer_written(struct io_op *op, int32_t result)
{
	struct segment *segment = op->ctx;
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	struct store *store = segment->store;
	ASSERT(segment->pins > 0 && store->footers_active > 0);
	if (result < 0) {
		store->stats.write_errors++;
		log_warning(store->log, "No footer for %s: %s", segment->path,
		    err_name(io_err(result)));
	} else {
		store->stats.footers_written++;
	}
	segment->pins--;
	store->footers_active--;
	footer_drop(segment);
	store->reclaim_due = true;
	reclaim_pump(store);
	store_check_closed(store);
}

/* ---- Room ---- */

/* An estimate on the safe side of nearly all items: should they need more, there is no footer. */
void footer_count(struct segment *segment, const struct record *record)
{
	enum { NUMBERS = 12, NUMBERS_WITH_HEAD = 36 };
	size_t head = record->key.len + record->meta.len;
	bool holds_head = footer_holds_head(record->type, record->flags, head);
	segment->footer_raw += holds_head ? NUMBERS_WITH_HEAD + head : NUMBERS;
}

uint64_t footer_end_for(const struct segment *segment, const struct record *record)
{
	uint64_t raw = segment->footer_raw;
	if (record != NULL) {
		size_t head = record->key.len + record->meta.len;
		raw += FOOTER_NUMBERS_MAX + (footer_holds_head(record->type, record->flags, head) ? head : 0);
	}
	uint64_t end = segment_room_end(segment->bytes), room = footer_room(raw);
	return room < end ? end - room : 0;
}

/* ---- Reading what is being gathered ---- */

/* Copies bytes out of the pieces. False: there are not so many. */
static bool footer_copy(const struct footer *footer, uint64_t at, uint8_t *out, size_t len)
{
	if (at + len > footer->stored)
		return false;
	while (len > 0) {
		size_t in_piece = (size_t)(at % PIECE_BYTES);
		size_t part = (size_t)min_u64(len, PIECE_BYTES - in_piece);
		const uint8_t *piece = footer->pieces[at / PIECE_BYTES].iov_base;
		memcpy(out, piece + in_piece, part);
		out += part;
		at += part;
		len -= part;
	}
	return true;
}

enum err footer_peek_gathered(const struct segment *segment, uint32_t index, uint64_t *at,
    uint8_t *raw, struct span *out)
{
	const struct footer *footer = segment->footer;
	ASSERT(footer != NULL);
	if (index >= footer->index) {
		*out = span_of(footer->raw, footer->raw_len);
		return index == footer->index && footer->raw_len > 0 ? OK : ERR_NOTFOUND;
	}
	struct footer_block block;
	uint8_t *stored = raw + FOOTER_BLOCK_RAW;
	struct stamp stamp = segment_stamp(segment, 0);
	if (!footer_copy(footer, *at, stored, FOOTER_BLOCK_HEADER) ||
	    footer_block_peek(span_of(stored, FOOTER_BLOCK_HEADER), index, &block) != OK)
		return ERR_CORRUPT;
	size_t len = FOOTER_BLOCK_HEADER + (size_t)block.stored_bytes;
	if (!footer_copy(footer, *at, stored, len) ||
	    footer_block_parse(span_of(stored, len), &stamp, &block, raw) != OK)
		return ERR_CORRUPT;
	*at += len;
	*out = span_of(raw, block.raw_bytes);
	return OK;
}
