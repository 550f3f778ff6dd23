/* search/pack.c: see pack.h. */
#include "search/pack.h"

#include <string.h>

typedef uint32_t lanes __attribute__((vector_size(16)));

static lanes lanes_load(const uint32_t *from)
{
	lanes value;
	memcpy(&value, from, sizeof(value));
	return value;
}

static void lanes_store(uint32_t *to, lanes value)
{
	memcpy(to, &value, sizeof(value));
}

unsigned pack_width(const uint32_t in[PACK_COUNT])
{
	uint32_t all = 0;
	for (int i = 0; i < PACK_COUNT; i++)
		all |= in[i];
	return all == 0 ? 0 : 32 - (unsigned)__builtin_clz(all);
}

void pack_encode(const uint32_t in[PACK_COUNT], unsigned width, uint32_t *out)
{
	ASSERT(width <= 32);
	lanes word = {0, 0, 0, 0};
	unsigned used = 0;
	if (width == 0)
		return;
	for (int row = 0; row < PACK_COUNT / 4; row++) {
		lanes value = lanes_load(in + 4 * row);
		word |= value << used;
		used += width;
		if (used < 32)
			continue;
		lanes_store(out, word);
		out += 4;
		used -= 32;
		/* What did not fit starts the next word; a shift by 32 is undefined. */
		word = used == 0 ? (lanes){0, 0, 0, 0} : value >> (width - used);
	}
	ASSERT(used == 0);
}

/* With `width` constant, the compiler makes straight code of shifts by constants. */
static inline __attribute__((always_inline)) void decode(
    const uint32_t *in, unsigned width, uint32_t out[PACK_COUNT])
{
	const uint32_t bits = (uint32_t)((1ULL << width) - 1);
	const lanes mask = {bits, bits, bits, bits};
	lanes word = lanes_load(in);
	unsigned used = 0;
#pragma GCC unroll 32
	for (int row = 0; row < PACK_COUNT / 4; row++) {
		lanes value = word >> used;
		used += width;
		if (used >= 32) {
			used -= 32;
			in += 4;
			/* The last row ends exactly with the last word. */
			if (row + 1 < PACK_COUNT / 4)
				word = lanes_load(in);
			if (used > 0)
				value |= word << (width - used);
		}
		lanes_store(out + 4 * row, value & mask);
	}
}

#define DECODE(width) case width: decode(in, width, out); break;

void pack_decode(const uint32_t *in, unsigned width, uint32_t out[PACK_COUNT])
{
	switch (width) {
	case 0: memset(out, 0, PACK_COUNT * sizeof(*out)); break;
	DECODE(1) DECODE(2) DECODE(3) DECODE(4) DECODE(5) DECODE(6) DECODE(7) DECODE(8)
	DECODE(9) DECODE(10) DECODE(11) DECODE(12) DECODE(13) DECODE(14) DECODE(15) DECODE(16)
	DECODE(17) DECODE(18) DECODE(19) DECODE(20) DECODE(21) DECODE(22) DECODE(23) DECODE(24)
	DECODE(25) DECODE(26) DECODE(27) DECODE(28) DECODE(29) DECODE(30) DECODE(31) DECODE(32)
	default: ASSERT(width <= 32);
	}
}

uint32_t pack_get(const uint32_t *in, unsigned width, uint32_t at)
{
	ASSERT(at < PACK_COUNT);
	if (width == 0)
		return 0;
	uint32_t bit = at / 4 * width, word = bit / 32 * 4 + at % 4, shift = bit % 32;
	uint64_t value = in[word] >> shift;
	if (shift + width > 32)
		value |= (uint64_t)in[word + 4] << (32 - shift);
	return (uint32_t)(value & ((1ULL << width) - 1));
}

void pack_sum(uint32_t values[PACK_COUNT], uint32_t first)
{
	const lanes one = {1, 1, 1, 1}, none = {0, 0, 0, 0};
	lanes before = {first - 1, first - 1, first - 1, first - 1};
	for (int row = 0; row < PACK_COUNT / 4; row++) {
		lanes value = lanes_load(values + 4 * row) + one;
		value += __builtin_shufflevector(none, value, 3, 4, 5, 6);
		value += __builtin_shufflevector(none, value, 2, 3, 4, 5);
		value += before;
		lanes_store(values + 4 * row, value);
		before = __builtin_shufflevector(value, value, 3, 3, 3, 3);
	}
}
