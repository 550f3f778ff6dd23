/* engine/scrub.c: every record that somebody needs, one after the other. See verify.h.
 *
 * A round walks through the directories by cursor, then through the shards of held.h. Keys of
 * one cursor position are queued; each is looked up again when its turn comes. What changes
 * meanwhile was just written, and may be missed.
 */
#include "engine/collection/collection_log.h"
#include "engine/replica/repair.h"
#include "engine/replica/replica.h"
#include "engine/verify.h"

#include "store/record.h"

struct scrub_key {
	struct list link;
	uint8_t     db;
	uint32_t    len;
	uint8_t     key[];
};

enum scrub_part { PART_BODY, PART_META };

struct scrub {
	struct engine      *engine;
	struct list         keys;         /* struct scrub_key */
	struct record_check check;
	bool                running, checking, is_value;
	uint32_t            part;         /* what is checked of the first key */
	unsigned            db;           /* DATABASE_COUNT: held records */
	uint64_t            cursor;
	uint32_t            shard, slot;
	uint64_t            next_us;      /* not before */
	int64_t             begun_ms;     /* the round under way, or the last */
	uint64_t            rounds, records, bytes, corrupt, repaired;
};

void scrub_new(struct engine *engine)
{
	struct scrub *scrub = memory_zalloc(&engine->memory.engine, sizeof(*scrub));
	scrub->engine = engine;
	scrub->begun_ms = (int64_t)engine_now_ms(engine);
	list_init(&scrub->keys);
	engine->scrub = scrub;
}

static void scrub_drop_key(struct scrub *scrub)
{
	struct scrub_key *key = LIST_OF(scrub->keys.next, struct scrub_key, link);
	list_remove(&key->link);
	memory_free(&scrub->engine->memory.engine, key, sizeof(*key) + key->len);
	scrub->part = PART_BODY;
}

void scrub_free(struct engine *engine)
{
	struct scrub *scrub = engine->scrub;
	if (scrub == NULL)
		return;
	while (!list_is_empty(&scrub->keys))
		scrub_drop_key(scrub);
	memory_free(&engine->memory.engine, scrub, sizeof(*scrub));
	engine->scrub = NULL;
}

bool scrub_begin(struct engine *engine)
{
	struct scrub *scrub = engine->scrub;
	if (scrub->running)
		return false;
	scrub->running = true;
	scrub->db = 0;
	scrub->cursor = 0;
	scrub->shard = scrub->slot = 0;
	scrub->begun_ms = (int64_t)engine_now_ms(engine);
	log_notice(engine->log, "scrub: a round begins");
	return true;
}

static void scrub_end(struct scrub *scrub)
{
	scrub->running = false;
	scrub->rounds++;
	log_notice(scrub->engine->log, "scrub: the round is over; %llu records were corrupt so far",
	    (unsigned long long)scrub->corrupt);
}

/* ---- What was found ---- */

/* A value is in memory: it is written again. */
static bool repair_value(struct scrub *scrub)
{
	struct engine *engine = scrub->engine;
	const struct scrub_key *key = LIST_OF(scrub->keys.next, struct scrub_key, link);
	struct directory *directory = &engine->directories[key->db];
	struct span name = span_of(key->key, key->len);
	struct entry *entry = directory_lookup(directory, name);
	if (entry == NULL || entry->type == ENTRY_IMAGE)
		return false;
	return engine_rewrite_value(engine, key->db, entry) == OK;
}

static void scrub_checked(struct record_check *check, enum err err)
{
	struct scrub *scrub = check->ctx;
	struct engine *engine = scrub->engine;
	uint64_t bytes = check->read.place.bytes;
	uint64_t pace = engine->settings->scrub_bytes_per_second;
	scrub->checking = false;
	scrub->records++;
	scrub->bytes += bytes;
	scrub->next_us = io_now_us(engine->io) + (pace == 0 ? 0 : bytes * 1000000 / pace);
	if (err != ERR_CORRUPT)
		return;
	scrub->corrupt++;
	bool repaired = scrub->is_value && !engine_follows(engine) && repair_value(scrub);
	if (!scrub->is_value && !list_is_empty(&scrub->keys)) {
		const struct scrub_key *key = LIST_OF(scrub->keys.next, struct scrub_key, link);
		repair_note_key(engine, key->db, span_of(key->key, key->len), check->read.place,
		    check->read.lsn);
	}
	scrub->repaired += repaired;
	log_warning(engine->log, "scrub: record %llu in segment %u at %llu is corrupt%s",
	    (unsigned long long)check->read.lsn, check->read.place.segment,
	    (unsigned long long)check->read.place.offset * RECORD_ALIGN,
	    repaired ? ", and was written again from memory" : "");
}

static void scrub_check(struct scrub *scrub, struct place place, uint64_t lsn, bool is_value)
{
	scrub->checking = true;
	scrub->is_value = is_value;
	scrub->check.done = scrub_checked;
	scrub->check.ctx = scrub;
	record_check_start(scrub->engine, &scrub->check, place, lsn);
}

