/* base/buf.c: see buf.h. */
#include "base/buf.h"

#include "base/arith.h"

#include <stdarg.h>
#include <stdio.h>

/* No machine has more; and doubling cannot overflow below it. */
#define BUF_BYTES_MAX (UINT64_C(1) << 46)

void buf_init(struct buf *buf, struct memory *memory)
{
	*buf = (struct buf){.memory = memory};
}

void buf_fini(struct buf *buf)
{
	if (buf->ptr != NULL && buf->memory != NULL)
		memory_free(buf->memory, buf->ptr, buf->cap);
	*buf = (struct buf){.memory = buf->memory};
}

bool buf_try_reserve(struct buf *buf, size_t extra)
{
	uint64_t need;
	ASSERT(buf->memory != NULL);
	if (!add_u64(buf->len, extra, &need) || need > BUF_BYTES_MAX)
		return false;
	if (need <= buf->cap)
		return true;
	size_t cap = buf->cap == 0 ? 64 : buf->cap;
	while (cap < need)
		cap = cap < (1U << 20) ? cap * 2 : cap + cap / 4;
	uint8_t *moved = memory_try_resize(buf->memory, buf->ptr, buf->cap, cap);
	if (moved == NULL)
		return false;
	buf->ptr = moved;
	buf->cap = cap;
	return true;
}

void buf_reserve(struct buf *buf, size_t extra)
{
	if (UNLIKELY(!buf_try_reserve(buf, extra)))
		check_failed("the machine has memory left", __FILE__, __LINE__);
}

void buf_append(struct buf *buf, struct span bytes)
{
	if (bytes.len == 0)
		return;
	if (UNLIKELY(buf->cap - buf->len < bytes.len))
		buf_reserve(buf, bytes.len);
	memcpy(buf->ptr + buf->len, bytes.ptr, bytes.len);
	buf->len += bytes.len;
}

void buf_append_text(struct buf *buf, const char *text)
{
	buf_append(buf, span_text(text));
}

void buf_append_u8(struct buf *buf, uint8_t byte)
{
	buf_append(buf, span_of(&byte, 1));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int need = vsnprintf(NULL, 0, format, args);
	va_end(args);
	ASSERT(need >= 0);
	buf_reserve(buf, (size_t)need + 1);
	vsnprintf((char *)buf->ptr + buf->len, (size_t)need + 1, format, again);
	va_end(again);
	buf->len += (size_t)need;
}

void buf_consume(struct buf *buf, size_t count)
{
	ASSERT(count <= buf->len);
	buf->len -= count;
	if (buf->len > 0)
		memmove(buf->ptr, buf->ptr + count, buf->len);
}
