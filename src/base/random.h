/* base/random.h: xoshiro256** (Blackman and Vigna), seeded once through the seam. Not
 * for secrets: those come from io_random. */
#pragma once
#include <stdint.h>

struct random {
	uint64_t state[4];
};

void random_init(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);

/* Uniform in [0, bound). bound > 0. */
uint64_t random_below(struct random *random, uint64_t bound);
