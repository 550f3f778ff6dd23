/* tests/unit/store/body_test.c: bodies and their cache. */
#include "base/crc32c.h"
#include "base/random.h"
#include "io/sim.h"
#include "store/cache.h"

#include <criterion/criterion.h>

static struct io *some_io(void)
{
	struct io *io;
	struct io_options options = {0};
	cr_assert_eq(io_new(&io, &options), OK);
	return io;
}

Test(body, checksums_and_hash_do_not_depend_on_the_pieces)
{
	struct memory memory = {0};
	struct random random;
	random_init(&random, 5);
	struct sim_disk *disk = sim_disk_new(1);
	struct io *io = sim_new(disk, 1, NULL);
	struct body_pool *pool;
	const struct body_pool_options options = {.bytes = 2 << 20};
	cr_assert_eq(body_pool_new(io, &options, &pool), OK);
	for (int round = 0; round < 50; round++) {
		size_t len = 1 + random_below(&random, 300000);
		struct body *body;
		bool hashes = round % 2 == 0;         /* bodies on the heap have no digest */
		cr_assert_eq(hashes ? body_new(pool, len, &body) : body_new_heap(&memory, len, &body), OK);
		for (size_t i = 0; i < len; i++)
			body->ptr[i] = (uint8_t)(random_next(&random) >> 11);
		while (!body_is_full(body)) {
			size_t step = random_below(&random, 100000);
			size_t left = body->len - body->filled;
			body_advance(body, step < left ? step : left);
		}
		struct digest want = digest_of(body_span(body));
		cr_assert_eq(body->has_digest, hashes);
		cr_assert(!hashes || digest_equal(&want, &body->digest));
		for (size_t at = 0; at < len; at += CHUNK_BYTES)
			cr_assert_eq(body->chunk_crcs[at / CHUNK_BYTES],
			    crc32c(0, span_slice(body_span(body), at, CHUNK_BYTES)));
		body_unref(body);
	}
	cr_assert_eq(memory.bytes, 0);
	body_pool_free(pool);
	io_free(io);
	sim_disk_free(disk);
}

struct reclaimer {
	struct body_cache *cache;
	size_t             asked;
};

static void reclaim(void *ctx, size_t bytes)
{
	struct reclaimer *reclaimer = ctx;
	reclaimer->asked += bytes;
	body_cache_shrink(reclaimer->cache, bytes);
}

static struct body *filled(struct body_pool *pool, size_t len, uint8_t byte)
{
	struct body *body;
	if (body_new(pool, len, &body) != OK)
		return NULL;
	memset(body->ptr, byte, len);
	body_advance(body, len);
	return body;
}

Test(body, full_pool_reclaims_cached_bodies_before_it_refuses)
{
	struct memory memory = {0};
	struct io *io = some_io();
	struct reclaimer reclaimer = {.cache = body_cache_new(&memory, 1 << 30)};
	struct body_pool_options options = {
	    .bytes = 2 << 20, .reclaim = reclaim, .ctx = &reclaimer};
	struct body_pool *pool;
	cr_assert_eq(body_pool_new(io, &options, &pool), OK);
	for (uint64_t i = 0; i < 8; i++) {
		struct body *body = filled(pool, 256 << 10, (uint8_t)i);
		struct digest key = body_cache_key(1, i);
		body_cache_put(reclaimer.cache, &key, body);
		body_unref(body);
	}
	cr_assert_eq(body_pool_used(pool), 2 << 20);
	struct body *more = filled(pool, 256 << 10, 9);
	cr_assert_not_null(more);
	cr_assert_eq(reclaimer.asked, 256 << 10);
	struct digest oldest = body_cache_key(1, 0), next = body_cache_key(1, 1);
	cr_assert(!body_cache_has(reclaimer.cache, &oldest));
	cr_assert(body_cache_has(reclaimer.cache, &next));
	struct body *held = body_cache_get(reclaimer.cache, &next);
	struct body *big;
	cr_assert_eq(body_new(pool, 2 << 20, &big), ERR_OVERLOADED, "two bodies are held");
	cr_assert_eq(held->ptr[0], 1);
	body_unref(held);
	body_unref(more);
	body_cache_free(reclaimer.cache);
	cr_assert_eq(body_pool_used(pool), 0);
	body_pool_free(pool);
	io_free(io);
	cr_assert_eq(memory.bytes, 0);
}

