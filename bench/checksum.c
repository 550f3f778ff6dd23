/* bench/checksum.c: KiB per microsecond of base/crc32c.h over 64 KiB, and of the plain loop over
 * the processor's instruction; the best of many runs each, in turn. */
#include "base/crc32c.h"

#include <nmmintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BYTES = 64 << 10, ROUNDS = 200, REPEATS = 20 };

__attribute__((target("sse4.2"))) static uint32_t plain(struct span bytes)
{
	uint64_t crc = UINT32_MAX, word;
	for (size_t at = 0; at < bytes.len; at += sizeof(word)) {
		memcpy(&word, bytes.ptr + at, sizeof(word));
		crc = _mm_crc32_u64(crc, word);
	}
	return ~(uint32_t)crc;
}

static uint32_t ours(struct span bytes)
{
	return crc32c(0, bytes);
}

static double best_us(uint32_t (*sum)(struct span bytes), struct span bytes, double best)
{
	struct timespec from, to;
	static volatile uint32_t sink;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < REPEATS; i++)
		sink = sum(bytes);
	(void)sink;
	clock_gettime(CLOCK_MONOTONIC, &to);
	double us = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
	    1e3 / REPEATS;
	return us < best ? us : best;
}

int main(void)
{
	uint8_t *buf = aligned_alloc(4096, BYTES);
	if (buf == NULL)
		return 1;
	for (int i = 0; i < BYTES; i++)
		buf[i] = (uint8_t)(i * 31 + (i >> 8));
	struct span bytes = span_of(buf, BYTES);
	if (plain(bytes) != ours(bytes))
		return 1;
	double mine = 1e9, theirs = 1e9;
	for (int round = 0; round < ROUNDS; round++) {
		mine = best_us(ours, bytes, mine);
		theirs = best_us(plain, bytes, theirs);
	}
	printf("%.4f %.4f\n", 64 / mine, 64 / theirs);
	free(buf);
	return 0;
}
