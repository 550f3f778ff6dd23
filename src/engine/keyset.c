/* engine/keyset.c: see keyset.h. */
#include "engine/keyset.h"

enum { KEYSET_MAGIC = 0x4b455953, NODES_PER_BUCKET = 2, BUCKETS_TRIED = 4096 };

struct keyset *keyset_new(struct memory *memory, uint64_t seed)
{
	struct keyset *set = memory_zalloc(memory, sizeof(*set));
	set->magic = KEYSET_MAGIC;
	set->memory = memory;
	set->seed = seed;
	return set;
}

static size_t node_bytes(const struct keyset_node *node)
{
	return sizeof(*node) + node->len;
}

static struct keyset_node **bucket_at(const struct keyset *set, uint32_t index)
{
	ASSERT(index < set->buckets);
	return &set->pages[index / KEYSET_PAGE][index % KEYSET_PAGE];
}

/* The smallest power of two that is not below the number of buckets decides how many bits count. */
static uint32_t bucket_of(const struct keyset *set, uint64_t hash)
{
	ASSERT(set->buckets > 0);
	uint32_t mask = set->buckets == 1 ? 0 : UINT32_MAX >> __builtin_clz(set->buckets - 1);
	uint32_t index = (uint32_t)hash & mask;
	return index < set->buckets ? index : index & mask >> 1;
}

static void page_add(struct keyset *set, uint32_t page)
{
	if (page == set->page_cap) {
		uint32_t cap = page == 0 ? 1 : page * 2;
		set->pages = memory_resize(set->memory, set->pages,
		    set->page_cap * sizeof(*set->pages), cap * sizeof(*set->pages));
		set->page_cap = cap;
	}
	set->pages[page] = memory_zalloc(set->memory, KEYSET_PAGE * sizeof(struct keyset_node *));
}

/* One bucket more: it takes over its part of the bucket that it was one with. */
static void split_one(struct keyset *set)
{
	uint32_t added = set->buckets;
	if (added == KEYSET_PAGE * KEYSET_PAGES_MAX)
		return;
	if (added % KEYSET_PAGE == 0)
		page_add(set, added / KEYSET_PAGE);
	set->buckets++;
	if (added == 0)
		return;
	uint32_t half = UINT32_MAX >> __builtin_clz(added) >> 1;
	struct keyset_node **at = bucket_at(set, added & half), **to = bucket_at(set, added);
	while (*at != NULL) {
		struct keyset_node *node = *at;
		if (bucket_of(set, node->hash) != added) {
			at = &node->next;
			continue;
		}
		*at = node->next;
		node->next = *to;
		*to = node;
	}
}

struct keyset_node *keyset_find(const struct keyset *set, struct span name)
{
	CHECK_OBJ(set, KEYSET_MAGIC);
	if (set->count == 0)
		return NULL;
	uint64_t hash = hash_key(name, set->seed);
	struct keyset_node *node = *bucket_at(set, bucket_of(set, hash));
	while (node != NULL && (node->hash != hash || !span_equal(keyset_name(node), name)))
		node = node->next;
	return node;
}

struct keyset_node *keyset_put(struct keyset *set, struct span name)
{
	struct keyset_node *node = keyset_find(set, name);
	ASSERT(name.len <= UINT32_MAX);
	if (node != NULL)
		return node;
	if (set->count >= (uint64_t)set->buckets * NODES_PER_BUCKET)
		split_one(set);
	node = memory_zalloc(set->memory, sizeof(*node) + name.len);
	node->hash = hash_key(name, set->seed);
	node->len = (uint32_t)name.len;
	if (name.len > 0)
		memcpy(node->name, name.ptr, name.len);
	struct keyset_node **bucket = bucket_at(set, bucket_of(set, node->hash));
	node->next = *bucket;
	*bucket = node;
	set->count++;
	return node;
}

static void node_free(struct keyset *set, struct keyset_node *node)
{
	ASSERT(set->members >= node->count);
	ASSERT(set->count > 0);
	set->members -= node->count;
	set->count--;
	if (node->cap > 0)
		memory_free(set->memory, node->many, node->cap * sizeof(void *));
	memory_free(set->memory, node, node_bytes(node));
}

void keyset_remove(struct keyset *set, struct keyset_node *node)
{
	CHECK_OBJ(set, KEYSET_MAGIC);
	struct keyset_node **at = bucket_at(set, bucket_of(set, node->hash));
	while (*at != node) {
		ASSERT(*at != NULL);
		at = &(*at)->next;
	}
	*at = node->next;
	node_free(set, node);
}