/* What is sent once, or is short, is not worth new pages. */
Test(body, only_long_bytes_sent_again_are_given)
{
	struct memory memory = {0};
	struct io *io = some_io();
	struct body_pool_options options = {.bytes = 2 << 20};
	struct body_pool *pool;
	cr_assert_eq(body_pool_new(io, &options, &pool), OK);
	struct body *body = filled(pool, 256 << 10, 7), *heap;
	cr_assert(!body_give_pages(body, body->len));
	cr_assert(!body_give_pages(body, IO_PAGES_MIN - 1));
	cr_assert_eq(body_give_pages(body, body->len), body_pool_memory(pool)->renews);
	uint64_t place = body_offset(body);
	body_unref(body);
	body = filled(pool, 256 << 10, 8);
	cr_assert_eq(body_offset(body), place);
	cr_assert_eq(body->ptr[body->len - 1], 8);
	body_unref(body);
	cr_assert_eq(body_new_heap(&memory, 100000, &heap), OK);
	memset(heap->ptr, 1, 100000);
	body_advance(heap, 100000);
	cr_assert(!body_give_pages(heap, heap->len));
	cr_assert(body_give_pages(heap, heap->len));
	body_unref(heap);
	body_pool_free(pool);
	io_free(io);
	cr_assert_eq(memory.bytes, 0);
}

enum { KEYS = 60, BUDGET = 400000 };

/* The naive cache: an array in order of use. */
struct naive {
	uint64_t key[KEYS], bytes[KEYS];
	uint8_t  byte[KEYS];
	int      count;
	uint64_t total;
};

static int naive_find(const struct naive *naive, uint64_t key)
{
	for (int i = 0; i < naive->count; i++) {
		if (naive->key[i] == key)
			return i;
	}
	return -1;
}

static void naive_remove(struct naive *naive, int at)
{
	naive->total -= naive->bytes[at];
	for (int i = at; i + 1 < naive->count; i++) {
		naive->key[i] = naive->key[i + 1];
		naive->bytes[i] = naive->bytes[i + 1];
		naive->byte[i] = naive->byte[i + 1];
	}
	naive->count--;
}

static void naive_add(struct naive *naive, uint64_t key, uint64_t bytes, uint8_t byte)
{
	naive->key[naive->count] = key;
	naive->bytes[naive->count] = bytes;
	naive->byte[naive->count++] = byte;
	naive->total += bytes;
}

Test(cache, behaves_like_a_list_in_order_of_use)
{
	struct memory memory = {0};
	struct body_cache *cache = body_cache_new(&memory, BUDGET);
	struct naive naive = {0};
	struct random random;
	struct body_cache_stats stats, base;
	struct body *probe;
	random_init(&random, 3);
	cr_assert_eq(body_new_heap(&memory, 1, &probe), OK);
	body_advance(probe, 1);
	struct digest none = body_cache_key(0, 0);
	body_cache_put(cache, &none, probe);
	body_cache_get_stats(cache, &base);
	uint64_t overhead = base.bytes - SECTOR;
	body_cache_drop(cache, &none);
	body_unref(probe);
	for (int step = 0; step < 50000; step++) {
		uint64_t key = random_below(&random, KEYS);
		struct digest digest = body_cache_key(0, key);
		int at = naive_find(&naive, key);
		cr_assert_eq(body_cache_has(cache, &digest), at >= 0);
		if (random_below(&random, 3) == 0) {
			struct body *body;
			size_t len = 1 + random_below(&random, 50000);
			uint8_t byte = (uint8_t)step;
			cr_assert_eq(body_new_heap(&memory, len, &body), OK);
			memset(body->ptr, byte, len);
			body_advance(body, len);
			body_cache_put(cache, &digest, body);
			if (at >= 0)
				naive_remove(&naive, at);
			naive_add(&naive, key, body->block_bytes + overhead, byte);
			while (naive.total > BUDGET)
				naive_remove(&naive, 0);
			body_unref(body);
		} else if (random_below(&random, 20) == 0) {
			body_cache_drop(cache, &digest);
			if (at >= 0)
				naive_remove(&naive, at);
		} else {
			struct body *body = body_cache_get(cache, &digest);
			cr_assert_eq(body != NULL, at >= 0);
			if (body == NULL)
				continue;
			cr_assert_eq(body->ptr[0], naive.byte[at]);
			uint64_t bytes = naive.bytes[at];
			naive_remove(&naive, at);
			naive_add(&naive, key, bytes, body->ptr[0]);
			body_unref(body);
		}
		body_cache_get_stats(cache, &stats);
		cr_assert_eq(stats.bytes, naive.total);
		cr_assert_eq(stats.bodies, (uint64_t)naive.count);
	}
	cr_assert_gt(stats.evictions, 100);
	body_cache_set_budget(cache, 0);
	body_cache_free(cache);
	cr_assert_eq(memory.bytes, 0);
}
