/* resp/reply.h: replies as bytes, in RESP2 or RESP3.
 *
 * A reply is a run of bytes with, here and there, a reference to bytes that live elsewhere
 * (a body). References are never copied: they go to the socket from where they lie and are
 * released when they have left. What RESP2 cannot say (maps, doubles, booleans) is written
 * as Redis writes it to a RESP2 client.
 *
 * Aggregates are written header first; the writer of a header writes that many elements.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

struct reply_ref {
	size_t      at;                   /* the bytes stand before bytes.ptr[at] */
	struct span span;
	void      (*release)(void *owner);
	void       *owner;
};

struct reply {
	struct buf        bytes;
	struct reply_ref *refs;
	uint32_t          ref_count, ref_cap;
	uint64_t          ref_bytes;      /* sum of all spans */
	uint8_t           resp;           /* 2 or 3 */
};

void reply_init(struct reply *reply, struct memory *memory, uint8_t resp);
void reply_fini(struct reply *reply);               /* releases what is left */
void reply_clear(struct reply *reply);              /* the same, but keeps its memory */
/* Takes back what was written since the reply had `bytes` bytes and `refs` references. */
void reply_cut(struct reply *reply, size_t bytes, uint32_t refs);
/* Adds all of `from`, which is empty afterwards. */
void reply_take(struct reply *reply, struct reply *from);
/* Moves one reference over, with its place counted from `base`. */
void reply_move_ref(struct reply *reply, const struct reply_ref *ref, size_t base);
static inline bool reply_is_empty(const struct reply *r)
{
	return r->bytes.len == 0 && r->ref_count == 0;
}

void reply_status(struct reply *reply, const char *text);            /* +text */
void reply_ok(struct reply *reply);
/* "-ERR ..." : text begins with the error's code. CR and LF become spaces. */
void reply_error(struct reply *reply, const char *format, ...) PRINTF_LIKE(2, 3);
void reply_int(struct reply *reply, int64_t value);
void reply_bulk(struct reply *reply, struct span bytes);
void reply_text(struct reply *reply, const char *text);              /* as a bulk string */
void reply_bulk_int(struct reply *reply, int64_t value);
/* A bulk string whose bytes are not copied; release(owner) when they have left. */
void reply_bulk_ref(
    struct reply *reply, struct span bytes, void (*release)(void *owner), void *owner);
void reply_verbatim(struct reply *reply, struct span text);          /* RESP3 =txt:, RESP2 bulk */
void reply_double(struct reply *reply, double value);
void reply_bool(struct reply *reply, bool value);                    /* RESP2: 1 or 0 */
void reply_null(struct reply *reply);                                /* RESP2: $-1 */
void reply_null_array(struct reply *reply);                          /* RESP2: *-1 */
void reply_array(struct reply *reply, size_t count);
void reply_map(struct reply *reply, size_t pairs);                   /* RESP2: array of 2 * pairs */
void reply_set(struct reply *reply, size_t count);
void reply_push(struct reply *reply, size_t count);                  /* RESP2: array */
