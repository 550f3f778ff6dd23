/* store/cache.c: see cache.h. */
#include "store/cache.h"

#include "base/list.h"

enum { CACHE_MAGIC = 0x42436163, CACHE_SLOTS_MIN = 64 };

struct entry {
	struct entry *next;           /* in its slot */
	struct list   used;           /* most recently used first */
	struct digest key;
	struct body  *body;
	uint64_t      bytes;
};

struct body_cache {
	uint32_t                magic;
	struct memory          *memory;
	struct entry          **slots;
	size_t                  slot_count;       /* a power of two */
	struct list             used;
	struct body_cache_stats stats;
};

struct body_cache *body_cache_new(struct memory *memory, uint64_t budget)
{
	ASSERT(memory != NULL);
	struct body_cache *cache = memory_zalloc(memory, sizeof(*cache));
	cache->magic = CACHE_MAGIC;
	cache->memory = memory;
	cache->slot_count = CACHE_SLOTS_MIN;
	cache->slots = memory_zalloc(memory, cache->slot_count * sizeof(*cache->slots));
	cache->stats.budget = budget;
	list_init(&cache->used);
	return cache;
}

static struct entry **cache_slot(const struct body_cache *cache, const struct digest *key)
{
	uint64_t hash = XXH3_64bits(key->bytes, sizeof(key->bytes));
	ASSERT((cache->slot_count & (cache->slot_count - 1)) == 0);
	return &cache->slots[hash & (cache->slot_count - 1)];
}

/* The pointer that leads to the entry of `key`, or to NULL at the end of its slot. */
static struct entry **cache_find(const struct body_cache *cache, const struct digest *key)
{
	CHECK_OBJ(cache, CACHE_MAGIC);
	struct entry **at = cache_slot(cache, key);
	while (*at != NULL && !digest_equal(&(*at)->key, key))
		at = &(*at)->next;
	return at;
}

static void cache_remove(struct body_cache *cache, struct entry **at)
{
	struct entry *entry = *at;
	ASSERT(entry != NULL);
	ASSERT(cache->stats.bytes >= entry->bytes);
	*at = entry->next;
	list_remove(&entry->used);
	cache->stats.bytes -= entry->bytes;
	cache->stats.bodies--;
	body_unref(entry->body);
	memory_free(cache->memory, entry, sizeof(*entry));
}

static void cache_evict(struct body_cache *cache, struct entry *entry)
{
	struct entry **at = cache_find(cache, &entry->key);
	ASSERT(*at == entry);
	cache_remove(cache, at);
	cache->stats.evictions++;
}

void body_cache_free(struct body_cache *cache)
{
	if (cache == NULL)
		return;
	while (!list_is_empty(&cache->used)) {
		struct entry *entry = LIST_OF(cache->used.next, struct entry, used);
		cache_evict(cache, entry);
	}
	DROP_OBJ(cache, CACHE_MAGIC);
	memory_free(cache->memory, cache->slots, cache->slot_count * sizeof(*cache->slots));
	memory_free(cache->memory, cache, sizeof(*cache));
}

struct body *body_cache_get(struct body_cache *cache, const struct digest *key)
{
	struct entry *entry = *cache_find(cache, key);
	if (entry == NULL) {
		cache->stats.misses++;
		return NULL;
	}
	cache->stats.hits++;
	list_remove(&entry->used);
	list_append(cache->used.next, &entry->used);
	return body_ref(entry->body);
}

bool body_cache_has(const struct body_cache *cache, const struct digest *key)
{
	return *cache_find(cache, key) != NULL;
}

static void cache_grow(struct body_cache *cache)
{
	struct entry **old = cache->slots;
	size_t old_count = cache->slot_count;
	ASSERT(old_count <= SIZE_MAX / 16);
	cache->slot_count *= 2;
	cache->slots = memory_zalloc(cache->memory, cache->slot_count * sizeof(*cache->slots));
	for (size_t i = 0; i < old_count; i++) {
		struct entry *entry = old[i];
		while (entry != NULL) {
			struct entry *next = entry->next;
			struct entry **slot = cache_slot(cache, &entry->key);
			entry->next = *slot;
			*slot = entry;
			entry = next;
		}
	}
	memory_free(cache->memory, old, old_count * sizeof(*old));
}

/* Least recently used first, whoever holds it, until the budget is kept. */
static void cache_keep_budget(struct body_cache *cache)
{
	while (cache->stats.bytes > cache->stats.budget) {
		ASSERT(!list_is_empty(&cache->used));
		cache_evict(cache, LIST_OF(cache->used.prev, struct entry, used));
	}
}

void body_cache_put(struct body_cache *cache, const struct digest *key, struct body *body)
{
	struct entry **at = cache_find(cache, key);
	ASSERT(body_is_full(body));
	body_ref(body);               /* it may be the one that is there */
	if (*at != NULL)
		cache_remove(cache, at);
	uint64_t bytes = body->block_bytes + sizeof(*body) + sizeof(struct entry);
	if (bytes > cache->stats.budget) {
		body_unref(body);
		return;
	}
	if (cache->stats.bodies >= cache->slot_count)
		cache_grow(cache);
	struct entry *entry = memory_alloc(cache->memory, sizeof(*entry));
	struct entry **slot = cache_slot(cache, key);
	*entry = (struct entry){.next = *slot, .key = *key, .body = body, .bytes = bytes};
	*slot = entry;
	list_init(&entry->used);
	list_append(cache->used.next, &entry->used);
	cache->stats.bytes += bytes;
	cache->stats.bodies++;
	cache_keep_budget(cache);
}

void body_cache_drop(struct body_cache *cache, const struct digest *key)
{
	struct entry **at = cache_find(cache, key);
	if (*at != NULL)
		cache_remove(cache, at);
}

uint64_t body_cache_shrink(struct body_cache *cache, uint64_t bytes)
{
	CHECK_OBJ(cache, CACHE_MAGIC);
	uint64_t freed = 0;
	struct list *at = cache->used.prev;
	while (at != &cache->used && freed < bytes) {
		struct entry *entry = LIST_OF(at, struct entry, used);
		at = at->prev;
		if (entry->body->refs > 1)
			continue;
		freed += entry->body->block_bytes;
		cache_evict(cache, entry);
	}
	return freed;
}

void body_cache_set_budget(struct body_cache *cache, uint64_t budget)
{
	CHECK_OBJ(cache, CACHE_MAGIC);
	cache->stats.budget = budget;
	cache_keep_budget(cache);
}

void body_cache_get_stats(const struct body_cache *cache, struct body_cache_stats *out)
{
	CHECK_OBJ(cache, CACHE_MAGIC);
	*out = cache->stats;
}
