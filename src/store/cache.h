/* store/cache.h: bodies kept for as long as a byte budget allows, least recently used out
 * first. Used for hot image bodies (by LSN), metadata and derivatives.
 *
 * A hash table with chaining; keys are 128 bits that the caller made unpredictable or
 * unique. The cache holds one reference to each body. A body that somebody else also holds
 * frees no memory when it is dropped, so body_cache_shrink passes it over.
 */
#pragma once
#include "store/body.h"

struct body_cache;

struct body_cache_stats {
	uint64_t hits, misses, evictions;
	uint64_t bytes, bodies, budget;       /* bytes of blocks, with some for headers */
};

struct body_cache *body_cache_new(struct memory *memory, uint64_t budget);
void body_cache_free(struct body_cache *cache);

/* With a reference for the caller, or NULL. */
MUST_CHECK struct body *body_cache_get(struct body_cache *cache, const struct digest *key);
/* True if it is there; neither counted nor refreshed. */
bool body_cache_has(const struct body_cache *cache, const struct digest *key);
/* Takes its own reference; replaces what was there. A body over the budget is not kept. */
void body_cache_put(struct body_cache *cache, const struct digest *key, struct body *body);
void body_cache_drop(struct body_cache *cache, const struct digest *key);

/* Frees least recently used bodies that nobody else holds, worth at least `bytes` if there are
 * so many. Returns what was freed. */
uint64_t body_cache_shrink(struct body_cache *cache, uint64_t bytes);
void body_cache_set_budget(struct body_cache *cache, uint64_t budget);
void body_cache_get_stats(const struct body_cache *cache, struct body_cache_stats *out);

/* A key out of a number: an LSN, say, with `kind` to tell users of one cache apart. */
static inline struct digest body_cache_key(uint64_t kind, uint64_t number)
{
	struct digest key;
	memcpy(key.bytes, &kind, 8);
	memcpy(key.bytes + 8, &number, 8);
	return key;
}
