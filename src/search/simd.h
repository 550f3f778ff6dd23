/* search/simd.h: the few loops for which the compiler needs help: with AVX-512 or AVX2 where
 * the machine has them, in plain C elsewhere. Results are the same. */
#pragma once
#include <stdint.h>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

/* Bit i: from <= values[i] <= until. */
uint64_t simd_within(const uint32_t values[64], uint32_t from, uint32_t until);

/* The lowest bits of `bits`, in order, at the places of the bits of `places`. */
uint64_t simd_deposit(uint64_t bits, uint64_t places);

/* Bits of those numbers that are above `low`. */
void simd_above(const float values[128], float low, uint64_t bits[2]);
static inline uint64_t simd_bytes_above_64(const uint8_t values[64], uint8_t low)
{
	uint64_t above = 0;
#if defined(__x86_64__)
	__m128i limit = _mm_set1_epi8((char)low);
	for (int i = 0; i < 4; i++) {
		__m128i value = _mm_loadu_si128((const __m128i *)(const void *)(values + 16 * i));
		__m128i is_low = _mm_cmpeq_epi8(_mm_subs_epu8(value, limit), _mm_setzero_si128());
		above |= (uint64_t)(~(unsigned)_mm_movemask_epi8(is_low) & 0xffff) << (16 * i);
	}
#else
	for (int i = 0; i < 64; i++)
		above |= (uint64_t)(values[i] > low) << i;
#endif
	return above;
}

/* Bits of those of 4096 bytes that are no more than `limit`. */
void simd_bytes_upto(const uint8_t values[4096], uint8_t limit, uint64_t bits[64]);

/* Bit i: the bit of `filter` that values[i] names by its lowest bits is set. */
enum { SIMD_FILTER_BITS = 2048 };
void simd_filter(const uint32_t filter[SIMD_FILTER_BITS / 32], const uint32_t values[128],
    uint64_t bits[2]);

/* How many bits 64 words have in common. */
uint32_t simd_count_both(const uint64_t a[64], const uint64_t b[64]);

/* How many of 128 ascending values are below `limit`. */
uint32_t simd_count_below(const uint32_t values[128], uint32_t limit);
