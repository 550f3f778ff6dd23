/* search/bits.h: numbers of a fixed width of 1 to 32 bits side by side in bytes, each of
 * which can be read alone. The array ends in BITS_SLACK bytes that are read but not used. */
#pragma once
#include "base/check.h"
#include "base/endian.h"

enum { BITS_SLACK = 8 };

static inline unsigned bits_width(uint64_t max)
{
	return max == 0 ? 0 : 64 - (unsigned)__builtin_clzll(max);
}

static inline size_t bits_bytes(uint64_t count, unsigned width)
{
	return (size_t)((count * width + 7) / 8) + BITS_SLACK;
}

static inline uint32_t bits_get(const uint8_t *bytes, uint64_t at, unsigned width)
{
	uint64_t bit = at * width;
	return (uint32_t)(load_le64(bytes + bit / 8) >> (bit % 8) & ((1ULL << width) - 1));
}

/* Into bytes that were zero. */
static inline void bits_put(uint8_t *bytes, uint64_t at, unsigned width, uint32_t value)
{
	uint64_t bit = at * width;
	uint8_t *to = bytes + bit / 8;
	store_le64(to, load_le64(to) | (uint64_t)value << (bit % 8));
}
