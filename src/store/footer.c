/* store/footer.c: see footer.h.
 *
 * An item: one byte of type and what it has, flags, db; then LSN, offset, length and batch as
 * numbers of variable length, the first two and the last against the item before. The rest
 * of the head follows in the same way; key and metadata as they are.
 */
#include "store/footer.h"

#include "base/crc32c.h"
#include "base/varint.h"

#include <lz4.h>

enum { ITEM_TYPE = 31, ITEM_MARK = 32, ITEM_HEAD = 64 };

bool footer_holds_head(uint8_t type, uint8_t flags, size_t head_bytes)
{
	ASSERT(type < RECORD_TYPE_COUNT);
	if (head_bytes > FOOTER_HEAD_MAX || (flags & RECORD_CHAINED) != 0)
		return false;
	return type != RECORD_VALUE && type != RECORD_CHANGE && type != RECORD_SETTING &&
	    type != RECORD_PART;
}

/* ---- Items ---- */

static uint8_t *item_write_head(uint8_t *at, struct footer_base *base,
    const struct footer_item *item)
{
	ASSERT(item->key.len + item->meta.len <= FOOTER_HEAD_MAX);
	at = varint64_put(at, item->refers);
	at = varint64_put(at, (uint64_t)item->expire_ms);
	at = varint64_put(at, varint64_fold((int64_t)((uint64_t)item->time_ms - (uint64_t)base->time_ms)));
	at = varint64_put(at, item->body_bytes);
	at = varint64_put(at, item->key.len);
	at = varint64_put(at, item->meta.len);
	base->time_ms = item->time_ms;
	return at;
}

size_t footer_item_write(uint8_t *out, struct footer_base *base, const struct footer_item *item)
{
	uint8_t fixed[96], *at = fixed;
	ASSERT(item->type > 0 && item->type <= ITEM_TYPE);
	*at++ = (uint8_t)(item->type | (item->is_mark ? ITEM_MARK : 0) |
	    (item->has_head ? ITEM_HEAD : 0));
	*at++ = item->flags;
	*at++ = item->db;
	at = varint64_put(at, varint64_fold((int64_t)(item->lsn - base->lsn)));
	at = varint64_put(at, varint64_fold((int64_t)item->offset - base->offset));
	at = varint64_put(at, item->bytes);
	at = varint64_put(at, varint64_fold((int64_t)item->batch_sector - base->batch_sector));
	base->lsn = item->lsn;
	base->offset = item->offset;
	base->batch_sector = item->batch_sector;
	if (item->has_head)
		at = item_write_head(at, base, item);
	size_t len = (size_t)(at - fixed);
	ASSERT(len <= sizeof(fixed));
	if (out != NULL) {
		memcpy(out, fixed, len);
		if (item->has_head && item->key.len > 0)
			memcpy(out + len, item->key.ptr, item->key.len);
		if (item->has_head && item->meta.len > 0)
			memcpy(out + len + item->key.len, item->meta.ptr, item->meta.len);
	}
	return item->has_head ? len + item->key.len + item->meta.len : len;
}

