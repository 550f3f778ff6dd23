/* tests/unit/search/similar_test.c: hashes and colours by document, beside a naive model: an
 * array of what was put, searched by comparing everything. */
#include "search/similar_parts.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { DOCS = 3 * RUN_SMALL * WINDOW_DOCS };

struct model {
	uint8_t (*hashes)[SIMILAR_HASH_BYTES];
	uint8_t  *has;
	uint16_t *colours;
	uint32_t  count;
};

static struct memory memory;
static struct random chance;
static struct model model;
static struct similar *similar;
static const struct search_budget one_unit = {.units = 1}, unlimited = {0};

static void begin(void)
{
	memory = (struct memory){0};
	random_init(&chance, 7);
	model.hashes = calloc(DOCS, SIMILAR_HASH_BYTES);
	model.has = calloc(DOCS, 1);
	model.colours = calloc(DOCS, sizeof(uint16_t));
	similar = similar_new(&memory);
}

static void end(void)
{
	similar_free(similar);
	cr_expect_eq(memory.bytes, 0, "%llu bytes are left", (unsigned long long)memory.bytes);
	free(model.hashes);
	free(model.has);
	free(model.colours);
}

TestSuite(similar, .init = begin, .fini = end, .timeout = 120);

static void random_hash(uint8_t hash[SIMILAR_HASH_BYTES])
{
	for (unsigned i = 0; i < SIMILAR_HASH_BYTES; i += 8) {
		uint64_t bits = random_next(&chance);
		memcpy(hash + i, &bits, 8);
	}
}

static void flip_bits(uint8_t hash[SIMILAR_HASH_BYTES], unsigned count)
{
	while (count-- > 0) {
		uint64_t bit = random_below(&chance, NEAR_BITS);
		hash[bit / 8] ^= (uint8_t)(1U << (bit % 8));
	}
}

static void put(uint32_t docid, const uint8_t *hash, uint32_t colours)
{
	similar_put(similar, docid, hash, colours);
	model.has[docid] = hash != NULL;
	model.colours[docid] = (uint16_t)colours;
	if (hash != NULL)
		memcpy(model.hashes[docid], hash, SIMILAR_HASH_BYTES);
}

static void drop(uint32_t docid)
{
	similar_remove(similar, docid);
	model.has[docid] = 0;
	model.colours[docid] = 0;
}

/* Families of pictures that differ a little, among strangers. */
static void put_family(uint32_t docid, uint8_t (*parents)[SIMILAR_HASH_BYTES], unsigned count)
{
	uint8_t hash[SIMILAR_HASH_BYTES];
	if (random_below(&chance, 50) == 0) {
		memcpy(hash, parents[random_below(&chance, count)], sizeof(hash));
		flip_bits(hash, (unsigned)random_below(&chance, 40));
	} else {
		random_hash(hash);
	}
	put(docid, hash, (uint32_t)random_below(&chance, 1 << 12));
}

static void expect_near(const uint8_t (*hashes)[SIMILAR_HASH_BYTES], uint32_t count,
    uint32_t distance, const struct search_budget *budget)
{
	struct near *near = near_new(similar, hashes, count, distance);
	uint64_t found = 0, wrong = 0, slices = 1;
	while (near_step(near, budget) == ERR_AGAIN)
		slices++;
	cr_expect(budget->units == 0 || slices > 2);
	for (uint32_t id = 0; id < DOCS; id++) {
		uint32_t best = NEAR_BITS + 1;
		for (uint32_t i = 0; i < count && model.has[id]; i++) {
			uint32_t one = hash_distance(model.hashes[id], hashes[i]);
			best = one < best ? one : best;
		}
		wrong += (best <= distance) != near_has(near, id);
		found += best <= distance;
		if (best <= distance)
			cr_assert_eq(near_distance(near, id), best);
	}
	cr_expect_eq(wrong, 0, "%llu documents within %u are wrong", (unsigned long long)wrong,
	    distance);
	cr_expect_eq(near_count(near), found);
	uint64_t by_window = 0;
	for (uint32_t window = near_before(near, UINT32_MAX); window != DOCID_NONE;
	     window = near_before(near, window)) {
		uint64_t mask[WINDOW_WORDS];
		memset(mask, 0xff, sizeof(mask));
		near_filter(near, window, mask);
		for (unsigned i = 0; i < WINDOW_WORDS; i++)
			by_window += (uint64_t)__builtin_popcountll(mask[i]);
	}
	cr_expect_eq(by_window, found);
	near_free(near);
}

static void build_all(void)
{
	while (similar_step(similar, &one_unit) == ERR_AGAIN)
		;
}

