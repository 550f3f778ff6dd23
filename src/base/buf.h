/* base/buf.h: a growable byte string that owns its bytes.
 *
 * {0} is a valid empty buffer that counts for nobody; buf_init names the account. Appends
 * never fail for bounded text; bytes whose amount a client chose go through
 * buf_try_reserve first.
 */
#pragma once
#include "base/memory.h"
#include "base/span.h"

struct buf {
	uint8_t       *ptr;
	size_t         len;
	size_t         cap;
	struct memory *memory;
};

void buf_init(struct buf *buf, struct memory *memory);
void buf_fini(struct buf *buf);          /* frees; the buffer is empty and usable again */

/* Room for `extra` more bytes. False when the machine has not that much. */
MUST_CHECK bool buf_try_reserve(struct buf *buf, size_t extra);
void buf_reserve(struct buf *buf, size_t extra);

void buf_append(struct buf *buf, struct span bytes);
void buf_append_text(struct buf *buf, const char *text);
void buf_append_u8(struct buf *buf, uint8_t byte);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

/* Drops the first `count` bytes. */
void buf_consume(struct buf *buf, size_t count);

static inline void buf_clear(struct buf *buf) { buf->len = 0; }

static inline struct span buf_span(const struct buf *buf)
{
	return (struct span){buf->ptr, buf->len};
}
