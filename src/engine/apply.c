/* engine/apply.c: effects. Each record type has one function that makes memory agree with
 * it. Live commands append the record and call it; recovery calls it for every record in
 * LSN order; a follower will do the same. Nothing here appends to the log.
 */
#include "engine/internal.h"

#include "engine/apply.h"
#include "image/meta.h"

static void entry_set_lsn(struct entry *entry, uint64_t lsn)
{
	entry->lsn = lsn & ((UINT64_C(1) << 48) - 1);
}

static void entry_stamp(struct entry *entry, const struct record *record)
{
	entry_set_lsn(entry, record->lsn);
	entry->access_s = (uint32_t)(record->time_ms / 1000);
}

void entry_release_records(struct engine *engine, uint8_t db, struct entry *entry)
{
	if (entry->type == ENTRY_STRING) {
		store_release(engine->store, entry_value(entry)->place);
		return;
	}
	struct entry_meta *meta = entry_meta(entry);
	share_drop(engine, db, entry);
	store_release(engine->store, entry_image(entry)->body);
	if (meta != NULL)
		store_release(engine->store, meta->place);
}

static void document_leave(struct engine *engine, uint8_t db, uint32_t docid)
{
	if (docid != DOCID_NONE) {
		index_remove(engine->indexes[db], docid);
		return;
	}
	ASSERT(engine->unindexed[db] > 0);
	engine->unindexed[db]--;
}

static void image_leave(struct engine *engine, uint8_t db, struct entry *entry)
{
	struct entry_image *image = entry_image(entry);
	document_leave(engine, db, image->docid);
	ASSERT(engine->images[db] > 0);
	engine->images[db]--;
}

void engine_forget(struct engine *engine, uint8_t db, struct entry *entry, uint64_t hash)
{
	engine_touch(engine, db, hash);
	entry_release_records(engine, db, entry);
	if (entry->type == ENTRY_IMAGE)
		image_leave(engine, db, entry);
	directory_remove(&engine->directories[db], entry, hash);
}

void engine_entry_moved(struct engine *engine, uint8_t db, struct entry *entry)
{
	if (entry->type == ENTRY_IMAGE && entry_image(entry)->docid != DOCID_NONE)
		index_set_owner(engine->indexes[db], entry_image(entry)->docid, entry);
}

/* Puts `entry` in the place of what the key named before. */
static void entry_install(struct engine *engine, const struct target *target, struct entry *entry)
{
	struct directory *directory = &engine->directories[target->db];
	struct entry *old = target->entry;
	engine_touch(engine, target->db, target->hash);
	if (old == NULL) {
		directory_insert(directory, entry, target->hash);
		return;
	}
	entry_release_records(engine, target->db, old);
	if (old->type == ENTRY_IMAGE)
		image_leave(engine, target->db, old);
	directory_replace(directory, old, entry, target->hash);
}

struct entry *apply_string(
    struct engine *engine, const struct target *target, const struct record *record)
{
	bool has_expiry = record->expire_ms != 0;
	struct entry *entry = target->entry;
	if (entry != NULL && entry->type == ENTRY_STRING && !has_expiry && record->body == NULL &&
	    !(entry->flags & ENTRY_HAS_EXPIRY) && entry_string_overwrite(entry, record->value)) {
		store_release(engine->store, entry_value(entry)->place);
		engine_touch(engine, target->db, target->hash);
	} else {
		entry = entry_new_string(&engine->memory.values, target->key,
		    has_expiry ? ENTRY_HAS_EXPIRY : 0, record->value,
		    record->body != NULL ? body_ref(record->body) : NULL);
		if (has_expiry)
			entry_expiry(entry)->at_ms = (uint64_t)record->expire_ms;
		entry_install(engine, target, entry);
	}
	entry_value(entry)->place = record->place;
	entry_stamp(entry, record);
	return entry;
}

/* Adds the image's document to the index; the entry's docid names it. */
static enum err image_enter(
    struct engine *engine, uint8_t db, struct entry *entry, struct span encoded)
{
	struct image_meta meta;
	enum err err = image_meta_decode(encoded, &meta);
	if (err != OK)
		return err;
	entry_image(entry)->created_s = (uint32_t)(meta.created_ms / 1000);
	return engine_index_add(engine, db, entry, &meta);
}

enum err apply_image(
    struct engine *engine, const struct target *target, const struct record *record)
{
	bool has_expiry = record->expire_ms != 0;
	struct entry *entry = entry_new_image(&engine->memory.values, target->key,
	    has_expiry ? ENTRY_HAS_EXPIRY : 0);
	struct entry_image *image = entry_image(entry);
	if (has_expiry)
		entry_expiry(entry)->at_ms = (uint64_t)record->expire_ms;
	image->body = record->place;
	image->body_lsn = record->lsn;
	entry_stamp(entry, record);
	enum err err = image_enter(engine, target->db, entry, record->meta);
	if (err != OK) {
		entry_free(&engine->memory.values, entry);
		return err;
	}
	engine->images[target->db]++;
	entry_install(engine, target, entry);
	return OK;
}