struct keyset_node *keyset_any(const struct keyset *set, struct random *random)
{
	CHECK_OBJ(set, KEYSET_MAGIC);
	if (set->count == 0)
		return NULL;
	uint32_t from = (uint32_t)random_below(random, set->buckets);
	for (uint32_t i = 0; i < BUCKETS_TRIED; i++) {
		struct keyset_node *node = *bucket_at(set, (from + i) % set->buckets);
		if (node != NULL)
			return node;
	}
	return NULL;
}

/* ---- Pointers ---- */

static uint32_t slot_of(const void *pointer, uint32_t cap)
{
	return (uint32_t)((uintptr_t)pointer * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (cap - 1);
}

/* False: it is there. */
static bool many_add(struct keyset_node *node, void *pointer)
{
	uint32_t at = slot_of(pointer, node->cap);
	while (node->many[at] != NULL) {
		if (node->many[at] == pointer)
			return false;
		at = (at + 1) & (node->cap - 1);
	}
	node->many[at] = pointer;
	node->count++;
	return true;
}

static void many_grow(struct keyset *set, struct keyset_node *node)
{
	struct keyset_node old = *node;
	void *pointer;
	uint32_t at = 0;
	node->cap = old.cap == 0 ? 4 : old.cap * 2;
	node->many = memory_zalloc(set->memory, node->cap * sizeof(void *));
	node->count = 0;
	while ((pointer = keyset_next(&old, &at)) != NULL)
		(void)many_add(node, pointer);
	if (old.cap > 0)
		memory_free(set->memory, old.many, old.cap * sizeof(void *));
}

bool keyset_add(struct keyset *set, struct keyset_node *node, void *pointer)
{
	CHECK_OBJ(set, KEYSET_MAGIC);
	ASSERT(pointer != NULL);
	if (node->cap == 0 && node->count == 0) {
		node->one = pointer;
		node->count = 1;
		set->members++;
		return true;
	}
	if (node->cap == 0 && node->one == pointer)
		return false;
	if ((node->count + 1) * 4 > node->cap * 3)
		many_grow(set, node);
	bool added = many_add(node, pointer);
	set->members += added;
	return added;
}

void *keyset_next(const struct keyset_node *node, uint32_t *at)
{
	if (node->cap == 0)
		return (*at)++ < node->count ? node->one : NULL;
	while (*at < node->cap) {
		void *pointer = node->many[(*at)++];
		if (pointer != NULL)
			return pointer;
	}
	return NULL;
}

/* ---- All of it ---- */

void keyset_each(
    const struct keyset *set, void (*each)(void *ctx, const struct keyset_node *node), void *ctx)
{
	CHECK_OBJ(set, KEYSET_MAGIC);
	for (uint32_t i = 0; i < set->buckets; i++)
		for (const struct keyset_node *at = *bucket_at(set, i); at != NULL; at = at->next)
			each(ctx, at);
}

/* From the last bucket on down: those that are empty are not looked at again. */
bool keyset_free_some(struct keyset *set, uint32_t nodes, void (*drop)(void *pointer))
{
	CHECK_OBJ(set, KEYSET_MAGIC);
	uint32_t work = nodes + KEYSET_PAGE;
	while (set->buckets > 0 && work > 0) {
		struct keyset_node **bucket = bucket_at(set, set->buckets - 1);
		void *pointer;
		while (*bucket != NULL && work > 0) {
			struct keyset_node *node = *bucket;
			uint32_t at = 0;
			while (drop != NULL && (pointer = keyset_next(node, &at)) != NULL)
				drop(pointer);
			*bucket = node->next;
			node_free(set, node);
			work--;
		}
		if (*bucket != NULL)
			return false;
		if (--set->buckets % KEYSET_PAGE == 0)
			memory_free(set->memory, set->pages[set->buckets / KEYSET_PAGE],
			    KEYSET_PAGE * sizeof(struct keyset_node *));
		work -= work > 0;
	}
	if (set->buckets > 0)
		return false;
	ASSERT(set->count == 0 && set->members == 0);
	struct memory *memory = set->memory;
	if (set->pages != NULL)
		memory_free(memory, set->pages, set->page_cap * sizeof(*set->pages));
	DROP_OBJ(set, KEYSET_MAGIC);
	memory_free(memory, set, sizeof(*set));
	return true;
}
