/* engine/evict.c: see evict.h. */
#include "engine/evict.h"

#include "engine/flush.h"
#include "engine/internal.h"
#include "engine/replica/replica.h"

enum {
	EVICT_PER_CALL = 128,
	LFU_INITIAL = 5,
	MINUTES = 0xffff,
};

static uint32_t now_s(const struct engine *engine)
{
	return (uint32_t)(io_wall_ms(engine->io) / 1000);
}

/* ---- Frequency (the counter of Morris, "Counting large numbers of events in small registers",
 * 1978, as Redis parametrises it) ---- */

static uint32_t lfu_minutes(const struct engine *engine)
{
	return now_s(engine) / 60 & MINUTES;
}

uint32_t evict_frequency(const struct engine *engine, const struct entry *entry)
{
	uint32_t then = entry->access_s >> 8 & MINUTES, count = entry->access_s & 255;
	uint32_t passed = (lfu_minutes(engine) - then) & MINUTES;
	int64_t each = engine->settings->lfu_decay_time;
	uint32_t decay = each > 0 ? (uint32_t)(passed / each) : 0;
	return decay > count ? 0 : count - decay;
}

uint32_t evict_first_use(struct engine *engine, const struct entry *old)
{
	ASSERT(evict_counts_use(engine));
	if (old != NULL && old->type != ENTRY_IMAGE)
		return old->access_s;
	return lfu_minutes(engine) << 8 | LFU_INITIAL;
}

void evict_note_use(struct engine *engine, struct entry *entry)
{
	ASSERT(entry->type != ENTRY_IMAGE);
	uint32_t count = evict_frequency(engine, entry);
	uint64_t above = count > LFU_INITIAL ? count - LFU_INITIAL : 0;
	uint64_t odds = above * (uint64_t)engine->settings->lfu_log_factor + 1;
	if (count < 255 && random_below(&engine->random, odds) == 0)
		count++;
	entry->access_s = lfu_minutes(engine) << 8 | count;
}

/* ---- Victims ---- */

struct victim {
	struct entry *entry;
	uint8_t       db;
	uint64_t      score;              /* the highest goes */
};

static bool policy_is_volatile(int64_t policy)
{
	return policy >= EVICT_VOLATILE_LRU;
}

static uint64_t candidates(const struct engine *engine, unsigned db)
{
	const struct directory *directory = &engine->directories[db];
	return policy_is_volatile(engine->settings->maxmemory_policy)
	    ? directory->expiry.count
	    : directory_count(directory);
}

static uint64_t score_of(const struct engine *engine, const struct entry *entry)
{
	switch (engine->settings->maxmemory_policy) {
	case EVICT_ALL_LFU:
	case EVICT_VOLATILE_LFU:
		return 256 - evict_frequency(engine, entry);
	case EVICT_VOLATILE_TTL:
		return UINT64_MAX - entry_expire_ms(entry);
	case EVICT_ALL_RANDOM:
	case EVICT_VOLATILE_RANDOM:
		return 1;
	default:
		return (uint64_t)(uint32_t)(now_s(engine) - entry->access_s) + 1;
	}
}

/* One key of all databases, each as likely as any other. */
static struct entry *sample(struct engine *engine, uint64_t total, uint8_t *db)
{
	uint64_t at = random_below(&engine->random, total);
	for (unsigned i = 0; i < DATABASE_COUNT; i++) {
		uint64_t count = candidates(engine, i);
		if (at >= count) {
			at -= count;
			continue;
		}
		*db = (uint8_t)i;
		const struct directory *directory = &engine->directories[i];
		return policy_is_volatile(engine->settings->maxmemory_policy)
		    ? directory_expiring(directory, (uint32_t)at)
		    : directory_random(directory, &engine->random);
	}
	return NULL;
}

static bool find_victim(struct engine *engine, struct victim *victim)
{
	enum { TRIES = 20 };
	uint64_t total = 0;
	int64_t left = engine->settings->maxmemory_samples;
	*victim = (struct victim){0};
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		total += candidates(engine, i);
	for (int64_t tries = left * TRIES; total > 0 && left > 0 && tries > 0; tries--) {
		uint8_t db = 0;
		struct entry *entry = sample(engine, total, &db);
		if (entry == NULL || entry->type == ENTRY_IMAGE)
			continue;
		left--;
		uint64_t score = score_of(engine, entry);
		if (score > victim->score)
			*victim = (struct victim){entry, db, score};
	}
	return victim->entry != NULL;
}

/* What it was worth; 0: the log does not take the tombstone now. */
static uint64_t evict(struct engine *engine, const struct victim *victim)
{
	struct directory *directory = &engine->directories[victim->db];
	uint64_t lsn, hash = directory_hash(directory, entry_key(victim->entry));
	bool told = (engine->settings->notify_events & NOTIFY_EVICTED) != 0;
	struct buf key;
	buf_init(&key, &engine->memory.engine);
	if (told)
		buf_append(&key, entry_key(victim->entry));
	uint64_t bytes = engine_entry_bytes(victim->entry);
	bool is_body = entry_body(victim->entry) != NULL;
	bool done = engine_delete_by_itself(engine, victim->db, victim->entry, hash, &lsn) == OK;
	if (done) {
		engine->counters.evicted_keys++;
		if (is_body) {                /* the log may still hold it, to write it */
			engine->evicting.bytes += bytes;
			engine->evicting.lsn = lsn;
		}
		if (told)
			notify(engine, NOTIFY_EVICTED, "evicted", victim->db, buf_span(&key));
	}
	buf_fini(&key);
	return done ? bytes : 0;
}

bool engine_make_room(struct engine *engine)
{
	uint64_t limit = engine->settings->maxmemory;
	/* What the log has yet to write comes and goes, as Redis's AOF buffer does. */
	uint64_t used = limit == 0 ? 0 : engine_used_memory(engine) - engine->memory.store.bytes;
	if (used <= limit)
		return true;
	if (flushed_is_due(engine)) {         /* what was flushed goes first */
		(void)flushed_step(engine);
		return true;
	}
	if (store_durable_lsn(engine->store) >= engine->evicting.lsn)
		engine->evicting.bytes = 0;
	uint64_t over = used - limit;
	uint64_t freed = body_cache_shrink(engine->hot, over);
	if (freed < over)
		freed += image_service_shrink(engine, over - freed);
	if (engine->settings->maxmemory_policy == EVICT_NOTHING || engine->loading ||
	    engine->settings->readonly || engine->pause.is_on || engine_follows(engine))
		return freed >= over;
	uint64_t done = 0;
	freed += engine->evicting.bytes;
	while (freed < over && done < EVICT_PER_CALL) {
		struct victim victim;
		if (!find_victim(engine, &victim))
			return false;
		uint64_t bytes = evict(engine, &victim);
		if (bytes == 0)
			return done > 0;
		freed += bytes;
		done++;
	}
	return true;
}
