/* search/simd.h: the few loops for which the compiler needs help: with AVX-512 or AVX2 where
 * the machine has them, in plain C elsewhere. Results are the same. */
#pragma once
#include <stdint.h>

/* Bit i: from <= values[i] <= until. */
uint64_t simd_within(const uint32_t values[64], uint32_t from, uint32_t until);

/* The lowest bits of `bits`, in order, at the places of the bits of `places`. */
uint64_t simd_deposit(uint64_t bits, uint64_t places);

/* Bits of those numbers that are above `low`. */
void simd_above(const float values[128], float low, uint64_t bits[2]);
uint64_t simd_bytes_above_64(const uint8_t values[64], uint8_t low);

/* How many bits 64 words have in common. */
uint32_t simd_count_both(const uint64_t a[64], const uint64_t b[64]);

/* How many of 128 ascending values are below `limit`. */
uint32_t simd_count_below(const uint32_t values[128], uint32_t limit);