Test(similar, every_way_of_scanning_finds_the_same)
{
	static uint8_t hashes[WINDOW_DOCS][SIMILAR_HASH_BYTES];
	uint8_t wanted[SIMILAR_HASH_BYTES];
	random_hash(wanted);
	for (unsigned i = 0; i < WINDOW_DOCS; i++) {
		memcpy(hashes[i], wanted, sizeof(wanted));
		flip_bits(hashes[i], i % 200);
	}
	for (uint32_t distance = 0; distance <= NEAR_BITS; distance += 13) {
		uint64_t expected[WINDOW_WORDS], found[WINDOW_WORDS];
		cr_assert(similar_scan_as(0, (const uint8_t (*)[32])hashes, wanted, distance, expected));
		for (unsigned i = 0; i < WINDOW_DOCS; i++)
			cr_assert_eq(hash_distance(hashes[i], wanted) <= distance,
			    expected[i / 64] >> (i % 64) & 1);
		for (unsigned way = 1; way <= 2; way++)
			if (similar_scan_as(
			        way, (const uint8_t (*)[32])hashes, wanted, distance, found))
				cr_expect_eq(memcmp(found, expected, sizeof(found)), 0,
				    "way %u, distance %u", way, distance);
	}
}

Test(similar, finds_what_comparing_everything_finds)
{
	uint8_t parents[20][SIMILAR_HASH_BYTES];
	struct similar_stats stats;
	for (unsigned i = 0; i < 20; i++)
		random_hash(parents[i]);
	for (uint32_t id = 0; id < DOCS; id++)
		if (random_below(&chance, 10) != 0)
			put_family(id, parents, 20);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 4; i++)
			expect_near((const uint8_t (*)[32])&parents[i + round], 1,
			    (uint32_t[]){0, 12, 31, 60}[i], round % 2 == 0 ? &one_unit : &unlimited);
		expect_near((const uint8_t (*)[32])parents, 8, 31, &unlimited);
		/* Then with runs; with documents gone; with others that came late or changed. */
		if (round == 0)
			build_all();
		for (unsigned i = 0; round > 0 && i < 100000; i++) {
			uint32_t id = (uint32_t)random_below(&chance, DOCS);
			if (random_below(&chance, 3) == 0)
				put_family(id, parents, 20);
			else
				drop(id);
			if (i % 20 == 0 && similar_step(similar, &one_unit) == OK)
				continue;
		}
		similar_get_stats(similar, &stats);
		cr_expect(stats.runs >= 1 && stats.indexed > stats.hashes / 4,
		    "round %u: %llu runs, %llu of %llu hashes", round,
		    (unsigned long long)stats.runs, (unsigned long long)stats.indexed,
		    (unsigned long long)stats.hashes);
	}
}

Test(similar, colours_are_found_and_change_in_place)
{
	for (uint32_t id = 0; id < 3 * WINDOW_DOCS; id++) {
		uint8_t hash[SIMILAR_HASH_BYTES];
		random_hash(hash);
		if (id / WINDOW_DOCS != 1)
			put(id, id % 3 == 0 ? hash : NULL, (uint32_t)random_below(&chance, 16));
	}
	for (uint32_t id = 0; id < 3 * WINDOW_DOCS; id += 5)
		drop(id);
	for (uint32_t window = 0; window < 4; window++) {
		uint64_t red[WINDOW_WORDS], none[WINDOW_WORDS], plain[WINDOW_WORDS];
		memset(red, 0xff, sizeof(red));
		memset(none, 0xff, sizeof(none));
		memset(plain, 0xff, sizeof(plain));
		similar_filter_colours(similar, window, 1 | 8, red);
		similar_filter_uncoloured(similar, window, none);
		similar_filter_hashed(similar, window, plain);
		for (uint32_t slot = 0; slot < WINDOW_DOCS; slot++) {
			uint32_t id = window * WINDOW_DOCS + slot;
			uint64_t bit = 1ULL << (slot % 64);
			cr_assert_eq((model.colours[id] & 9) != 0, (red[slot / 64] & bit) != 0);
			cr_assert_eq(model.colours[id] == 0, (none[slot / 64] & bit) != 0);
			cr_assert_eq(!model.has[id], (plain[slot / 64] & bit) != 0);
			cr_assert_eq(similar_colours(similar, id), model.colours[id]);
			cr_assert_eq(similar_hash(similar, id) != NULL, model.has[id] != 0);
		}
	}
}

Test(similar, memory_goes_when_the_documents_go)
{
	uint8_t hash[SIMILAR_HASH_BYTES];
	uint64_t empty = memory.bytes;
	for (uint32_t id = 0; id < 2 * RUN_SMALL * WINDOW_DOCS; id++) {
		random_hash(hash);
		put(id, hash, 1);
	}
	build_all();
	cr_expect_gt(memory.bytes, empty + 2ULL * RUN_SMALL * WINDOW_DOCS * SIMILAR_HASH_BYTES);
	for (uint32_t id = 0; id < 2 * RUN_SMALL * WINDOW_DOCS; id++)
		drop(id);
	cr_expect(similar_step_is_due(similar));
	build_all();
	cr_expect(!similar_step_is_due(similar));
	cr_expect_lt(memory.bytes, empty + 100000, "%llu", (unsigned long long)memory.bytes);
}
