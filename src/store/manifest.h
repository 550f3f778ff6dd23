/* store/manifest.h: what a checkpoint consists of. Pure functions, no I/O.
 *
 *   checkpoint-a, checkpoint-b   chunks of the directory, each at a sector: files of two slots
 *   manifest-a, manifest-b       which chunks of that file count, twice in one file
 *
 * A manifest is written last and removed before anything of its slot's file is written over.
 * It says from which LSN on the log must be replayed, and how much of each segment is in
 * the chunks already: a record that lies before `covered` was settled when the checkpoint
 * began, so recovery needs to look only at what lies behind, wherever copies went.
 *
 *   header | segments | chunks | chains | settings      and the same again
 *
 * A chain is {head place, u32 count, places of its parts}, places being three u32 each.
 */
#pragma once
#include "store/block.h"
#include "store/chunks.h"

enum {
	MANIFEST_MAGIC = 0x314d5454,      /* "TTM1" */
	MANIFEST_VERSION = 3,             /* 2: without counts of what is covered of unfinished segments */
	MANIFEST_BYTES_MAX = 256 << 20,
	CHECKPOINT_SLOTS = 2,
	CHECKPOINT_STREAMS = 4,
	CHUNK_SETS_MAX = 20,
};
_Static_assert(STREAM_COUNT <= (int)CHECKPOINT_STREAMS, "format");
_Static_assert(CHUNK_SETS <= (int)CHUNK_SETS_MAX, "format");

struct manifest_header {
	uint32_t        magic, crc;       /* crc: of all that follows, to the end of this copy */
	uint32_t        version, slot;
	struct store_id store;
	uint64_t        bytes;            /* of this copy, header and all */
	uint64_t        number;           /* of two valid manifests the larger one counts */
	uint64_t        replay_lsn;       /* effects of smaller ones are in the chunks */
	uint64_t        last_lsn;         /* no chunk knows of a larger one; durable */
	int64_t         time_ms;
	uint64_t        seed;             /* of the directories' hash */
	uint64_t        file_bytes;       /* of the slot's file */
	struct position durable[CHECKPOINT_STREAMS];
	uint32_t        segment_count, chunk_count, chain_bytes, blob_bytes;
	uint8_t         bits[CHUNK_SETS_MAX];     /* 2^bits chunks */
	uint32_t        next_segment;     /* ids from here on are younger than this */
	uint32_t        epoch, reserved;  /* the largest of any commit block */
};
_Static_assert(sizeof(struct manifest_header) == 168, "format");
_Static_assert(offsetof(struct manifest_header, bytes) == 32, "format");

struct manifest_segment {
	uint32_t id, nonce, tier, flags;
	uint64_t covered;                 /* records before this byte are in the chunks */
	uint64_t records, record_bytes;   /* from here on, unless flags is 0, as in struct segment */
	uint64_t marks, mark_bytes, expires, expire_bytes;
	uint64_t birth_lsn, death_lsn;
	int64_t  expire_last_ms;
	uint64_t lsn_min, lsn_max, mark_lsn_max;
	uint32_t stream, life;
};
_Static_assert(sizeof(struct manifest_segment) == 128, "format");
enum {
	MANIFEST_COMPLETE = 1,            /* sealed, and all of it is covered */
	MANIFEST_COUNTED = 2,             /* not so, but the counts are those of what is covered */
};

struct manifest_chunk {
	uint64_t offset;                  /* in the slot's file; a sector's start */
	uint32_t bytes, crc, count;       /* bytes 0: no entries, nothing is stored */
	uint16_t index;
	uint8_t  db, flags;
};
_Static_assert(sizeof(struct manifest_chunk) == 24, "format");
enum { MANIFEST_CHUNK_FIRST = 1 };        /* needed before the log is replayed */

struct manifest {
	struct manifest_header header;
	struct span segments, chunks, chains, blob;       /* borrowed */
};

struct buf;
/* Appends both copies. Counts and lengths of the header are set from the spans. */
void manifest_write(struct buf *out, const struct manifest *manifest);
/* The better copy of a whole file. ERR_CORRUPT, ERR_VERSION. */
MUST_CHECK enum err manifest_parse(struct span file, const struct store_id *store,
    uint32_t slot, struct manifest *out);

uint32_t manifest_segment_count(const struct manifest *manifest);
struct manifest_segment manifest_segment_at(const struct manifest *manifest, uint32_t at);
/* False: the manifest does not name it. */
bool manifest_find_segment(const struct manifest *manifest, uint32_t id,
    struct manifest_segment *out);
struct manifest_chunk manifest_chunk_at(const struct manifest *manifest, uint32_t at);
/* Its number among the chunks. False: there is none, it is empty. */
bool manifest_find_chunk(const struct manifest *manifest, uint8_t db, uint32_t index,
    uint32_t *number);
/* Of a chunk with this place in its database. */
uint32_t manifest_chunk_crc(const struct manifest_chunk *chunk, struct span bytes);