enum err apply_meta(struct engine *engine, const struct target *target, const struct record *record)
{
	struct entry *entry = target->entry;
	if (entry == NULL || entry->type != ENTRY_IMAGE ||
	    entry_image(entry)->body_lsn != record->refers)
		return ERR_NOTFOUND; /* it describes an image that this key no longer names */
	uint32_t old_docid = entry_image(entry)->docid;
	enum err err = image_enter(engine, target->db, entry, record->meta);
	if (err != OK)
		return err;
	document_leave(engine, target->db, old_docid);
	engine_touch(engine, target->db, target->hash);
	struct entry_meta *meta = entry_meta(entry);
	if (meta != NULL)
		store_release(engine->store, meta->place);
	entry = directory_add_meta(&engine->directories[target->db], entry, target->hash);
	engine_entry_moved(engine, target->db, entry);
	meta = entry_meta(entry);
	meta->place = record->place;
	meta->lsn = record->lsn;
	entry_set_lsn(entry, record->lsn);
	return OK;
}

struct entry *apply_expire(
    struct engine *engine, const struct target *target, const struct record *record)
{
	struct entry *entry = target->entry;
	ASSERT(entry != NULL);
	entry = directory_expire(&engine->directories[target->db], entry, target->hash,
	    (uint64_t)record->expire_ms);
	engine_entry_moved(engine, target->db, entry);
	engine_touch(engine, target->db, target->hash);
	entry_set_lsn(entry, record->lsn);
	return entry;
}

enum err apply_link(struct engine *engine, const struct target *target, const struct record *record,
    struct place body)
{
	unsigned flags = ENTRY_HAS_META | (record->expire_ms != 0 ? ENTRY_HAS_EXPIRY : 0U);
	struct entry *entry = entry_new_image(&engine->memory.values, target->key, flags);
	struct entry_image *image = entry_image(entry);
	image->body = body;
	image->body_lsn = record->refers;
	*entry_meta(entry) = (struct entry_meta){.place = record->place, .lsn = record->lsn};
	if (record->expire_ms != 0)
		entry_expiry(entry)->at_ms = (uint64_t)record->expire_ms;
	entry_stamp(entry, record);
	enum err err = image_enter(engine, target->db, entry, record->meta);
	if (err != OK) {
		entry_free(&engine->memory.values, entry);
		return err;
	}
	engine->images[target->db]++;
	store_retain(engine->store, body);
	entry_install(engine, target, entry);
	share_add(engine, target->db, entry, record->place);
	return OK;
}

struct flush_walk {
	struct engine *engine;
	uint8_t        db;
};

static void flush_release(void *ctx, struct entry *entry)
{
	struct flush_walk *walk = ctx;
	entry_release_records(walk->engine, walk->db, entry);
}

static void flush_one(struct engine *engine, uint8_t db)
{
	struct directory *directory = &engine->directories[db];
	struct flush_walk walk = {.engine = engine, .db = db};
	uint64_t cursor = 0;
	directory_step(directory, 0xffffffff);
	do
		cursor = directory_scan(directory, cursor, flush_release, &walk);
	while (cursor != 0);
	if (engine->indexes[db] != NULL) {
		searches_cancel_db(engine, db);
		index_free(engine->indexes[db]);
		engine->indexes[db] = NULL;
	}
	engine->images[db] = engine->unindexed[db] = engine->unsearchable[db] = 0;
	memset(engine->marks[db], 3, sizeof(engine->marks[db]));
	directory_fini(directory);
}

void apply_flush(struct engine *engine, uint8_t db)
{
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		if (db == RECORD_ALL_DBS || db == i)
			flush_one(engine, (uint8_t)i);
}

struct older_walk {
	struct entry **entries;
	uint64_t       lsn;
	size_t         count;
};

static void older_each(void *ctx, struct entry *entry)
{
	struct older_walk *walk = ctx;
	if (entry->lsn < walk->lsn)
		walk->entries[walk->count++] = entry;
}

static void flush_older(struct engine *engine, uint8_t db, uint64_t lsn)
{
	struct directory *directory = &engine->directories[db];
	size_t bytes = (size_t)directory_count(directory) * sizeof(struct entry *);
	struct older_walk walk = {.lsn = lsn};
	uint64_t cursor = 0;
	if (bytes == 0)
		return;
	walk.entries = memory_alloc(&engine->memory.engine, bytes);
	directory_step(directory, 0xffffffff);
	do
		cursor = directory_scan(directory, cursor, older_each, &walk);
	while (cursor != 0);
	for (size_t i = 0; i < walk.count; i++) {
		struct entry *entry = walk.entries[i];
		engine->awaited -= (entry->flags & ENTRY_AWAITED) != 0;
		engine_forget(engine, db, entry, directory_hash(directory, entry_key(entry)));
	}
	memory_free(&engine->memory.engine, walk.entries, bytes);
}

void apply_flush_before(struct engine *engine, uint8_t db, uint64_t lsn)
{
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		if (db == RECORD_ALL_DBS || db == i)
			flush_older(engine, (uint8_t)i, lsn);
}
