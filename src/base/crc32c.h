/* base/crc32c.h: CRC-32C (Castagnoli), by ISA-L, which folds with (V)PCLMULQDQ and
 * falls back by itself where the processor cannot; short inputs by SSE4.2's instruction. */
#pragma once
#include "base/span.h"

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#endif

/* Folding pays from a few hundred bytes on: the head of a small record is shorter. */
enum { CRC32C_SHORT_MAX = 256 };

uint32_t crc32c_long(uint32_t crc, struct span bytes);

#if defined(__SSE4_2__)
/* Eight bytes more, on the register itself: begins with ~0, and the checksum is its complement. */
static inline uint32_t crc32c_word(uint32_t state, uint64_t word)
{
	return (uint32_t)_mm_crc32_u64(state, word);
}

static inline uint32_t crc32c_short(uint32_t crc, struct span bytes)
{
	uint64_t state = (uint32_t)~crc, word;
	uint32_t half;
	const uint8_t *at = bytes.ptr, *end = bytes.ptr + bytes.len;
	for (; end - at >= 8; at += 8) {
		memcpy(&word, at, sizeof(word));
		state = _mm_crc32_u64(state, word);
	}
	if (end - at >= 4) {
		memcpy(&half, at, sizeof(half));
		state = _mm_crc32_u32((uint32_t)state, half);
		at += 4;
	}
	for (; at < end; at++)
		state = _mm_crc32_u8((uint32_t)state, *at);
	return (uint32_t)~state;
}
#else
static inline uint32_t crc32c_word(uint32_t state, uint64_t word)
{
	return ~crc32c_long(~state, span_of(&word, sizeof(word)));
}

static inline uint32_t crc32c_short(uint32_t crc, struct span bytes)
{
	return crc32c_long(crc, bytes);
}
#endif

/* Continues `crc` (0 to begin) over `bytes`. crc32c(crc32c(0, a), b) == crc32c(0, ab). */
static inline uint32_t crc32c(uint32_t crc, struct span bytes)
{
	return bytes.len <= CRC32C_SHORT_MAX ? crc32c_short(crc, bytes) : crc32c_long(crc, bytes);
}
