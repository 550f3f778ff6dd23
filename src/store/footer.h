/* store/footer.h: what a sealed segment holds, once more, in little room at its end, so that
 * recovery need not walk through it. Pure functions, no I/O.
 *
 *   segment file   ... [seal] free sectors [block][block]... zeros [tail sector] [header's copy]
 *
 * Blocks lie without gaps, the first at a sector. A block is a header of 24 bytes and items,
 * LZ4-compressed where that helps; raw it is at most FOOTER_BLOCK_RAW bytes long. An item is
 * one record, in the order of the log: its LSN, place and type, and for those types that
 * recovery needs no body of (IMAGE, META, LINK, EXPIRE, DELETE, FLUSH, VOID) the rest of its
 * head, key and metadata too. A VALUE or a SETTING has no key here: its bytes have to be read
 * anyway, for the body, and they lie behind each other.
 *
 * The tail says where blocks begin, and what the commit blocks of the segment say in sum.
 * Every checksum covers segment and nonce: a footer of an earlier life of the file is none.
 * A footer is written only when all of the segment, seal and all, is durable. It proves no
 * body. If any check fails there is no footer: recovery walks through the records instead,
 * and finds the same.
 */
#pragma once
#include "store/block.h"

enum {
	FOOTER_MAGIC = 0x31465454,        /* "TTF1" */
	FOOTER_BLOCK_MAGIC = 0x31424654,  /* "TFB1" */
	FOOTER_VERSION = 1,
	FOOTER_BLOCK_RAW = 64 << 10,
	FOOTER_BLOCK_HEADER = 24,
	FOOTER_HEAD_MAX = 32 << 10,       /* key and metadata; longer ones are read from the record */
	FOOTER_NUMBERS_MAX = 96,          /* of an item, key and metadata apart */
	FOOTER_ITEM_MAX = FOOTER_HEAD_MAX + FOOTER_NUMBERS_MAX,
	/* What blocks may add: a header and larger first numbers for every half block. */
	FOOTER_BLOCK_EXTRA = FOOTER_BLOCK_HEADER + 40,
};

struct footer_item {
	uint64_t lsn;
	uint32_t offset, bytes;           /* as in struct place */
	uint32_t batch_sector;            /* where its batch starts */
	uint8_t  type, flags, db;
	bool     is_mark, has_head;
	uint64_t refers;                  /* from here on with has_head only */
	int64_t  expire_ms, time_ms;
	uint32_t body_bytes;
	struct span key, meta;            /* borrowed from the block */
};

/* The numbers that the next item of a block is told against. */
struct footer_base {
	uint64_t lsn;
	int64_t  time_ms;
	uint32_t offset, batch_sector;
};

struct footer_block {
	uint32_t magic, crc;              /* crc: of stamp, of this header from `index`, of what follows */
	uint32_t index, count;
	uint32_t raw_bytes, stored_bytes; /* equal: not compressed */
};
_Static_assert(sizeof(struct footer_block) == FOOTER_BLOCK_HEADER, "format");

struct footer_tail {
	uint32_t magic, crc;
	uint32_t version, nonce, segment, stream;
	uint32_t block_count, batches;
	uint64_t count;                   /* items */
	uint64_t stored_bytes;            /* of all blocks */
	uint64_t durable_lsn;             /* from here on as in the seal's commit block */
	uint32_t durable_segment, durable_sector;
	struct position ended[COMMIT_ENDED];
	uint32_t end_sector;              /* behind the seal */
	uint32_t life;
	uint32_t reserved[2];
};
_Static_assert(sizeof(struct footer_tail) == 128, "format");
_Static_assert(offsetof(struct footer_tail, count) == 32, "format");
_Static_assert(offsetof(struct footer_tail, ended) == 64, "format");

/* True if the footer holds the heads of records of this type. `flags` as in the record. */
bool footer_holds_head(uint8_t type, uint8_t flags, size_t head_bytes);

/* Appends one item at `out`, which has room for FOOTER_ITEM_MAX bytes; returns its length.
 * With `out` NULL it only counts. `base` moves on. */
size_t footer_item_write(uint8_t *out, struct footer_base *base, const struct footer_item *item);
/* Takes the next item off `raw`. ERR_NOTFOUND: none is left. ERR_CORRUPT. */
MUST_CHECK enum err footer_item_take(struct span *raw, struct footer_base *base,
    struct footer_item *out);

/* Writes header and contents of a block of `raw` bytes to `out`, which has room for
 * FOOTER_BLOCK_HEADER + raw.len bytes. Returns the length. */
size_t footer_block_write(uint8_t *out, const struct stamp *stamp, uint32_t index, uint32_t count,
    struct span raw);
/* The header at the start of `bytes`. ERR_CORRUPT. */
MUST_CHECK enum err footer_block_peek(struct span bytes, uint32_t index, struct footer_block *out);
/* The whole block at the start of `bytes`; its items go to `raw` (FOOTER_BLOCK_RAW bytes). */
MUST_CHECK enum err footer_block_parse(struct span bytes, const struct stamp *stamp,
    const struct footer_block *block, uint8_t *raw);

/* `out` is one sector. */
void footer_tail_write(uint8_t *out, const struct footer_tail *tail, const struct stamp *stamp);
/* ERR_NOTFOUND: none. ERR_CORRUPT. ERR_VERSION. */
MUST_CHECK enum err footer_tail_parse(struct span bytes, const struct stamp *stamp,
    uint64_t segment_bytes, struct footer_tail *out);

/* Where things lie in a file of this size. */
static inline uint64_t footer_tail_at(uint64_t segment_bytes)
{
	return segment_bytes - 2 * (uint64_t)SECTOR;
}
static inline uint64_t footer_blocks_at(uint64_t segment_bytes, uint64_t stored_bytes)
{
	return footer_tail_at(segment_bytes) -
	    (stored_bytes + SECTOR - 1) / SECTOR * SECTOR;
}
/* Whole sectors that a footer with items of `raw` bytes in all takes at most. */
static inline uint64_t footer_room(uint64_t raw)
{
	uint64_t blocks = raw / (FOOTER_BLOCK_RAW / 2 - 128) + 1;
	return (raw + blocks * FOOTER_BLOCK_EXTRA + SECTOR - 1) / SECTOR * SECTOR + SECTOR;
}
