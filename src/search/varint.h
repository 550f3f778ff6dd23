/* search/varint.h: LEB128 numbers up to 32 bits, in memory that the index itself wrote. */
#pragma once
#include "base/check.h"
#include "base/endian.h"

enum { VARINT_MAX = 5 };

static inline uint8_t *varint_put(uint8_t *out, uint32_t value)
{
	while (value >= 0x80) {
		*out++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*out++ = (uint8_t)value;
	return out;
}

static inline const uint8_t *varint_get(const uint8_t *in, uint32_t *value)
{
	uint32_t result = *in & 0x7f;
	for (unsigned shift = 7; (*in++ & 0x80) != 0; shift += 7)
		result |= (uint32_t)(*in & 0x7f) << shift;
	*value = result;
	return in;
}

static inline const uint8_t *varint_skip(const uint8_t *in, uint32_t count)
{
	/* As many as there are bytes, at least: those that end one are counted eight at a time. */
	while (count >= sizeof(uint64_t)) {
		uint64_t ends = ~load_le64(in) & 0x8080808080808080ULL;
		count -= (uint32_t)__builtin_popcountll(ends);
		in += sizeof(uint64_t);
	}
	for (; count > 0; count--)
		while ((*in++ & 0x80) != 0)
			;
	return in;
}
