/* engine/apply.c: effects. Each record type has one function that makes memory agree with
 * it. Live commands append the record and call it; recovery calls it for every record in
 * LSN order; a follower will do the same. Nothing here appends to the log.
 */
#include "engine/internal.h"

#include "engine/index/analysis.h"
#include "engine/apply.h"
#include "engine/collection/collection_log.h"
#include "engine/flush.h"
#include "engine/index/kept_index.h"
#include "image/meta.h"

static void entry_set_lsn(struct entry *entry, uint64_t lsn)
{
	entry->lsn = lsn & LSN_MASK;
}

static void entry_stamp(struct entry *entry, const struct record *record)
{
	entry_set_lsn(entry, record->lsn);
	entry->access_s = (uint32_t)(record->time_ms / 1000);
}

/* What the record does to what the key named before. */
static struct ending ending_of(const struct record *record, enum version_state state)
{
	return (struct ending){.lsn = record->lsn, .time_ms = record->time_ms, .state = state};
}

static void entry_retire(
    struct engine *engine, uint8_t db, struct entry *entry, const struct ending *ending)
{
	if (entry->type == ENTRY_IMAGE)
		past_retire(engine, db, entry, ending);
	else if (entry_large(entry) != NULL)
		collection_retire(engine, entry_large(entry));
	else
		store_release(engine->store, entry_value(entry)->place);
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
	analysis_forget(engine, db, entry);
	ASSERT(engine->images[db] > 0);
	engine->images[db]--;
}

