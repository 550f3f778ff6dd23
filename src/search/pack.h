/* search/pack.h: 128 numbers of `width` bits each in 4 * width words.
 *
 * Vertical layout: number i lies in lane i % 4 of a 128-bit vector, so that four are
 * packed and unpacked at once with the vector instructions every 64-bit machine has
 * (Lemire and Boytsov, "Decoding billions of integers per second through vectorization").
 */
#pragma once
#include "base/check.h"

enum { PACK_COUNT = 128 };

/* Bits that the largest one needs: 0..32. */
unsigned pack_width(const uint32_t in[PACK_COUNT]);

void pack_encode(const uint32_t in[PACK_COUNT], unsigned width, uint32_t *out);
/* Number `at` alone. */
uint32_t pack_get(const uint32_t *in, unsigned width, uint32_t at);

/* In place: gaps less one into ascending numbers from `first`, whose own gap is 0. */
void pack_sum(uint32_t values[PACK_COUNT], uint32_t first);

void pack_decode(const uint32_t *in, unsigned width, uint32_t out[PACK_COUNT]);