static bool take_u32(struct span *raw, uint32_t *out)
{
	uint64_t value;
	if (!varint64_take(raw, &value) || value > UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

/* A number that is told against `base`. */
static bool take_relative(struct span *raw, uint32_t base, uint32_t *out)
{
	uint64_t value;
	if (!varint64_take(raw, &value))
		return false;
	uint64_t sum = (uint64_t)varint64_unfold(value) + base;
	*out = (uint32_t)sum;
	return sum <= UINT32_MAX;
}

static bool take_head(struct span *raw, struct footer_base *base, struct footer_item *out)
{
	uint64_t expire, time;
	uint32_t key_bytes, meta_bytes;
	if (!varint64_take(raw, &out->refers) || !varint64_take(raw, &expire) ||
	    !varint64_take(raw, &time) || !take_u32(raw, &out->body_bytes) ||
	    !take_u32(raw, &key_bytes) || !take_u32(raw, &meta_bytes))
		return false;
	if (key_bytes > FOOTER_HEAD_MAX || meta_bytes > FOOTER_HEAD_MAX - key_bytes ||
	    raw->len < (size_t)key_bytes + meta_bytes)
		return false;
	out->expire_ms = (int64_t)expire;
	out->time_ms = (int64_t)((uint64_t)base->time_ms + (uint64_t)varint64_unfold(time));
	out->key = span_slice(*raw, 0, key_bytes);
	out->meta = span_slice(*raw, key_bytes, meta_bytes);
	*raw = span_slice(*raw, (size_t)key_bytes + meta_bytes, raw->len);
	base->time_ms = out->time_ms;
	return true;
}

enum err footer_item_take(struct span *raw, struct footer_base *base, struct footer_item *out)
{
	uint64_t lsn;
	if (raw->len == 0)
		return ERR_NOTFOUND;
	if (raw->len < 4)
		return ERR_CORRUPT;
	*out = (struct footer_item){
		.type = raw->ptr[0] & ITEM_TYPE,
		.is_mark = (raw->ptr[0] & ITEM_MARK) != 0,
		.has_head = (raw->ptr[0] & ITEM_HEAD) != 0,
		.flags = raw->ptr[1],
		.db = raw->ptr[2],
	};
	*raw = span_slice(*raw, 3, raw->len);
	if (out->type == 0 || out->type >= RECORD_TYPE_COUNT || !varint64_take(raw, &lsn) ||
	    !take_relative(raw, base->offset, &out->offset) || !take_u32(raw, &out->bytes) ||
	    !take_relative(raw, base->batch_sector, &out->batch_sector))
		return ERR_CORRUPT;
	out->lsn = base->lsn + (uint64_t)varint64_unfold(lsn);
	base->lsn = out->lsn;
	base->offset = out->offset;
	base->batch_sector = out->batch_sector;
	if (out->offset < SECTOR / RECORD_ALIGN || out->bytes < RECORD_HEADER ||
	    out->batch_sector == 0)
		return ERR_CORRUPT;
	return !out->has_head || take_head(raw, base, out) ? OK : ERR_CORRUPT;
}

/* ---- Blocks ---- */

static uint32_t block_crc(const struct footer_block *block, const struct stamp *stamp,
    struct span stored)
{
	struct stamp where = {stamp->segment, stamp->nonce, FOOTER_BLOCK_MAGIC};
	uint32_t crc = crc32c(0, span_of(&where, sizeof(where)));
	crc = crc32c(crc, span_of(&block->index, FOOTER_BLOCK_HEADER - 8));
	return crc32c(crc, stored);
}

size_t footer_block_write(uint8_t *out, const struct stamp *stamp, uint32_t index, uint32_t count,
    struct span raw)
{
	struct footer_block block = {.magic = FOOTER_BLOCK_MAGIC, .index = index, .count = count};
	uint8_t *at = out + FOOTER_BLOCK_HEADER;
	ASSERT(raw.len > 0 && raw.len <= FOOTER_BLOCK_RAW);
	int len = LZ4_compress_default((const char *)raw.ptr, (char *)at, (int)raw.len,
	    (int)raw.len - 1);
	block.raw_bytes = block.stored_bytes = (uint32_t)raw.len;
	if (len > 0)
		block.stored_bytes = (uint32_t)len;
	else
		memcpy(at, raw.ptr, raw.len);
	block.crc = block_crc(&block, stamp, span_of(at, block.stored_bytes));
	memcpy(out, &block, sizeof(block));
	return FOOTER_BLOCK_HEADER + block.stored_bytes;
}

enum err footer_block_peek(struct span bytes, uint32_t index, struct footer_block *out)
{
	if (bytes.len < FOOTER_BLOCK_HEADER)
		return ERR_CORRUPT;
	memcpy(out, bytes.ptr, sizeof(*out));
	bool sane = out->magic == FOOTER_BLOCK_MAGIC && out->index == index &&
	    out->raw_bytes > 0 && out->raw_bytes <= FOOTER_BLOCK_RAW && out->stored_bytes > 0 &&
	    out->stored_bytes <= out->raw_bytes;
	return sane ? OK : ERR_CORRUPT;
}

enum err footer_block_parse(struct span bytes, const struct stamp *stamp,
    const struct footer_block *block, uint8_t *raw)
{
	struct span stored = span_slice(bytes, FOOTER_BLOCK_HEADER, block->stored_bytes);
	if (stored.len < block->stored_bytes || block_crc(block, stamp, stored) != block->crc)
		return ERR_CORRUPT;
	if (block->stored_bytes == block->raw_bytes) {
		memcpy(raw, stored.ptr, stored.len);
		return OK;
	}
	int len = LZ4_decompress_safe((const char *)stored.ptr, (char *)raw, (int)stored.len,
	    FOOTER_BLOCK_RAW);
	return len == (int)block->raw_bytes ? OK : ERR_CORRUPT;
}

/* ---- The tail ---- */

static uint32_t tail_crc(const struct footer_tail *tail, const struct stamp *stamp)
{
	struct stamp where = {stamp->segment, stamp->nonce, FOOTER_MAGIC};
	uint32_t crc = crc32c(0, span_of(&where, sizeof(where)));
	return crc32c(crc, span_of(&tail->version, sizeof(*tail) - 8));
}

void footer_tail_write(uint8_t *out, const struct footer_tail *tail, const struct stamp *stamp)
{
	struct footer_tail block = *tail;
	ASSERT(stamp->segment > 0);
	memset(out, 0, SECTOR);
	block.magic = FOOTER_MAGIC;
	block.version = FOOTER_VERSION;
	block.nonce = stamp->nonce;
	block.segment = stamp->segment;
	block.crc = tail_crc(&block, stamp);
	memcpy(out, &block, sizeof(block));
}

enum err footer_tail_parse(struct span bytes, const struct stamp *stamp, uint64_t segment_bytes,
    struct footer_tail *out)
{
	ASSERT(segment_bytes >= 16 * SECTOR);
	if (bytes.len < sizeof(*out))
		return ERR_NOTFOUND;
	memcpy(out, bytes.ptr, sizeof(*out));
	if (out->magic != FOOTER_MAGIC || out->nonce != stamp->nonce)
		return ERR_NOTFOUND;
	if (out->crc != tail_crc(out, stamp))
		return ERR_CORRUPT;
	if (out->version != FOOTER_VERSION)
		return ERR_VERSION;
	uint64_t end = (uint64_t)out->end_sector * SECTOR;
	bool sane = out->segment == stamp->segment && out->stream < STREAM_COUNT &&
	    end > SECTOR && out->stored_bytes < segment_bytes &&
	    out->stored_bytes >= (uint64_t)out->block_count * FOOTER_BLOCK_HEADER &&
	    end + out->stored_bytes <= footer_tail_at(segment_bytes) &&
	    footer_blocks_at(segment_bytes, out->stored_bytes) >= end &&
	    (out->block_count > 0) == (out->count > 0);
	return sane ? OK : ERR_CORRUPT;
}