void engine_forget(struct engine *engine, uint8_t db, struct entry *entry, uint64_t hash,
    const struct ending *ending)
{
	engine_change(engine, db, entry_key(entry), hash);
	entry_retire(engine, db, entry, ending);
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
static void entry_install(struct engine *engine, const struct target *target,
    struct entry *entry, const struct record *record)
{
	struct directory *directory = &engine->directories[target->db];
	struct entry *old = target->entry;
	engine_change(engine, target->db, target->key, target->hash);
	if (old == NULL) {
		directory_insert(directory, entry, target->hash);
		if (UNLIKELY(engine->settings->notify_events & NOTIFY_NEW) && !engine->loading)
			notify(engine, NOTIFY_NEW, "new", target->db, target->key);
		return;
	}
	const struct ending ending = ending_of(record, VERSION_SUPERSEDED);
	entry_retire(engine, target->db, old, &ending);
	if (old->type == ENTRY_IMAGE)
		image_leave(engine, target->db, old);
	directory_replace(directory, old, entry, target->hash);
}

/* A value that was just made, or replaced. */
static void value_stamp(struct engine *engine, struct entry *entry, const struct record *record,
    uint32_t access)
{
	entry_stamp(entry, record);
	if (evict_counts_use(engine))
		entry->access_s = access;
}

static uint32_t value_access(struct engine *engine, const struct target *target)
{
	return evict_counts_use(engine) ? evict_first_use(engine, target->entry) : 0;
}

struct entry *apply_value(
    struct engine *engine, const struct target *target, const struct record *record)
{
	bool has_expiry = record->expire_ms != 0, is_large;
	struct entry *entry = target->entry;
	uint32_t access = value_access(engine, target);
	enum entry_type type;
	enum err err = value_type_of(record->meta, &type, &is_large);
	ASSERT(err == OK && !is_large);
	if (entry != NULL && entry->type == type && !has_expiry && record->body == NULL &&
	    !(entry->flags & ENTRY_HAS_EXPIRY) && entry_string_overwrite(entry, record->value)) {
		store_release(engine->store, entry_value(entry)->place);
		engine_change(engine, target->db, entry_key(entry), target->hash);
	} else {
		entry = entry_new_string(&engine->memory.values, target->key,
		    has_expiry ? ENTRY_HAS_EXPIRY : 0, record->value,
		    record->body != NULL ? body_ref(record->body) : NULL);
		entry->type = type & 15U;
		if (has_expiry)
			entry_expiry(entry)->at_ms = (uint64_t)record->expire_ms;
		entry_install(engine, target, entry, record);
	}
	entry_value(entry)->place = record->place;
	value_stamp(engine, entry, record, access);
	return entry;
}

struct entry *apply_collection(struct engine *engine, const struct target *target,
    const struct record *record, struct collection *collection)
{
	bool has_expiry = record->expire_ms != 0;
	uint32_t access = value_access(engine, target);
	struct entry *entry = entry_new_object(&engine->memory.values, target->key,
	    has_expiry ? ENTRY_HAS_EXPIRY : 0, collection);
	entry->type = collection->value.type & 15U;
	if (has_expiry)
		entry_expiry(entry)->at_ms = (uint64_t)record->expire_ms;
	entry_install(engine, target, entry, record);
	value_stamp(engine, entry, record, access);
	return entry;
}

void apply_change(
    struct engine *engine, const struct target *target, const struct record *record)
{
	ASSERT(entry_large(target->entry) != NULL);
	entry_set_lsn(target->entry, record->lsn);
	engine_change(engine, target->db, target->key, target->hash);
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
	if (kept_index_is_loading(engine)) {
		entry_image(entry)->docid = DOCID_NONE;
		engine->unindexed[db]++;
		return OK;
	}
	err = engine_index_add(engine, db, entry, &meta);
	if (err != OK)
		return err;
	dedupe_note(engine, db, entry, &meta.etag);
	return OK;
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
	image->body_lsn = record->lsn & LSN_MASK;
	entry_stamp(entry, record);
	enum err err = image_enter(engine, target->db, entry, record->meta);
	if (err != OK) {
		entry_free(&engine->memory.values, entry);
		return err;
	}
	entry_set_since(entry, record->time_ms);
	flushed_settle(engine, target->db, target->key);
	engine->images[target->db]++;
	entry_install(engine, target, entry, record);
	return OK;
}

/* The metadata record of a version takes the place of the one before it; the version is the same,
 * and so is its document. */
static enum err apply_quiet_meta(
    struct engine *engine, const struct target *target, const struct record *record)
{
	struct entry *entry = target->entry;
	struct image_meta meta;
	enum err err = image_meta_decode(record->meta, &meta);
	if (err != OK)
		return err;
	if (entry_meta(entry) != NULL)
		store_release(engine->store, entry_meta(entry)->place);
	entry->flags |= ENTRY_QUIET_META;
	entry = directory_add_meta(&engine->directories[target->db], entry, target->hash);
	engine_entry_moved(engine, target->db, entry);
	entry_meta(entry)->place = record->place;
	entry_meta(entry)->lsn = record->lsn & LSN_MASK;
	entry_set_lsn(entry, record->lsn);
	engine_change(engine, target->db, entry_key(entry), target->hash);
	analysis_note(engine, target->db, entry, &meta);
	return OK;
}

static uint64_t meta_lsn_of(struct entry *entry)
{
	return entry_meta(entry) != NULL ? entry_meta(entry)->lsn : entry_image(entry)->body_lsn;
}

/* Is it a quiet one, and the version one whose metadata its body's record has? */
static bool meta_is_quiet(struct entry *entry, const struct record *record)
{
	bool plain = entry_meta(entry) == NULL || (entry->flags & ENTRY_QUIET_META) != 0;
	return plain && !(entry->flags & ENTRY_SHARED) &&
	    image_meta_quiet_lsn(record->meta) == entry_image(entry)->body_lsn;
}

/* A quiet record that begins a version, as it cannot be helped, of an image that has a document:
 * that one stays, as it says the same but for the pixels. */
static bool document_stays(struct entry *entry, const struct record *record)
{
	uint64_t lsn = image_meta_quiet_lsn(record->meta);
	return lsn != 0 && entry != NULL && entry->type == ENTRY_IMAGE &&
	    entry_image(entry)->docid != DOCID_NONE &&
	    entry_image(entry)->body_lsn == (record->refers & LSN_MASK) &&
	    lsn == meta_lsn_of(entry);
}

/* `to`, which may be another entry for the same image, takes over the document of `from`. */
static enum err document_keep(struct engine *engine, uint8_t db, struct entry *from,
    struct entry *to, struct span encoded)
{
	struct image_meta meta;
	enum err err = image_meta_decode(encoded, &meta);
	if (err != OK)
		return err;
	if (from != to) {
		entry_image(to)->docid = entry_image(from)->docid;
		entry_image(to)->created_s = (uint32_t)(meta.created_ms / 1000);
		entry_image(from)->docid = DOCID_NONE;
		engine->unindexed[db]++;  /* until it leaves */
		index_set_owner(engine->indexes[db], entry_image(to)->docid, to);
	}
	analysis_note(engine, db, to, &meta);
	return OK;
}

enum err apply_meta(struct engine *engine, const struct target *target, const struct record *record)
{
	struct entry *entry = target->entry;
	if (entry == NULL || entry->type != ENTRY_IMAGE ||
	    entry_image(entry)->body_lsn != record->refers)
		return ERR_NOTFOUND; /* it describes an image that this key no longer names */
	if (meta_is_quiet(entry, record))
		return apply_quiet_meta(engine, target, record);
	uint32_t old_docid = entry_image(entry)->docid;
	bool stays = document_stays(entry, record);
	enum err err = stays ? document_keep(engine, target->db, entry, entry, record->meta)
	                     : image_enter(engine, target->db, entry, record->meta);
	if (err != OK)
		return err;
	if (!stays)
		document_leave(engine, target->db, old_docid);
	engine_change(engine, target->db, entry_key(entry), target->hash);
	const struct ending ending = ending_of(record, VERSION_SUPERSEDED);
	past_retire_meta(engine, target->db, entry, &ending);
	entry->flags &= ~(uint64_t)ENTRY_QUIET_META & 0xfff;
	entry = directory_add_meta(&engine->directories[target->db], entry, target->hash);
	engine_entry_moved(engine, target->db, entry);
	struct entry_meta *meta = entry_meta(entry);
	meta->place = record->place;
	meta->lsn = record->lsn & LSN_MASK;
	entry_set_since(entry, record->time_ms);
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
	engine_change(engine, target->db, entry_key(entry), target->hash);
	entry_set_lsn(entry, record->lsn);
	return entry;
}

enum err apply_link(struct engine *engine, const struct target *target, const struct record *record,
    struct place body)
{
	unsigned flags = ENTRY_HAS_META | (record->expire_ms != 0 ? ENTRY_HAS_EXPIRY : 0U);
	struct entry *entry = entry_new_image(&engine->memory.values, target->key, flags);
	struct entry_image *image = entry_image(entry);
	entry->flags |= ENTRY_SHARED;
	image->body = (struct place){.bytes = body.bytes};
	image->body_lsn = record->refers & LSN_MASK;
	*entry_meta(entry) = (struct entry_meta){.place = record->place};
	entry_meta(entry)->lsn = record->lsn & LSN_MASK;
	entry_set_since(entry, record->time_ms);
	if (record->expire_ms != 0)
		entry_expiry(entry)->at_ms = (uint64_t)record->expire_ms;
	entry_stamp(entry, record);
	enum err err = document_stays(target->entry, record)
	    ? document_keep(engine, target->db, target->entry, entry, record->meta)
	    : image_enter(engine, target->db, entry, record->meta);
	if (err != OK) {
		entry_free(&engine->memory.values, entry);
		return err;
	}
	flushed_settle(engine, target->db, target->key);
	engine->images[target->db]++;
	if (engine->loading)
		past_share_recovered(engine, record->refers, body);
	else
		past_share(engine, record->refers, body);
	entry_install(engine, target, entry, record);
	return OK;
}

static void flush_one(struct engine *engine, uint8_t db, const struct record *record)
{
	const struct ending ending = ending_of(record, VERSION_DELETED);
	watch_flushed(engine, db);
	if (engine->indexes[db] != NULL) {
		searches_cancel_db(engine, db);
		engine_index_drop(engine, db);
	}
	analysis_forget_db(engine, db);
	flushed_take(engine, db, &ending);
	engine->images[db] = engine->unindexed[db] = engine->unsearchable[db] = 0;
	memset(engine->marks[db], 3, sizeof(engine->marks[db]));
}

void apply_flush(struct engine *engine, const struct record *record)
{
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		if (record->db == RECORD_ALL_DBS || record->db == i)
			flush_one(engine, (uint8_t)i, record);
	if (engine->tracking != NULL)
		tracking_flushed(engine);
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

static void flush_older(struct engine *engine, uint8_t db, const struct record *record)
{
	const struct ending ending = ending_of(record, VERSION_DELETED);
	struct directory *directory = &engine->directories[db];
	size_t bytes = (size_t)directory_count(directory) * sizeof(struct entry *);
	struct older_walk walk = {.lsn = record->lsn};
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
		uint64_t hash = directory_hash(directory, entry_key(entry));
		engine->awaited -= (entry->flags & ENTRY_AWAITED) != 0;
		engine_forget(engine, db, entry, hash, &ending);
	}
	memory_free(&engine->memory.engine, walk.entries, bytes);
}

void apply_flush_before(struct engine *engine, const struct record *record)
{
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		if (record->db == RECORD_ALL_DBS || record->db == i)
			flush_older(engine, (uint8_t)i, record);
}
