/* store/body.h: reference-counted bytes of images and of large values.
 *
 * A body is filled once, front to back, and never changes afterwards. Its bytes are lent to
 * sockets, to the log's writes and to workers at the same time; each holds a reference.
 * Checksums and the content hash advance as bytes arrive (body_advance), so that no pass
 * over a whole large body is ever needed.
 *
 * Image bodies live in a pool: one shared mapping that workers see read-only. `place` in
 * the pool is what a worker is told. Large cache values live on the heap, counted for the
 * account that was given. When the pool is full it asks its owner to let go of cached
 * bodies (reclaim) before it answers ERR_OVERLOADED.
 */
#pragma once
#include "base/err.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "io/io.h"

struct body_pool;

struct body {
	uint32_t          magic;
	uint32_t          refs;
	uint8_t          *ptr;            /* SECTOR-aligned unless it came from a disk read */
	size_t            len;            /* final length */
	size_t            filled;         /* bytes that are there; <= len */
	size_t            hashed;         /* bytes that checksums cover; == filled when idle */
	uint32_t         *chunk_crcs;     /* one per CHUNK_BYTES; NULL if not yet known */
	XXH3_state_t     *hash;           /* while filling; NULL afterwards */
	struct digest     digest;         /* once full; bodies of a pool only */
	bool              has_digest, sent, given;        /* see body_give_pages */
	struct body_pool *pool;           /* NULL: heap */
	struct memory    *memory;
	uint8_t          *block;          /* what was allocated; ptr lies inside */
	size_t            block_bytes;
};

struct body_pool_options {
	size_t bytes;                     /* rounded up to 2 MiB */
	/* Frees cached bodies worth at least `bytes` if it can. May be NULL. */
	void (*reclaim)(void *ctx, size_t bytes);
	void *ctx;
};

MUST_CHECK enum err body_pool_new(struct io *io, const struct body_pool_options *options,
    struct body_pool **out);
void body_pool_free(struct body_pool *pool);          /* every body must be gone */
const struct io_memory *body_pool_memory(const struct body_pool *pool);    /* for workers */
uint64_t body_pool_used(const struct body_pool *pool);                     /* bytes handed out */

/* A body of `len` > 0 bytes to fill, with one reference. The block is a whole number of
 * sectors; what lies behind len in the last sector is zero. ERR_OVERLOADED: no room. */
MUST_CHECK enum err body_new(struct body_pool *pool, size_t len, struct body **out);
/* The same on the heap. ERR_MEMORY. */
MUST_CHECK enum err body_new_heap(struct memory *memory, size_t len, struct body **out);
/* One on the heap that is full. */
MUST_CHECK enum err body_copy(struct memory *memory, struct span bytes, struct body **out);

/* Narrows a body whose whole block was read from a disk to the `len` bytes behind `skip`, with
 * chunk checksums that were already proven (u32 each, copied). For the store. */
void body_narrow(struct body *body, size_t skip, size_t len, struct span crcs);

/* `count` more bytes now lie behind those that were there: checks and hash move on. */
void body_advance(struct body *body, size_t count);
static inline bool body_is_full(const struct body *body) { return body->filled == body->len; }

struct body *body_ref(struct body *body);              /* returns body */
void body_unref(struct body *body);                    /* frees at zero; NULL is fine */
void body_release_ref(void *body);                     /* the same, for a reply's reference */

/* Whether a socket may have the pages of `len` of its bytes (io_stream_send_pages): they are replaced before
 * the memory serves again, so only what is sent a second time, and is long, is given. */
bool body_give_pages(struct body *body, size_t len);

static inline struct span body_span(const struct body *body)
{
	return (struct span){body->ptr, body->filled};
}

/* Offset of the first byte in the pool's mapping. Only for bodies of a pool. */
uint64_t body_offset(const struct body *body);
