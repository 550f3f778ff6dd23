/* engine/evict.h: maxmemory: which cache keys go when memory is short.
 *
 * Redis's eight policies, by sampling: the best of a few keys taken at random goes. Images do
 * not die of this: their bodies leave the caches, and stay in the store. With an LFU policy the
 * access word of a string is Redis's: minutes (16 bits) and a logarithmic counter (8 bits);
 * with the others it is seconds.
 */
#pragma once
#include "engine/engine.h"

enum eviction_policy {
	EVICT_NOTHING, EVICT_ALL_LRU, EVICT_ALL_LFU, EVICT_ALL_RANDOM, EVICT_VOLATILE_LRU,
	EVICT_VOLATILE_LFU, EVICT_VOLATILE_RANDOM, EVICT_VOLATILE_TTL,
};

static inline bool evict_counts_use(const struct engine *engine)
{
	int64_t policy = engine->settings->maxmemory_policy;
	return policy == EVICT_ALL_LFU || policy == EVICT_VOLATILE_LFU;
}

/* The key was used: `entry` is a string. */
void evict_note_use(struct engine *engine, struct entry *entry);
/* With an LFU policy: access word of a string that was just made; `old`: what it replaces, or NULL. */
uint32_t evict_first_use(struct engine *engine, const struct entry *old);
/* 0 to 255, as it would be now. */
uint32_t evict_frequency(const struct engine *engine, const struct entry *entry);

/* Makes room within maxmemory, a bounded number of keys a call. False: the policy leaves nothing
 * that could go. */
bool engine_make_room(struct engine *engine);
