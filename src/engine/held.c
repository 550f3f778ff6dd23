/* engine/held.c: see held.h. */
#include "engine/held.h"

#include "store/directory.h"

static uint64_t lsn_hash(uint64_t lsn)
{
	uint64_t hash = lsn * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

static struct held_shard *shard_of(const struct held_table *table, uint64_t hash)
{
	struct held_shard *shards = (struct held_shard *)(uintptr_t)table->shards;
	return &shards[hash >> 40 & (HELD_SHARDS - 1)];
}

void held_init(struct held_table *table, struct memory *memory)
{
	ASSERT(memory != NULL);
	*table = (struct held_table){.memory = memory};
}

void held_fini(struct held_table *table)
{
	for (unsigned i = 0; i < HELD_SHARDS; i++) {
		struct held_shard *shard = &table->shards[i];
		memory_free(table->memory, shard->slots, shard->cap * sizeof(*shard->slots));
		*shard = (struct held_shard){0};
	}
	table->count = 0;
}

static uint32_t shard_home(const struct held_shard *shard, uint64_t lsn)
{
	ASSERT(shard->cap > 0);
	return (uint32_t)lsn_hash(lsn) & (shard->cap - 1);
}

/* The slot of this LSN, or the free one where it would go. */
static struct held *shard_slot(const struct held_shard *shard, uint64_t lsn)
{
	uint32_t at = shard_home(shard, lsn);
	while (shard->slots[at].lsn != 0 && shard->slots[at].lsn != lsn)
		at = (at + 1) & (shard->cap - 1);
	return &shard->slots[at];
}

static void shard_grow(struct held_table *table, struct held_shard *shard)
{
	struct held_shard old = *shard;
	shard->cap = old.cap == 0 ? 8 : old.cap * 2;
	ASSERT(shard->cap > old.cap);
	shard->slots = memory_zalloc(table->memory, shard->cap * sizeof(*shard->slots));
	for (uint32_t i = 0; i < old.cap; i++) {
		if (old.slots[i].lsn != 0)
			*shard_slot(shard, old.slots[i].lsn) = old.slots[i];
	}
	memory_free(table->memory, old.slots, old.cap * sizeof(*old.slots));
}

struct held *held_find(const struct held_table *table, uint64_t lsn)
{
	ASSERT(lsn != 0);
	const struct held_shard *shard = shard_of(table, lsn_hash(lsn));
	if (shard->count == 0)
		return NULL;
	struct held *held = shard_slot(shard, lsn);
	return held->lsn == 0 ? NULL : held;
}

struct held *held_add(struct held_table *table, uint64_t lsn, struct place place, bool owned)
{
	ASSERT(lsn != 0);
	ASSERT(place.segment != 0);
	struct held_shard *shard = shard_of(table, lsn_hash(lsn));
	if (shard->count + shard->count / 3 + 1 >= shard->cap)
		shard_grow(table, shard);
	struct held *held = shard_slot(shard, lsn);
	ASSERT(held->lsn == 0);
	*held = (struct held){.place = place};
	held->lsn = lsn & LSN_MASK;
	held->owned = owned;
	shard->count++;
	table->count++;
	return held;
}

/* Later ones of the same run move up, so that no run is broken. */
void held_remove(struct held_table *table, struct held *held)
{
	ASSERT(held->lsn != 0);
	struct held_shard *shard = shard_of(table, lsn_hash(held->lsn));
	uint32_t mask = shard->cap - 1, hole = (uint32_t)(held - shard->slots);
	ASSERT(hole <= mask);
	for (uint32_t at = (hole + 1) & mask; shard->slots[at].lsn != 0; at = (at + 1) & mask) {
		uint32_t home = shard_home(shard, shard->slots[at].lsn);
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		shard->slots[hole] = shard->slots[at];
		hole = at;
	}
	shard->slots[hole] = (struct held){0};
	shard->count--;
	table->count--;
}

uint64_t held_bytes(const struct held_table *table)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < HELD_SHARDS; i++)
		bytes += table->shards[i].cap * sizeof(struct held);
	return bytes;
}
