/* repl/frame.h: what a leader sends, as bytes. Pure functions, no I/O.
 *
 * A frame, little-endian:
 *    0  u32 magic      8  u32 bytes that follow the header     16  u32 CRC-32C of these 16 bytes, sealed
 *    4  u8 version    12  u32 bytes once inflated (equal:      20  u32 CRC-32C of these 16 bytes and of
 *    5  u8 type              they are not compressed)                  what follows the header, sealed
 *    6  u16 zero
 *
 * Two sums: nobody waits for bytes that a damaged length promises. Sealed: with the number of the frame on
 * its link, from 0 on, so that one which is lost, doubled or out of turn is noticed like one that is
 * damaged. What a follower says ends with a word that does the same (frame_check_words).
 *
 * RECORDS   records, each with its value: metadata-like bytes, LZ4-compressed where that helps
 * BODY      u64 length of the body, u64 where in it sending begins; one record without value
 * BYTES     u64 LSN, u64 offset in the body, bytes of it
 * CANCEL    u64 LSN: the rest of this body will not come, nor the record
 * WHOLE     u64 LSN: what is left out of the records that follow is superseded up to there
 * LOST      u64 LSN: of what lies behind that one, something cannot be read, and does not come
 * POSITION  u64 LSN up to which all that survives was sent, u64 the leader's durable LSN,
 *           i64 its wall clock (ms), u32 its epoch, u32 flags
 * SUMS      u64 LSN up to which all that survives was sent, u32 bits; of each of 2^bits buckets:
 *           u64 sum, u32 keys
 * LISTED    u64 LSN as above, u32 flags; keys: u64 version, u64 LSN, u64 LSN of its body, u8 database,
 *           u32 length, bytes
 * RENEWED   u64 number, u64 LSN
 *           (what these three are for: engine/replica/compare.h)
 * FETCH, FETCHED: see engine/replica/repair.h
 *
 * A record is 60 bytes of numbers, key, metadata, value. Every field of what comes in is checked:
 * the peer may lie.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

enum {
	FRAME_MAGIC = 0x31525254,         /* "TRR1" */
	FRAME_VERSION = 5,
	FRAME_HEADER = 24,
	FRAME_BYTES_MAX = 1 << 20,        /* behind the header, and once inflated */
	FRAME_RECORD = 60,
	FRAME_BYTES_PREFIX = 16,
	FRAME_POSITION = 32,
	FRAME_ACK = 1,                    /* POSITION: answer at once */
	FRAME_PAUSED = 2,                 /* POSITION: the leader is handing over; nothing follows */
	FRAME_LAST = 1,                   /* LISTED: these were the last */
	FRAME_LISTED_KEY = 29,            /* before its name */
	FRAME_LISTED_HEAD = 12,
	FRAME_CHECK = 9,                  /* of words: 8 hex digits, and the zero */
};

enum frame_type {
	FRAME_RECORDS = 1,
	FRAME_BODY,
	FRAME_BYTES,
	FRAME_CANCEL,
	FRAME_POSITIONED,
	FRAME_WHOLE,
	FRAME_SUMS,
	FRAME_LISTED,
	FRAME_RENEWED,
	FRAME_FETCH,
	FRAME_FETCHED,
	FRAME_LOST,
	FRAME_TYPE_COUNT
};

struct frame {
	uint8_t     type;
	uint32_t    raw_bytes;
	struct span payload;              /* borrowed; compressed if raw_bytes differs from its length */
	size_t      frame_bytes;          /* header and all */
};

struct frame_position {
	uint64_t lsn, leader_lsn;
	int64_t  time_ms;
	uint32_t epoch, flags;
};

struct frame_listed {
	uint64_t    version, lsn, body_lsn;
	uint8_t     db;
	struct span key;                  /* borrowed */
};

/* ---- Writing ---- */
void frame_write(struct buf *out, enum frame_type type, struct span payload, bool compress);
/* The head of a BYTES frame whose bytes follow from elsewhere: FRAME_HEADER + FRAME_BYTES_PREFIX. */
void frame_write_bytes_head(struct buf *out, uint64_t lsn, uint64_t offset, struct span bytes);
void frame_write_position(struct buf *out, const struct frame_position *position);
/* CANCEL, WHOLE and LOST. */
void frame_write_lsn(struct buf *out, enum frame_type type, uint64_t lsn);
void frame_write_body(struct buf *out, const struct record *record, uint64_t body_bytes, uint64_t from);
/* `payload`: what follows the two numbers of a SUMS or LISTED frame. */
void frame_write_compared(
    struct buf *out, enum frame_type type, uint64_t lsn, uint32_t word, struct span payload);
void frame_listed_write(struct buf *payload, const struct frame_listed *listed);
void frame_write_renewed(struct buf *out, uint64_t number, uint64_t lsn);
/* Frames at `at` in `frames`, written as above, become number *number of their link and those that follow;
 * a BYTES frame is the last one there. */
void frame_seal(struct buf *frames, size_t at, uint32_t *number);
/* A number as a word; borrows `out`. */
struct span frame_word(char out[24], uint64_t number);
/* Of the words of a command or reply that is number `number` of its kind on a link. */
void frame_check_words(const struct span *words, uint32_t count, uint32_t number, char out[FRAME_CHECK]);
/* Appends a record, value and all, to what becomes the payload of RECORDS. */
void frame_record_write(struct buf *out, const struct record *record);
static inline size_t frame_record_bytes(const struct record *record)
{
	return FRAME_RECORD + record->key.len + record->meta.len + record->value.len;
}

/* ---- Reading ---- */
/* The frame at the start of `bytes`, number `number` of its link. ERR_AGAIN: it is not whole yet.
 * ERR_CORRUPT, ERR_VERSION. */
MUST_CHECK enum err frame_parse(struct span bytes, uint32_t number, struct frame *out);
/* Its payload as it was before it was compressed; `buf` holds it if it was. ERR_CORRUPT. */
MUST_CHECK enum err frame_inflate(const struct frame *frame, struct buf *buf, struct span *out);
/* Takes the next record off `payload`. ERR_NOTFOUND: none is left. ERR_CORRUPT. */
MUST_CHECK enum err frame_record_take(struct span *payload, struct record *out);
MUST_CHECK enum err frame_read_body(
    struct span payload, struct record *out, uint64_t *body_bytes, uint64_t *from);
MUST_CHECK enum err frame_read_bytes(
    struct span payload, uint64_t *lsn, uint64_t *offset, struct span *bytes);
/* Of frame_write_lsn. */
MUST_CHECK enum err frame_read_lsn(struct span payload, uint64_t *lsn);
MUST_CHECK enum err frame_read_position(struct span payload, struct frame_position *out);
/* SUMS and LISTED: what follows is left in *payload. */
MUST_CHECK enum err frame_read_compared(struct span *payload, uint64_t *lsn, uint32_t *word);
/* The next key of LISTED. ERR_NOTFOUND: none is left. ERR_CORRUPT. */
MUST_CHECK enum err frame_listed_take(struct span *payload, struct frame_listed *out);
MUST_CHECK enum err frame_read_renewed(struct span payload, uint64_t *number, uint64_t *lsn);