/* ---- Walking ---- */

struct scrub_walk {
	struct scrub *scrub;
	uint8_t       db;
};

static void scrub_collect(void *ctx, struct entry *entry)
{
	struct scrub_walk *walk = ctx;
	struct scrub *scrub = walk->scrub;
	struct span key = entry_key(entry);
	struct scrub_key *copy =
	    memory_alloc(&scrub->engine->memory.engine, sizeof(*copy) + key.len);
	copy->db = walk->db;
	copy->len = (uint32_t)key.len;
	if (key.len > 0)
		memcpy(copy->key, key.ptr, key.len);
	list_append(&scrub->keys, &copy->link);
}

/* The next record of the first key, which stays first until all are checked. */
static void scrub_key_step(struct scrub *scrub)
{
	struct engine *engine = scrub->engine;
	const struct scrub_key *key = LIST_OF(scrub->keys.next, struct scrub_key, link);
	struct directory *directory = &engine->directories[key->db];
	struct span name = span_of(key->key, key->len);
	struct entry *entry = directory_lookup(directory, name);
	struct collection *collection = entry == NULL ? NULL : entry_large(entry);
	uint32_t parts = collection != NULL ? collection->count : PART_META + 1;
	if (entry == NULL || scrub->part >= parts) {
		scrub_drop_key(scrub);
		return;
	}
	uint32_t part = scrub->part++;
	if (collection != NULL) {
		const struct collection_record *record = &collection->records[part];
		scrub_check(scrub, record->place, collection_record_lsn(record), true);
		return;
	}
	if (entry->type != ENTRY_IMAGE) {
		scrub->part = PART_META + 1;
		if (part == PART_BODY)
			/* An EXPIRE since then has its own LSN: that of the value is not known. */
			scrub_check(scrub, entry_value(entry)->place, 0, true);
		return;
	}
	const struct entry_meta *meta = entry_meta(entry);
	if (part == PART_BODY && !(entry->flags & ENTRY_SHARED))
		scrub_check(
		    scrub, entry_image(entry)->body, entry_image(entry)->body_lsn, false);
	else if (part == PART_META && meta != NULL)
		scrub_check(scrub, meta->place, meta->lsn, false);
}

/* The next line of held.h. False: there is none. */
static bool scrub_held_step(struct scrub *scrub)
{
	const struct held_table *table = past_held_table(scrub->engine);
	while (scrub->shard < HELD_SHARDS) {
		const struct held_shard *shard = &table->shards[scrub->shard];
		if (scrub->slot >= shard->cap) {
			scrub->shard++;
			scrub->slot = 0;
			continue;
		}
		const struct held *held = &shard->slots[scrub->slot++];
		if (held->lsn == 0 || !held->owned)
			continue;
		scrub_check(scrub, held->place, held->lsn, false);
		return true;
	}
	return false;
}

static void scrub_walk_step(struct scrub *scrub)
{
	struct engine *engine = scrub->engine;
	struct scrub_walk walk = {.scrub = scrub, .db = (uint8_t)scrub->db};
	if (!list_is_empty(&scrub->keys)) {
		scrub_key_step(scrub);
		return;
	}
	if (scrub->db == DATABASE_COUNT) {
		if (!scrub_held_step(scrub))
			scrub_end(scrub);
		return;
	}
	struct directory *directory = &engine->directories[scrub->db];
	scrub->cursor = directory_scan(directory, scrub->cursor, scrub_collect, &walk);
	scrub->db += scrub->cursor == 0;
}

bool scrub_step(struct engine *engine)
{
	enum { STEPS = 64 };
	struct scrub *scrub = engine->scrub;
	const struct settings *settings = engine->settings;
	int64_t due_ms = scrub->begun_ms + settings->scrub_interval_s * 1000;
	if (!scrub->running && settings->scrub_bytes_per_second > 0 &&
	    settings->scrub_interval_s > 0 && (int64_t)engine_now_ms(engine) >= due_ms)
		(void)scrub_begin(engine);
	for (int i = 0; i < STEPS && scrub->running && !scrub->checking; i++) {
		if (io_now_us(engine->io) < scrub->next_us)
			return false;
		scrub_walk_step(scrub);
	}
	return scrub->running && !scrub->checking;
}

void scrub_info(const struct engine *engine, struct buf *out)
{
	const struct scrub *scrub = engine->scrub;
	buf_printf(out,
	    "scrub_running:%d\r\nscrub_rounds:%llu\r\nscrub_records:%llu\r\nscrub_bytes:%llu\r\n"
	    "scrub_corrupt:%llu\r\nscrub_repaired:%llu\r\nscrub_begun_ms:%lld\r\n",
	    scrub->running, (unsigned long long)scrub->rounds, (unsigned long long)scrub->records,
	    (unsigned long long)scrub->bytes, (unsigned long long)scrub->corrupt,
	    (unsigned long long)scrub->repaired, (long long)scrub->begun_ms);
}
