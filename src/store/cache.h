/* store/cache.h: a byte-budgeted, least-recently-used cache of bodies, keyed by 128 bits.
 *
 * Used for hot bodies and metadata (key: LSN, 0) and for image derivatives (key: a digest).
 * The cache holds one reference of each body. A body that others hold too still counts.
 */
#pragma once
#include "store/body.h"

struct body_cache;

struct cache_key {
	uint64_t high, low;
};

struct body_cache *body_cache_new(struct memory *memory, uint64_t budget_bytes);
void body_cache_free(struct body_cache *cache);

/* A reference for the caller, or NULL. Counts a hit or a miss. */
struct body *body_cache_get(struct body_cache *cache, struct cache_key key);
/* Takes its own reference; replaces what was there. A body larger than a quarter of the
 * budget is not kept. */
void body_cache_put(struct body_cache *cache, struct cache_key key, struct body *body);
void body_cache_drop(struct body_cache *cache, struct cache_key key);
/* Lets go of bodies that nobody else holds, the oldest first, until `bytes` are freed or
 * none is left. Returns what was freed. */
uint64_t body_cache_shrink(struct body_cache *cache, uint64_t bytes);
void body_cache_set_budget(struct body_cache *cache, uint64_t budget_bytes);
void body_cache_clear(struct body_cache *cache);

struct body_cache_stats {
	uint64_t bytes, budget_bytes, count, hits, misses, evicted;
};
void body_cache_get_stats(const struct body_cache *cache, struct body_cache_stats *out);
