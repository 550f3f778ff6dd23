/* store/record.h: the bytes of one record. Pure functions, no I/O.
 *
 * Layout, little-endian, at a RECORD_ALIGN boundary of its segment:
 *
 *   0  u32 magic        8  u32 nonce       16 u64 lsn          48 u32 key bytes
 *   4  u32 crc         12  u8  type        24 u64 refers       52 u32 metadata bytes
 *                      13  u8  flags       32 i64 expire_ms    56 u32 body bytes
 *                      14  u8  db          40 i64 time_ms      60 u32 epoch
 *                      15  u8  version
 *   64 key, metadata, one u32 CRC-32C per CHUNK_BYTES of body: together the head
 *      body: right behind the head, or, over BODY_INLINE_MAX bytes, on the next SECTOR;
 *      the next record follows at the next RECORD_ALIGN boundary
 *
 * `crc` covers where the record lies (segment, nonce, offset), the header from byte 8, key,
 * metadata and the chunk CRCs. So a record is valid at its own place only: a stale one in
 * a recycled segment and one that a disk wrote to the wrong place both fail.
 */
#pragma once
#include "base/arith.h"
#include "store/store.h"

enum {
	RECORD_MAGIC = 0x31525454,        /* "TTR1" */
	RECORD_VERSION = 1,
	RECORD_HEADER = 64,
	RECORD_BODY_MAX = 1 << 30,
};

struct record_header {
	uint32_t magic, crc, nonce;
	uint8_t  type, flags, db, version;
	uint64_t lsn, refers;
	int64_t  expire_ms, time_ms;
	uint32_t key_bytes, meta_bytes, body_bytes, epoch;
};
_Static_assert(sizeof(struct record_header) == RECORD_HEADER, "format");
_Static_assert(offsetof(struct record_header, type) == 12, "format");
_Static_assert(offsetof(struct record_header, lsn) == 16, "format");
_Static_assert(offsetof(struct record_header, expire_ms) == 32, "format");
_Static_assert(offsetof(struct record_header, key_bytes) == 48, "format");
_Static_assert(offsetof(struct record_header, epoch) == 60, "format");

/* Where a record lies. `offset` is in bytes from the start of the segment's file. */
struct stamp {
	uint32_t segment, nonce;
	uint64_t offset;
};

struct record_layout {
	uint32_t head_bytes;              /* header, key, metadata, chunk CRCs */
	uint32_t body_at;                 /* from the start of the record */
	uint32_t bytes;                   /* from header to the end of the body */
};

struct record_view {
	struct record_header header;
	struct record_layout layout;
	struct span          key, meta, crcs;       /* borrowed from the bytes that were parsed */
};

static inline uint32_t chunk_count(uint64_t body_bytes)
{
	return (uint32_t)((body_bytes + CHUNK_BYTES - 1) / CHUNK_BYTES);
}

/* Bytes of the head for these lengths, which are within their limits. */
static inline uint32_t record_head_bytes(size_t key_bytes, size_t meta_bytes, uint64_t body_bytes)
{
	ASSERT(key_bytes <= KEY_BYTES_MAX && meta_bytes <= META_BYTES_MAX);
	ASSERT(body_bytes <= RECORD_BODY_MAX);
	return (uint32_t)(RECORD_HEADER + key_bytes + meta_bytes + 4 * chunk_count(body_bytes));
}

static inline struct record_layout record_layout(
    uint64_t offset, uint32_t head_bytes, uint32_t body_bytes)
{
	ASSERT(offset % RECORD_ALIGN == 0);
	ASSERT(head_bytes >= RECORD_HEADER);
	struct record_layout layout = {.head_bytes = head_bytes, .body_at = head_bytes};
	if (body_bytes > BODY_INLINE_MAX)
		layout.body_at = (uint32_t)(round_up(offset + head_bytes, SECTOR) - offset);
	layout.bytes = layout.body_at + body_bytes;
	return layout;
}

/* Writes the head of `record` (layout.head_bytes bytes) to `out`, stamped: with nonce and crc for where it
 * lies, or will lie. `crcs` are the chunk CRCs of the body, chunk_count(body_bytes) of them. */
void record_write_stamped(uint8_t *out, const struct record *record, uint32_t body_bytes,
    const uint32_t *crcs, const struct stamp *stamp);
/* Of a record whose body, which is not empty and has one chunk, gets longer by `more`: body bytes and the
 * chunk's CRC in its head. It must be stamped anew. */
void record_extend_head(uint8_t *head, struct span more);
/* Sets nonce and crc of a head that lies, or will lie, at `stamp`. */
void record_stamp(uint8_t *head, uint32_t head_bytes, const struct stamp *stamp);

/* Reads the head at the start of `bytes`. ERR_NOTFOUND: no record begins here.
 * ERR_AGAIN: it may be one, but out->layout.head_bytes are needed to tell. ERR_CORRUPT. */
MUST_CHECK enum err record_parse(struct span bytes, const struct stamp *stamp,
    struct record_view *out);
/* As record_parse, of a head that this process wrote and stamped itself: nothing is checked. */
void record_view_own(struct span bytes, const struct stamp *stamp, struct record_view *out);
/* Checks `body`, which begins at chunk `first` of the record's body and ends with a chunk. */
MUST_CHECK bool record_check_chunks(struct span crcs, uint32_t first, struct span body);

/* Fills what a view knows of `out`: not body, place and sync. */
void record_from_view(const struct record_view *view, struct record *out);

/* Kept by the store itself while an older record exists elsewhere: DELETE, EXPIRE, FLUSH, a
 * SETTING without body, VOID. */
bool record_is_mark(uint8_t type, uint32_t body_bytes);
/* May use the reserved segments when the disk is full. */
bool record_may_use_reserve(uint8_t type);
