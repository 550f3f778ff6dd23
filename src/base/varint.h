/* base/varint.h: LEB128 numbers of up to 64 bits, bounds checked, for formats on disk. Signed
 * numbers are folded (0, -1, 1, -2, ...) so that small ones stay short. */
#pragma once
#include "base/span.h"

enum { VARINT64_MAX = 10 };

/* Writes at most VARINT64_MAX bytes; returns the first byte behind them. */
static inline uint8_t *varint64_put(uint8_t *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*out++ = (uint8_t)(value | 0x80);
	*out++ = (uint8_t)value;
	return out;
}

/* Takes one off the front of `in`. False: it is not whole, or does not fit 64 bits. */
static inline MUST_CHECK bool varint64_take(struct span *in, uint64_t *value)
{
	uint64_t result = 0;
	if (in->len > 0 && in->ptr[0] < 0x80) {           /* most are that small */
		*value = in->ptr[0];
		*in = span_of(in->ptr + 1, in->len - 1);
		return true;
	}
	for (unsigned i = 0; i < in->len && i < VARINT64_MAX; i++) {
		uint64_t bits = in->ptr[i] & 0x7f;
		if (i == VARINT64_MAX - 1 && bits > 1)
			return false;
		result |= bits << 7 * i;
		if ((in->ptr[i] & 0x80) != 0)
			continue;
		*value = result;
		*in = span_slice(*in, i + 1, in->len);
		return true;
	}
	return false;
}

static inline uint64_t varint64_fold(int64_t value)
{
	return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t varint64_unfold(uint64_t value)
{
	return (int64_t)(value >> 1 ^ ((value & 1) != 0 ? UINT64_MAX : 0));
}
