/* engine/replica/compare.c: see compare.h. */
#include "engine/replica/compare.h"

#include "base/endian.h"
#include "engine/collection/collection_log.h"

enum { KEYS_PER_BUCKET = 32, BITS_MIN = 4 };

void compare_version_of(struct engine *engine, struct entry *entry, struct compare_version *out)
{
	uint64_t words[4] = {entry->type, entry->lsn, 0, entry_expire_ms(entry)};
	*out = (struct compare_version){.lsn = entry->lsn};
	if (entry->type == ENTRY_IMAGE) {
		struct image_ref ref;
		image_ref_of(engine, entry, &ref);
		words[1] = ref.body_lsn;
		words[2] = ref.meta_lsn;
		out->body_lsn = ref.body_lsn;
	}
	out->hash = XXH3_64bits(words, sizeof(words)) >> 1 | 1;
}

uint32_t compare_bucket(uint8_t db, struct span key, unsigned bits)
{
	ASSERT(bits > 0 && bits <= COMPARE_BITS_MAX);
	return (uint32_t)(XXH3_64bits_withSeed(key.ptr, key.len, db) >> (64 - bits));
}

void compare_find(struct engine *engine, uint8_t db, struct span key, struct compare_version *out)
{
	struct directory *directory = &engine->directories[db];
	struct entry *entry = directory_lookup(directory, key);
	*out = (struct compare_version){0};
	if (entry != NULL)
		compare_version_of(engine, entry, out);
}

unsigned compare_bits(const struct engine *engine)
{
	uint64_t keys = 0;
	unsigned bits = BITS_MIN;
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		keys += directory_count(&engine->directories[i]);
	while (bits < COMPARE_BITS_MAX && keys >> bits > KEYS_PER_BUCKET)
		bits++;
	return bits;
}

static void on_entry(void *ctx, struct entry *entry)
{
	struct compare_walk *walk = ctx;
	struct compare_version version;
	struct span key = entry_key(entry);
	uint32_t bucket = compare_bucket((uint8_t)walk->db, key, walk->bits);
	if (walk->wanted != NULL && !compare_wants(walk->wanted, bucket))
		return;
	compare_version_of(walk->engine, entry, &version);
	if (walk->sums == NULL) {
		walk->each(walk->ctx, (uint8_t)walk->db, key, &version);
		return;
	}
	walk->sums[bucket].sum += XXH3_64bits_withSeed(key.ptr, key.len, version.hash + walk->db);
	walk->sums[bucket].keys++;
}

bool compare_step(struct compare_walk *walk)
{
	struct engine *engine = walk->engine;
	uint64_t end_us = io_clock_us(engine->io) + (uint64_t)engine->settings->search_slice_us;
	ASSERT((walk->sums != NULL) != (walk->each != NULL));
	do {
		if (walk->db == DATABASE_COUNT)
			return true;
		walk->cursor =
		    directory_scan(&engine->directories[walk->db], walk->cursor, on_entry, walk);
		walk->db += walk->cursor == 0;
	} while (io_clock_us(engine->io) < end_us);
	return false;
}
