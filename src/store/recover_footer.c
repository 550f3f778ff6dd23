/* store/recover_footer.c: recovery from footers, and heads out of them when the owner is told.
 *
 * A footer is believed whole or not at all: if any block fails a check, whatever was taken
 * from it is forgotten and the segment is walked through instead.
 */
#include "store/recovery.h"

enum { FOOTER_CACHE = 64 };

/* One block, decompressed, and how far its items were read. */
struct footer_cached {
	uint32_t segment, index;          /* segment 0: none */
	uint64_t used;
	uint8_t *raw;
	uint32_t raw_bytes;
	struct span rest;
	struct footer_base base;
	struct footer_item item;          /* read last; offset 0: none */
};

struct footer_reader {
	bool                 has_tail;
	struct footer_tail   tail;
	uint64_t             at;          /* of the next block, in the file */
	uint64_t             taken;       /* bytes of blocks so far */
	uint32_t             index;
	uint64_t             count;
	uint8_t             *raw;
	uint64_t             ticks;
	struct footer_cached cache[FOOTER_CACHE];
};

static struct footer_reader *reader_of(struct recovery *recovery)
{
	struct memory *memory = recovery->store->memory;
	if (recovery->reader == NULL) {
		recovery->reader = memory_zalloc(memory, sizeof(*recovery->reader));
		recovery->reader->raw = memory_alloc(memory, FOOTER_BLOCK_RAW);
	}
	return recovery->reader;
}

void recover_footer_free(struct recovery *recovery)
{
	struct memory *memory = recovery->store->memory;
	struct footer_reader *reader = recovery->reader;
	for (uint32_t i = 0; i < recovery->scanned_count; i++) {
		struct scanned *scanned = &recovery->scanned[i];
		memory_free(memory, scanned->blocks, scanned->block_count * sizeof(*scanned->blocks));
		scanned->blocks = NULL;
		scanned->block_count = 0;
	}
	if (reader == NULL)
		return;
	for (uint32_t i = 0; i < FOOTER_CACHE; i++)
		if (reader->cache[i].raw != NULL)
			memory_free(memory, reader->cache[i].raw, FOOTER_BLOCK_RAW);
	memory_free(memory, reader->raw, FOOTER_BLOCK_RAW);
	memory_free(memory, reader, sizeof(*reader));
	recovery->reader = NULL;
}

/* Bytes of the block at `at` once they are there: AGAIN, or ERR_CORRUPT. */
static enum err block_get(struct recovery *recovery, struct segment *segment, uint64_t at,
    uint32_t index, struct footer_block *block, struct span *out)
{
	struct span bytes = window_get(recovery, segment, at, FOOTER_BLOCK_HEADER);
	if (bytes.len == 0)
		return ERR_AGAIN;
	if (footer_block_peek(bytes, index, block) != OK)
		return ERR_CORRUPT;
	uint64_t len = FOOTER_BLOCK_HEADER + (uint64_t)block->stored_bytes;
	if (at + len > footer_tail_at(segment->bytes))
		return ERR_CORRUPT;
	*out = window_get(recovery, segment, at, len);
	return out->len == 0 ? ERR_AGAIN : OK;
}

/* ---- What a segment holds ---- */

static bool item_is_sane(const struct footer_item *item, const struct footer_tail *tail)
{
	uint64_t offset = (uint64_t)item->offset * RECORD_ALIGN;
	return item->lsn > 0 && offset + item->bytes <= (uint64_t)tail->end_sector * SECTOR &&
	    (uint64_t)item->batch_sector * SECTOR <= offset;
}

static bool block_take_items(struct recovery *recovery, const struct scanned *scanned,
    const struct footer_block *block)
{
	struct footer_reader *reader = recovery->reader;
	struct span raw = span_of(reader->raw, block->raw_bytes);
	struct footer_base base = {0};
	struct footer_item item;
	uint32_t count = 0;
	for (; raw.len > 0; count++) {
		if (footer_item_take(&raw, &base, &item) != OK ||
		    !item_is_sane(&item, &reader->tail))
			return false;
		if (count == 0)
			scanned->blocks[reader->index].first = item.offset;
		const struct found found = {
			.lsn = item.lsn,
			.segment = scanned->segment->id,
			.offset = item.offset & 0xffffff,
			.batch = item.batch_sector & 0x3ffff,
			.bytes = item.bytes,
			.type = item.type,
			.flags = item.flags,
			.mark = item.is_mark,
			.head = item.has_head,
		};
		recover_note_found(recovery, &found, item.refers);
	}
	reader->count += count;
	return count == block->count;
}

static enum err footer_begin(struct recovery *recovery, struct scanned *scanned)
{
	struct store *store = recovery->store;
	struct segment *segment = scanned->segment;
	struct footer_reader *reader = reader_of(recovery);
	struct span bytes = window_get(recovery, segment, footer_tail_at(segment->bytes), SECTOR);
	struct stamp stamp = segment_stamp(segment, 0);
	if (bytes.len == 0)
		return ERR_AGAIN;
	if (footer_tail_parse(bytes, &stamp, segment->bytes, &reader->tail) != OK ||
	    (reader->tail.stream == STREAM_WARM) != (segment->tier == TIER_WARM))
		return ERR_CORRUPT;
	reader->has_tail = true;
	reader->at = footer_blocks_at(segment->bytes, reader->tail.stored_bytes);
	reader->index = 0;
	reader->taken = reader->count = 0;
	recovery->batch_from = recovery->found_count;
	if (reader->tail.block_count == 0)
		return OK;
	size_t blocks_bytes = reader->tail.block_count * sizeof(*scanned->blocks);
	scanned->blocks = memory_try_alloc(store->memory, blocks_bytes);
	scanned->block_count = scanned->blocks == NULL ? 0 : reader->tail.block_count;
	return scanned->blocks == NULL ? ERR_MEMORY : OK;
}

