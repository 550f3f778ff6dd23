/* store/block.h: the other blocks of the log: segment header, commit block, store file.
 * Pure functions, no I/O.
 *
 *   segment file   [header sector][batch][batch]...[seal]...[header sector again]
 *   batch          starts on a sector: [record]... [commit block] zeros up to the sector
 *   seal           a batch with no records whose commit block is marked COMMIT_SEAL
 *
 * Both copies of the segment header are written when the segment is made, the last one
 * first, and never again until it is recycled; `segment` and `nonce` change then. The first
 * copy rules if it is valid.
 *
 * A commit block says that every record of its batch was handed to the disk together, and
 * what had become durable before: `durable_lsn` in the store, `durable_segment` and
 * `durable_sector` in this stream of segments. Whatever fails a check before that place
 * is corrupt; behind it, it is a torn tail that nobody was told of. `ended` says where the
 * last segments of the stream before this one really ended: after a failed write no seal does. One
 * in which a write failed stays in that list for as long as there is such a segment. Of a segment
 * that was written to, or sealed, in a later life nobody says where it ended: a batch that was
 * under way when the power went may lie in what became a spare, and be found much later.
 */
#pragma once
#include "store/record.h"

enum {
	COMMIT_MAGIC = 0x31435454,        /* "TTC1" */
	COMMIT_BYTES = 136,
	COMMIT_SEAL = 1,                  /* nothing follows in this segment */
	COMMIT_ENDED = 6,

	SEGMENT_VERSION = 3,              /* 2: commit blocks without an epoch */
	STORE_VERSION = 1,
	STORE_FILE_BYTES = 64,
};

/* Who wrote a segment: each of these is a sequence of segments with rising ids, and durable
 * from its start on. A spare becomes a stream's own with the first batch written to it. */
enum log_stream {
	STREAM_USER,                      /* what is appended; copies on their way back to hot */
	STREAM_WARM,                      /* copies that go to the warm tier, or stay there */
	STREAM_SHORT,                     /* the cleaner's, hot: records that expire within a day */
	STREAM_LONG,                      /* the cleaner's, hot: all others */
	STREAM_COUNT,
};

/* A place in a stream of segments. */
struct position {
	uint32_t segment, sector;
};

struct commit_block {
	uint32_t magic, crc, nonce, flags;
	uint32_t count, headers_crc;      /* records, and the CRC of their header CRCs in order */
	uint32_t batch_sector;            /* where the batch starts */
	uint32_t segment;
	uint64_t first_lsn, last_lsn;     /* smallest and largest of the batch; 0: no records */
	uint64_t durable_lsn;
	uint32_t durable_segment, durable_sector;
	int64_t  time_ms;
	struct position ended[COMMIT_ENDED];          /* latest first; segment 0: none */
	uint32_t stream;                      /* enum log_stream */
	uint32_t life;                        /* counts the starts of the store */
	uint32_t epoch;                       /* in which the batch was written: that of the leader of then */
	uint32_t reserved;
};
_Static_assert(sizeof(struct commit_block) == COMMIT_BYTES, "format");
_Static_assert(offsetof(struct commit_block, first_lsn) == 32, "format");
_Static_assert(offsetof(struct commit_block, ended) == 72, "format");
_Static_assert(offsetof(struct commit_block, epoch) == 128, "format");

void commit_write(uint8_t *out, const struct commit_block *commit, const struct stamp *stamp);
/* ERR_NOTFOUND: none begins here. ERR_CORRUPT. */
MUST_CHECK enum err commit_parse(struct span bytes, const struct stamp *stamp,
    struct commit_block *out);

struct store_id {
	uint8_t bytes[16];
};

enum { SEGMENT_PARTS = 16 };

struct segment_header {
	uint8_t         magic[8];         /* "TTSEGMNT" */
	uint32_t        version, crc;
	struct store_id store;
	uint32_t        segment, nonce, tier;
	uint32_t        parts;            /* of SEGMENT_PARTS, that may hold batches; 0: all (reach.c) */
	uint64_t        bytes;
	int64_t         created_ms;
};
_Static_assert(sizeof(struct segment_header) == 64, "format");
_Static_assert(offsetof(struct segment_header, segment) == 32, "format");

/* `out` is one sector. */
void segment_header_write(uint8_t *out, const struct segment_header *header);
/* ERR_NOTFOUND, ERR_CORRUPT, ERR_VERSION. */
MUST_CHECK enum err segment_header_parse(struct span bytes, struct segment_header *out);

/* The file `store` that names a data directory. */
void store_file_write(uint8_t out[STORE_FILE_BYTES], const struct store_id *id);
MUST_CHECK enum err store_file_parse(struct span bytes, struct store_id *out);
