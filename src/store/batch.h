/* store/batch.h: records on their way to the disk together, in one write.
 *
 * Heads and small bodies are copied into the batch's buffer; a body over BODY_INLINE_MAX is
 * written from where it lies, by reference, and starts on a sector. Its whole sectors are, that
 * is: the rest is copied too, so that the next head shares a sector with it. The write is
 * therefore a list of whole-sector pieces, as O_DIRECT demands. A batch knows its place in a segment
 * from its first record on, because an append answers with a place; batch_move gives it
 * another one after a failed write.
 */
#pragma once
#include "base/list.h"
#include "store/block.h"

enum {
	BATCH_BUFFER = 1 << 20,           /* heads and small bodies */
	BATCH_RECORDS = 8192,
	BATCH_BODIES = 128,               /* by reference */
	BATCH_BYTES_SOFT = 8 << 20,       /* no more records from here on */
	BATCH_PIECES = 2 * BATCH_BODIES + 2,
};

/* What becomes the body of one record: bytes [from, from + len) of `body`, or `value`. */
struct payload {
	struct body    *body;             /* NULL: value */
	size_t          from;             /* a multiple of CHUNK_BYTES */
	struct span     value;            /* at most BODY_INLINE_MAX */
	uint32_t        len;
	const uint32_t *crcs;             /* of its chunks; may be NULL for a value */
};

struct batch_entry {
	uint64_t     lsn;
	struct place place, old;          /* `old`: before batch_move */
	uint32_t     head_at, head_bytes; /* in the buffer */
	uint32_t     from_start;          /* on disk, from the start of the batch */
	uint32_t     body_bytes;
	uint8_t      type, flags, db;
	bool         is_move;             /* a copy of an older record */
	bool         is_cleaned;          /* ... out of a segment being cleaned; `old` says where */
};

enum batch_state { BATCH_OPEN, BATCH_WAITING, BATCH_WRITING, BATCH_WRITTEN };
enum batch_sync { BATCH_NO_SYNC, BATCH_DSYNC, BATCH_FSYNC };

struct batch {
	uint32_t            magic;
	uint8_t             state, sync;
	bool                rewritten;        /* this is its second home */
	bool                everysec;         /* holds a record that wants a sync within a second */
	bool                wants_sync;       /* may be acknowledged only when it is durable */
	struct list         link;
	struct stream      *stream;
	struct segment     *segment;
	uint64_t            offset;           /* in the segment; whole sectors */
	uint64_t            bytes;            /* so far; whole sectors once closed */
	uint64_t            first_lsn, last_lsn;      /* of all records; 0: none */
	uint64_t            new_lsn;          /* largest that ends a group and is no copy; 0: none */
	uint64_t            always_lsn;       /* first that waits for the disk; 0: none */
	uint64_t            recorded_lsn;     /* the durable LSN in its commit block */
	uint32_t            count;
	uint32_t            summed, heads_crc;        /* of so many records: see commit_block.headers_crc */
	struct batch_entry *entries;
	uint8_t            *buf;
	size_t              buf_len, piece_from;
	size_t              commit_at;        /* once closed: the commit block, in the buffer */
	struct iovec        pieces[BATCH_PIECES];
	uint32_t            piece_count, body_count;
	struct body        *bodies[BATCH_BODIES];
	struct list         moves;            /* move.c: who waits for its records */
	struct commit_block commit;
	struct io_op        op;
	uint64_t            submitted_us;
	struct memory      *memory;
};

struct batch *batch_new(struct memory *memory);
void batch_free(struct batch *batch);              /* drops its references */

/* Starts at byte `offset` of `segment` (id and nonce in `stamp`). */
void batch_begin(struct batch *batch, const struct stamp *stamp);
/* Where the next record would lie and end, from the start of the batch. */
struct batch_spot {
	uint64_t             at, end;
	struct record_layout layout;
	size_t               buffered;        /* bytes that it takes in the buffer */
	bool                 by_reference;
};

/* Bytes on disk, commit block and all, if this record came too; 0 if the batch has no room. */
uint64_t batch_bytes_with(const struct batch *batch, const struct record *record,
    const struct payload *payload, struct batch_spot *spot);
/* Adds it at the spot that batch_bytes_with found. A record whose own place is set is a copy of
 * that one. Returns its new place. */
struct place batch_add(struct batch *batch, const struct stamp *stamp, const struct record *record,
    const struct payload *payload, const struct batch_spot *spot);
/* The last record's body, which lies in the buffer, gets longer; its new place. Of no bytes: it cannot. */
struct place batch_extend(struct batch *batch, const struct stamp *stamp, struct span more);
/* Writes the commit block and closes the list of pieces. */
void batch_close(struct batch *batch, const struct stamp *stamp, const struct commit_block *commit);
/* A closed or open batch goes elsewhere: every place changes, and every checksum with it. */
void batch_move(struct batch *batch, const struct stamp *stamp);
/* The smallest room that any batch with this record alone needs. */
uint64_t batch_bytes_alone(const struct record *record, uint32_t body_bytes);
