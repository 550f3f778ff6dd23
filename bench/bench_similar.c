/* bench/bench_similar.c: the search for near hashes alone, no server (Q5 of GOALS.md).
 *
 *   bench_similar [hashes, default 10000000] [queries, default 200]
 *
 * Hashes are those of photographs in so far as the bits of neighbouring frequencies depend on
 * each other a little; one in ten belongs to a family of which the members differ in up to 40
 * bits. Each class is asked for members of families and answered in slices of 250 us. The
 * last row is the yardstick: comparing everything, with the best instructions there are.
 * Times are CPU time of the one thread, since machines are shared.
 */
#include "base/random.h"
#include "search/similar.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PARENTS = 4096, SAMPLES_MAX = 10000 };

struct bench {
	struct memory   memory;
	struct random   random;
	struct similar *similar;
	uint8_t         parents[PARENTS][SIMILAR_HASH_BYTES];
	uint64_t        stall_us;
};

static uint64_t clock_us(void *ctx)
{
	struct timespec now;
	(void)ctx;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static double clock_exact_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Each bit repeats the one before it, or the one of the row before, once in eight. */
static void photograph(struct bench *bench, uint8_t *hash)
{
	uint64_t bits[4], repeats[4];
	for (unsigned i = 0; i < 4; i++) {
		bits[i] = random_next(&bench->random);
		repeats[i] = random_next(&bench->random) & random_next(&bench->random) &
		    random_next(&bench->random);
		bits[i] = (bits[i] & ~repeats[i]) | (bits[i] << (i % 2 == 0 ? 1 : 16) & repeats[i]);
	}
	memcpy(hash, bits, sizeof(bits));
}

static void flip(struct bench *bench, uint8_t *hash, uint64_t count)
{
	while (count-- > 0) {
		uint64_t bit = random_below(&bench->random, NEAR_BITS);
		hash[bit / 8] ^= (uint8_t)(1U << (bit % 8));
	}
}

static void fill(struct bench *bench, uint32_t count)
{
	uint8_t hash[SIMILAR_HASH_BYTES];
	double put_us = clock_exact_us();
	for (unsigned i = 0; i < PARENTS; i++)
		photograph(bench, bench->parents[i]);
	for (uint32_t i = 0; i < count; i++) {
		photograph(bench, hash);
		if (random_below(&bench->random, 10) == 0) {
			memcpy(hash, bench->parents[random_below(&bench->random, PARENTS)],
			    sizeof(hash));
			flip(bench, hash, random_below(&bench->random, 41));
		}
		similar_put(bench->similar, i, hash, 0);
	}
	double build_us = clock_exact_us();
	uint64_t longest = 0;
	for (enum err err = ERR_AGAIN; err == ERR_AGAIN;) {
		uint64_t from = clock_us(NULL);
		const struct search_budget budget = {.units = 8};
		err = similar_step(bench->similar, &budget);
		uint64_t took = clock_us(NULL) - from;
		longest = took > longest ? took : longest;
	}
	struct similar_stats stats;
	similar_get_stats(bench->similar, &stats);
	printf("%u hashes put at %.0f ns each; tables of %llu runs at %.0f ns a hash, longest slice %llu us\n",
	    count, (build_us - put_us) * 1e3 / count, (unsigned long long)stats.runs,
	    (clock_exact_us() - build_us) * 1e3 / count, (unsigned long long)longest);
	printf("%.1f bytes a hash, everything counted; %llu hashes are in no run yet\n",
	    (double)bench->memory.bytes / count,
	    (unsigned long long)(stats.hashes - stats.indexed));
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void ask(struct bench *bench, const char *name, uint32_t distance, uint32_t turns, int queries)
{
	static double samples[SAMPLES_MAX];
	uint64_t hits = 0;
	for (int i = 0; i < queries; i++) {
		uint8_t hashes[NEAR_HASHES_MAX][SIMILAR_HASH_BYTES];
		for (uint32_t k = 0; k < turns; k++) {
			if (k > 0)
				photograph(bench, hashes[k]);
			else
				memcpy(hashes[k], bench->parents[random_below(&bench->random, PARENTS)],
				    sizeof(hashes[k]));
		}
		flip(bench, hashes[0], 5);
		double from = clock_exact_us();
		struct near *near =
		    near_new(bench->similar, (const uint8_t (*)[32])hashes, turns, distance);
		for (enum err err = ERR_AGAIN; err == ERR_AGAIN;) {
			uint64_t start = clock_us(NULL);
			const struct search_budget budget = {
			    .clock_us = clock_us, .deadline_us = start + 250};
			err = near_step(near, &budget);
			uint64_t took = clock_us(NULL) - start;
			bench->stall_us = took > bench->stall_us ? took : bench->stall_us;
		}
		samples[i] = clock_exact_us() - from;
		hits += near_count(near);
		near_free(near);
	}
	qsort(samples, (size_t)queries, sizeof(samples[0]), compare);
	printf("%-44s p50 %9.0f us   p99 %9.0f us   %.1f found\n", name, samples[queries / 2],
	    samples[queries * 99 / 100], (double)hits / queries);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	int count = argc > 1 ? atoi(argv[1]) : 10000000, queries = argc > 2 ? atoi(argv[2]) : 200;
	if (count < 1 || queries < 1 || queries > SAMPLES_MAX) {
		fprintf(stderr, "usage: bench_similar [hashes] [queries, at most %d]\n", SAMPLES_MAX);
		return 2;
	}
	random_init(&bench.random, 1);
	bench.similar = similar_new(&bench.memory);
	fill(&bench, (uint32_t)count);
	ask(&bench, "Q5 all within 31 (goal 5000, stretch 1000)", 31, 1, queries);
	ask(&bench, "   all within 15", 15, 1, queries);
	ask(&bench, "   all within 31, any of eight orientations", 31, 8, queries);
	ask(&bench, "   all within 32: everything is compared", 32, 1, queries < 50 ? queries : 50);
	printf("longest slice %llu us\n", (unsigned long long)bench.stall_us);
	similar_free(bench.similar);
	return bench.memory.bytes == 0 ? 0 : 1;
}