static enum err footer_read(struct recovery *recovery, struct scanned *scanned)
{
	struct footer_reader *reader = reader_of(recovery);
	enum err err = reader->has_tail ? OK : footer_begin(recovery, scanned);
	struct stamp stamp = segment_stamp(scanned->segment, 0);
	while (err == OK && reader->index < reader->tail.block_count) {
		struct footer_block block;
		struct span bytes;
		err = block_get(recovery, scanned->segment, reader->at, reader->index, &block, &bytes);
		if (err == OK)
			err = footer_block_parse(bytes, &stamp, &block, reader->raw);
		if (err != OK)
			return err;
		scanned->blocks[reader->index].at = reader->at;
		if (!block_take_items(recovery, scanned, &block))
			return ERR_CORRUPT;
		reader->at += FOOTER_BLOCK_HEADER + block.stored_bytes;
		reader->taken += FOOTER_BLOCK_HEADER + block.stored_bytes;
		reader->index++;
	}
	if (err == OK &&
	    (reader->count != reader->tail.count || reader->taken != reader->tail.stored_bytes))
		err = ERR_CORRUPT;
	return err;
}

static void footer_drop_blocks(struct recovery *recovery, struct scanned *scanned)
{
	memory_free(recovery->store->memory, scanned->blocks,
	    scanned->block_count * sizeof(*scanned->blocks));
	scanned->blocks = NULL;
	scanned->block_count = 0;
}

enum err recover_footer(struct recovery *recovery, struct scanned *scanned)
{
	struct store *store = recovery->store;
	struct footer_reader *reader = reader_of(recovery);
	enum err err = footer_read(recovery, scanned);
	if (err == ERR_AGAIN)
		return err;
	bool began = reader->has_tail;
	reader->has_tail = false;
	if (err != OK) {
		if (began) {
			recovery->found_count = recovery->batch_from;
			footer_drop_blocks(recovery, scanned);
			log_warning(store->log, "%s: its footer is damaged: reading every record",
			    scanned->segment->path);
		}
		store->stats.footers_missing++;
		return ERR_NOTFOUND;
	}
	const struct footer_tail *tail = &reader->tail;
	const struct commit_block seal = {
		.stream = tail->stream,
		.life = tail->life,
		.durable_lsn = tail->durable_lsn,
		.durable_segment = tail->durable_segment,
		.durable_sector = tail->durable_sector,
	};
	struct commit_block learnt = seal;
	memcpy(learnt.ended, tail->ended, sizeof(learnt.ended));
	recover_learn(recovery, scanned, &learnt);
	scanned->batches = tail->batches;
	scanned->stop = (uint64_t)tail->end_sector * SECTOR;
	scanned->used = scanned->sealed = scanned->from_footer = true;
	store->stats.footers_read++;
	return OK;
}

/* ---- Heads, when the owner is told ---- */

static struct footer_cached *cache_slot(struct footer_reader *reader, uint32_t segment,
    uint32_t index)
{
	struct footer_cached *oldest = &reader->cache[0];
	for (uint32_t i = 0; i < FOOTER_CACHE; i++) {
		struct footer_cached *slot = &reader->cache[i];
		if (slot->segment == segment && slot->index == index)
			return slot;
		if (slot->used < oldest->used)
			oldest = slot;
	}
	oldest->segment = 0;
	return oldest;
}

static uint32_t block_of(const struct scanned *scanned, uint32_t offset)
{
	uint32_t low = 0, high = scanned->block_count;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (scanned->blocks[middle].first <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static enum err cache_fill(struct recovery *recovery, const struct scanned *scanned,
    uint32_t index, struct footer_cached *slot)
{
	struct footer_block block;
	struct span bytes;
	enum err err = block_get(recovery, scanned->segment, scanned->blocks[index].at, index,
	    &block, &bytes);
	if (err != OK)
		return err;
	if (slot->raw == NULL)
		slot->raw = memory_alloc(recovery->store->memory, FOOTER_BLOCK_RAW);
	struct stamp stamp = segment_stamp(scanned->segment, 0);
	err = footer_block_parse(bytes, &stamp, &block, slot->raw);
	if (err != OK)
		return err;
	slot->segment = scanned->segment->id;
	slot->index = index;
	slot->raw_bytes = block.raw_bytes;
	slot->rest = (struct span){0};
	slot->item = (struct footer_item){0};
	return OK;
}

enum err recover_footer_item(struct recovery *recovery, const struct found *found,
    struct footer_item *out)
{
	struct footer_reader *reader = reader_of(recovery);
	const struct scanned *scanned = recover_scanned(recovery, found->segment);
	ASSERT(scanned != NULL && found->head);
	if (!scanned->from_footer || scanned->block_count == 0)
		return ERR_NOTFOUND;
	uint32_t index = block_of(scanned, found->offset);
	struct footer_cached *slot = cache_slot(reader, found->segment, index);
	if (slot->segment == 0) {
		enum err err = cache_fill(recovery, scanned, index, slot);
		if (err != OK)
			return err;
	}
	slot->used = ++reader->ticks;
	if (slot->item.offset == 0 || slot->item.offset > found->offset) {
		slot->rest = span_of(slot->raw, slot->raw_bytes);
		slot->base = (struct footer_base){0};
		slot->item = (struct footer_item){0};
	}
	while (slot->item.offset < found->offset) {
		if (footer_item_take(&slot->rest, &slot->base, &slot->item) != OK) {
			slot->segment = 0;
			return ERR_NOTFOUND;
		}
	}
	*out = slot->item;
	return out->offset == found->offset && out->lsn == found->lsn && out->has_head
	    ? OK : ERR_NOTFOUND;
}
