/* base/span.h: a borrowed run of bytes. Never owns, never NUL-terminated. */
#pragma once
#include "base/check.h"

#include <string.h>

struct span {
	const uint8_t *ptr;
	size_t         len;
};

#define SPAN_LIT(text) ((struct span){(const uint8_t *)(text), sizeof(text) - 1})

static inline struct span span_of(const void *ptr, size_t len)
{
	return (struct span){(const uint8_t *)ptr, len};
}

static inline struct span span_text(const char *text)
{
	return span_of(text, strlen(text));
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII case-insensitive equality with a literal or other NUL-terminated text. */
static inline bool span_is(struct span a, const char *text)
{
	size_t i = 0;
	for (; i < a.len; i++) {
		uint8_t x = a.ptr[i], y = (uint8_t)text[i];
		if (y == 0)
			return false;
		if (x == y)
			continue;
		if ((x | 0x20) != (y | 0x20) || (x | 0x20) < 'a' || (x | 0x20) > 'z')
			return false;
	}
	return text[i] == 0;
}

/* Bytes [from, from+len), cut to what exists. */
static inline struct span span_slice(struct span a, size_t from, size_t len)
{
	if (from > a.len)
		from = a.len;
	if (len > a.len - from)
		len = a.len - from;
	return (struct span){from == 0 ? a.ptr : a.ptr + from, len};
}

/* Order of unsigned bytes, then of length: <0, 0, >0. */
static inline int span_compare(struct span a, struct span b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
	if (order != 0)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}
