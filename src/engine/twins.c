/* engine/twins.c: see twins.h. */
#include "engine/twins.h"

#include "base/buf.h"
#include "base/endian.h"

struct tag {
	uint32_t shard, high, low;
};

static struct tag tag_of(const struct digest *digest)
{
	return (struct tag){
	    .shard = digest->bytes[0],
	    .high = load_le32(digest->bytes + 1) & 0xffff,
	    .low = load_le32(digest->bytes + 4) & 0xfffffff,
	};
}

static uint32_t tag_home(const struct twin_shard *shard, uint32_t high, uint32_t low)
{
	ASSERT(shard->cap > 0);
	return (low ^ high << 12) & (shard->cap - 1);
}

void twins_init(struct twins *twins, struct memory *memory,
    bool (*is_alive)(void *ctx, const struct twin *twin), void *ctx)
{
	ASSERT(memory != NULL && is_alive != NULL);
	*twins = (struct twins){.memory = memory, .is_alive = is_alive, .ctx = ctx};
}

void twins_fini(struct twins *twins)
{
	for (unsigned i = 0; i < TWIN_SHARDS; i++) {
		struct twin_shard *shard = &twins->shards[i];
		memory_free(twins->memory, shard->slots, shard->cap * sizeof(*shard->slots));
		*shard = (struct twin_shard){0};
	}
	twins->count = 0;
}

/* The slot of this body, or the free one where it would go. */
static struct twin *shard_slot(const struct twin_shard *shard, const struct tag *tag, uint64_t lsn)
{
	uint32_t at = tag_home(shard, tag->high, tag->low);
	while (shard->slots[at].lsn != 0) {
		const struct twin *twin = &shard->slots[at];
		if (twin->lsn == lsn && twin->tag_low == tag->low && twin->tag_high == tag->high)
			break;
		at = (at + 1) & (shard->cap - 1);
	}
	return &shard->slots[at];
}

/* Without what has died, and twice as large if that was not half. */
static void shard_rebuild(struct twins *twins, struct twin_shard *shard)
{
	struct twin_shard old = *shard;
	uint32_t alive = 0;
	for (uint32_t i = 0; i < old.cap; i++) {
		if (old.slots[i].lsn != 0 && !twins->is_alive(twins->ctx, &old.slots[i]))
			old.slots[i].lsn = 0;
		alive += old.slots[i].lsn != 0;
	}
	shard->cap = old.cap == 0 ? 8 : alive > old.cap / 2 ? old.cap * 2 : old.cap;
	ASSERT(shard->cap >= old.cap);
	shard->slots = memory_zalloc(twins->memory, shard->cap * sizeof(*shard->slots));
	shard->count = alive;
	twins->count -= old.count - alive;
	for (uint32_t i = 0; i < old.cap; i++) {
		const struct twin *twin = &old.slots[i];
		const struct tag tag = {0, twin->tag_high, twin->tag_low};
		if (twin->lsn != 0)
			*shard_slot(shard, &tag, twin->lsn) = *twin;
	}
	memory_free(twins->memory, old.slots, old.cap * sizeof(*old.slots));
}

static void note(struct twins *twins, const struct tag *tag, const struct twin *noted)
{
	struct twin_shard *shard = &twins->shards[tag->shard];
	ASSERT(noted->lsn != 0);
	if (shard->count + shard->count / 3 + 1 >= shard->cap)
		shard_rebuild(twins, shard);
	struct twin *twin = shard_slot(shard, tag, noted->lsn);
	twins->count += twin->lsn == 0;
	shard->count += twin->lsn == 0;
	*twin = *noted;
	twin->tag_high = tag->high & 0xffff;
	twin->tag_low = tag->low & 0xfffffff;
}

void twins_note(struct twins *twins, const struct digest *digest, const struct twin *noted)
{
	const struct tag tag = tag_of(digest);
	note(twins, &tag, noted);
}

enum { TAG_HIGH_SHIFT = 28, TAG_SHARD_SHIFT = 44 };

void twins_note_tag(struct twins *twins, uint64_t tag, const struct twin *noted)
{
	const struct tag parts = {
	    .shard = (uint32_t)(tag >> TAG_SHARD_SHIFT) % TWIN_SHARDS,
	    .high = (uint32_t)(tag >> TAG_HIGH_SHIFT) & 0xffff,
	    .low = (uint32_t)tag & 0xfffffff,
	};
	note(twins, &parts, noted);
}

void twins_dump(const struct twins *twins, uint32_t at, uint8_t db, struct buf *out)
{
	ASSERT(at < TWIN_SHARDS);
	const struct twin_shard *shard = &twins->shards[at];
	for (uint32_t i = 0; i < shard->cap; i++) {
		const struct twin *twin = &shard->slots[i];
		uint8_t bytes[20];
		if (twin->lsn == 0 || twin->db != db)
			continue;
		store_le32(bytes, twin->docid);
		store_le64(bytes + 4, twin->lsn);
		store_le64(bytes + 12, (uint64_t)at << TAG_SHARD_SHIFT |
		    (uint64_t)twin->tag_high << TAG_HIGH_SHIFT | twin->tag_low);
		buf_append(out, span_of(bytes, sizeof(bytes)));
	}
}

const struct twin *twins_find(const struct twins *twins, const struct digest *digest)
{
	struct tag tag = tag_of(digest);
	const struct twin_shard *shard = &twins->shards[tag.shard];
	if (shard->count == 0)
		return NULL;
	uint32_t at = tag_home(shard, tag.high, tag.low);
	for (; shard->slots[at].lsn != 0; at = (at + 1) & (shard->cap - 1)) {
		const struct twin *twin = &shard->slots[at];
		if (twin->tag_low == tag.low && twin->tag_high == tag.high &&
		    twins->is_alive(twins->ctx, twin))
			return twin;
	}
	return NULL;
}
