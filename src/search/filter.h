/* search/filter.h: some ids, of which it is asked whether many others are among them. Each sets a
 * bit by its lowest bits; of others few pass that are none of them, and these are told by the one
 * that set the bit. */
#pragma once
#include "search/pack.h"
#include "search/simd.h"

struct filter {
	bool     is_made;
	uint32_t bits[SIMD_FILTER_BITS / 32];
	uint8_t  slots[SIMD_FILTER_BITS]; /* which one set the bit last; else of no meaning */
	uint8_t  others[PACK_COUNT];      /* those that set a bit before another did */
	uint32_t other_count;
};

/* Those of `mask`. */
static inline void filter_make(
    struct filter *filter, const uint32_t docids[PACK_COUNT], const uint64_t mask[PACK_COUNT / 64])
{
	memset(filter->bits, 0, sizeof(filter->bits));
	filter->other_count = 0;
	for (uint32_t word = 0; word < PACK_COUNT / 64; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			uint32_t at = docids[slot] % SIMD_FILTER_BITS, bit = 1u << (at % 32);
			if (UNLIKELY((filter->bits[at / 32] & bit) != 0))
				filter->others[filter->other_count++] = filter->slots[at];
			filter->bits[at / 32] |= bit;
			filter->slots[at] = (uint8_t)slot;
		}
	}
	filter->is_made = true;
}
