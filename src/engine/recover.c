/* engine/recover.c: the log's records become memory again, and follow a record that moves. */
#include "base/arith.h"
#include "engine/apply.h"
#include "engine/collection/collection_log.h"
#include "engine/databases.h"
#include "engine/flush.h"
#include "engine/index/fields.h"
#include "engine/past/past_load.h"
#include "engine/users.h"
#include "engine/replica/repair.h"
#include "engine/replica/replica.h"

static struct target recover_target(struct engine *engine, const struct record *record)
{
	struct directory *directory = &engine->directories[record->db];
	struct target target = {
	    .db = record->db,
	    .key = record->key,
	    .hash = directory_hash(directory, record->key),
	};
	target.entry = directory_find(directory, record->key, target.hash);
	return target;
}

/* Of a LINK: its body is shared already, or known by its digest. */
static bool body_is_known(struct engine *engine, const struct record *record, struct place *place)
{
	struct image_meta meta;
	if (past_held_place(engine, record->refers, place))
		return true;
	return image_meta_decode(record->meta, &meta) == OK &&
	    dedupe_find(engine, &meta.etag, record->refers & LSN_MASK, place);
}

static bool entry_has_body(struct entry *entry, uint64_t lsn)
{
	return entry != NULL && entry->type == ENTRY_IMAGE && !(entry->flags & ENTRY_SHARED) &&
	    entry_image(entry)->body_lsn == lsn;
}

static void body_search_each(void *ctx, struct entry *entry)
{
	struct body_search *search = ctx;
	if (search->found || !entry_has_body(entry, search->lsn))
		return;
	search->found = true;
	search->found_db = search->db;
	buf_clear(&search->key);
	buf_append(&search->key, entry_key(entry));
}

/* On a follower. Too small to be known by its digest, or not to be found twice: one of all keys has it. */
bool engine_find_body(struct engine *engine, const struct record *record)
{
	struct body_search *search = &engine->replication->search;
	uint64_t lsn = record->refers & LSN_MASK;
	struct place place;
	if (record->type != RECORD_LINK || body_is_known(engine, record, &place))
		return true;
	if (search->lsn != lsn) {
		search->lsn = lsn;
		search->db = 0;
		search->cursor = 0;
		search->found = false;
	}
	uint64_t end_us = io_clock_us(engine->io) + (uint64_t)engine->settings->search_slice_us;
	while (!search->found && search->db < DATABASE_COUNT) {
		if (io_clock_us(engine->io) >= end_us)
			return false;
		search->cursor = directory_scan(
		    &engine->directories[search->db], search->cursor, body_search_each, search);
		search->db += search->cursor == 0;
	}
	return true;
}

static enum err body_place(struct engine *engine, const struct record *record, struct place *place)
{
	struct body_search *search = &engine->replication->search;
	uint64_t lsn = record->refers & LSN_MASK;
	if (body_is_known(engine, record, place))
		return OK;
	/* Not there yet when it was looked for: it may have come since, in the same group. */
	search->lsn = search->found ? search->lsn : lsn;
	search->db = search->found ? search->db : 0;
	for (search->cursor = 0; !search->found && search->db < DATABASE_COUNT;) {
		search->cursor = directory_scan(
		    &engine->directories[search->db], search->cursor, body_search_each, search);
		search->db += search->cursor == 0;
	}
	if (search->lsn != lsn || !search->found)
		return ERR_NOTFOUND;
	struct directory *directory = &engine->directories[search->found_db];
	struct span key = buf_span(&search->key);
	struct entry *entry = directory_lookup(directory, key);
	search->lsn = 0;
	if (!entry_has_body(entry, lsn))
		return ERR_NOTFOUND;
	*place = entry_image(entry)->body;
	return OK;
}

static enum err recover_link(
    struct engine *engine, const struct target *target, const struct record *record)
{
	struct place body;
	enum err err = engine->loading ? store_recovered_place(engine->store, record->refers, &body)
	                               : body_place(engine, record, &body);
	if (err != OK)
		return err;
	return apply_link(engine, target, record, body);
}

/* ---- On top of a checkpoint ---- */

/* A VALUE not younger than its key's entry: of all that are told, the last one is where the
 * entry's value lies, for whatever is told was copied, or written, since the checkpoint. */
static enum err recover_value_place(struct engine *engine, const struct target *target,
    const struct record *record)
{
	struct entry *entry = target->entry;
	store_release(engine->store, entry_value(entry)->place);
	if (entry->flags & ENTRY_AWAITED) {
		struct directory *directory = &engine->directories[target->db];
		uint64_t expire_ms = entry_expire_ms(entry);
		struct entry *new = entry_new_string(&engine->memory.values, target->key,
		    expire_ms != 0 ? ENTRY_HAS_EXPIRY : 0, record->value,
		    record->body != NULL ? body_ref(record->body) : NULL);
		new->type = entry->type;
		new->lsn = entry->lsn;
		new->access_s = entry->access_s;
		if (expire_ms != 0)
			entry_expiry(new)->at_ms = expire_ms;
		directory_replace(directory, entry, new, target->hash);
		entry = new;
		ASSERT(engine->awaited > 0);
		engine->awaited--;
	}
	entry_value(entry)->place = record->place;
	engine_touch(engine, target->db, target->hash);
	return OK;
}

/* The record's effect is in the checkpoint; where it lies may be news. ERR_AGAIN: it is not. */
static enum err recover_known(struct engine *engine, const struct target *target,
    const struct record *record)
{
	const struct entry *entry = target->entry;
	bool older = entry != NULL && (record->lsn & LSN_MASK) <= entry->lsn;
	if (!older && record->lsn >= engine->replay_lsn)
		return ERR_AGAIN;
	if (older && entry_large(entry) != NULL)
		collection_recover_fetched(engine, target, record);
	else if (older && entry->type != ENTRY_IMAGE && record->type == RECORD_VALUE)
		return recover_value_place(engine, target, record);
	return ERR_NOTFOUND;
}

static enum err recover_known_setting(struct engine *engine, const struct record *record)
{
	if (record->lsn >= engine->replay_lsn)
		return ERR_AGAIN;
	return replication_setting(engine, record) || past_setting(engine, record) ||
	        tiers_setting_follow(engine, record) || fields_setting_follow(engine, record) ||
	        users_setting_follow(engine, record)
	    ? OK : ERR_NOTFOUND;
}

/* Values that should have been read, and cannot be: the keys are gone, and it is said so. */
struct lost_walk {
	struct engine *engine;
	struct entry **entries;
	size_t         count, cap;
};

static void lost_each(void *ctx, struct entry *entry)
{
	struct lost_walk *walk = ctx;
	if ((entry->flags & ENTRY_AWAITED) == 0 || walk->count == walk->cap)
		return;
	walk->entries[walk->count++] = entry;
}

void engine_drop_awaited(struct engine *engine)
{
	struct memory *memory = &engine->memory.engine;
	struct lost_walk walk = {.engine = engine, .cap = engine->awaited};
	if (walk.cap == 0)
		return;
	walk.entries = memory_alloc(memory, walk.cap * sizeof(*walk.entries));
	for (unsigned db = 0; db < DATABASE_COUNT; db++) {
		struct directory *directory = &engine->directories[db];
		uint64_t cursor = 0;
		walk.count = 0;
		directory_step(directory, 0xffffffff);
		do
			cursor = directory_scan(directory, cursor, lost_each, &walk);
		while (cursor != 0);
		for (size_t i = 0; i < walk.count; i++) {
			struct span key = entry_key(walk.entries[i]);
			log_warning(engine->log, "the value of key '%.*s' cannot be read: it is gone",
			    (int)min_u64(key.len, 200), (const char *)key.ptr);
			engine_forget(engine, (uint8_t)db, walk.entries[i],
			    directory_hash(directory, key), &(struct ending){0});
		}
	}
	memory_free(memory, walk.entries, walk.cap * sizeof(*walk.entries));
	engine->awaited = 0;
	engine->lost_some = true;
}

/* IMAGE, META or LINK: the entry that it makes owns it, which the past may have held so far. */
static enum err recover_image(struct engine *engine, const struct target *target,
    const struct record *record)
{
	enum err err;
	if (record->type == RECORD_LINK)
		err = recover_link(engine, target, record);
	else if (record->type == RECORD_META)
		err = apply_meta(engine, target, record);
	else
		err = apply_image(engine, target, record);
	if (err == OK)
		past_take(engine, record->lsn, record->place);
	return err;
}

static enum err recover_value(
    struct engine *engine, const struct target *target, const struct record *record)
{
	enum entry_type type;
	bool is_large;
	enum err err = value_type_of(record->meta, &type, &is_large);
	if (err != OK || is_large)
		return err != OK ? err : collection_recover_value(engine, target, record);
	if (type != ENTRY_STRING && !value_is_sound(type, record->value))
		return ERR_CORRUPT;
	if (target->entry != NULL)            /* it has another value now */
		target->entry->flags &= 0xfffU & ~(unsigned)ENTRY_AWAITED;
	(void)apply_value(engine, target, record);
	return OK;
}

/* Applies one record. Anything but OK: nobody needs the record. */
static enum err recover_record(struct engine *engine, const struct record *record)
{
	if (record->type == RECORD_SETTING) {
		enum err err = recover_known_setting(engine, record);
		if (err == ERR_AGAIN && !past_setting(engine, record) &&
		    !replication_setting(engine, record) && !databases_setting(engine, record) &&
		    !fields_setting(engine, record) && !users_setting(engine, record))
			tiers_setting(engine, record);
		return err == ERR_AGAIN ? OK : err;
	}
	if (record->type == RECORD_FLUSH) {
		if (engine->replay_lsn == 0)
			apply_flush(engine, record);
		else
			apply_flush_before(engine, record);
		return OK;
	}
	if (record->db >= DATABASE_COUNT)
		return ERR_CORRUPT;
	struct target target = recover_target(engine, record);
	if (engine->replay_lsn != 0) {
		enum err err = recover_known(engine, &target, record);
		if (err != ERR_AGAIN)
			return err;
	}
	switch (record->type) {
	case RECORD_VALUE:
		return recover_value(engine, &target, record);
	case RECORD_CHANGE:
		return collection_recover_change(engine, &target, record);
	case RECORD_IMAGE:
	case RECORD_META:
	case RECORD_LINK:
		return recover_image(engine, &target, record);
	case RECORD_EXPIRE:
		if (target.entry == NULL)
			return ERR_NOTFOUND;
		(void)apply_expire(engine, &target, record);
		return OK;
	case RECORD_DELETE:
		if (target.entry != NULL) {
			const struct ending ending = {
			    record->lsn, record->time_ms, VERSION_DELETED};
			engine_forget(engine, target.db, target.entry, target.hash, &ending);
		}
		return OK;
	default:
		return ERR_VERSION;
	}
}

static struct entry *record_entry(struct engine *engine, const struct record *record)
{
	if (record->db >= DATABASE_COUNT)
		return NULL;
	struct directory *directory = &engine->directories[record->db];
	return directory_lookup(directory, record->key);
}

/* An image of a checkpoint: its record was told once more, and lives all the same. */
static bool image_is_owned(struct engine *engine, const struct record *record)
{
	struct place place;
	if (past_held_place(engine, record->lsn, &place))
		return true;
	struct entry *entry = record_entry(engine, record);
	return entry != NULL && entry->type == ENTRY_IMAGE && !(entry->flags & ENTRY_SHARED) &&
	    entry_image(entry)->body_lsn == (record->lsn & LSN_MASK);
}

void engine_foreseen(void *ctx, uint8_t db, struct span key)
{
	struct engine *engine = ctx;
	const struct directory *directory = &engine->directories[db];
	directory_prefetch(directory, directory_hash(directory, key));
}

/* As many more keys for a record as so far. Those of a checkpoint were counted before. */
void engine_progress(void *ctx, uint64_t told, uint64_t left)
{
	struct engine *engine = ctx;
	for (unsigned db = 0; db < DATABASE_COUNT && engine->replay_lsn == 0; db++) {
		struct directory *directory = &engine->directories[db];
		uint64_t count = directory_count(directory);
		directory_expect(directory, count + (uint64_t)((double)count / (double)told * (double)left));
	}
}

void engine_recovered(void *ctx, const struct record *record)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	if (past_recovering(engine, record)) {
		if (record->type != RECORD_SETTING || !past_setting(engine, record))
			store_release(engine->store, record->place);
		return;
	}
	enum err err = recover_record(engine, record);
	if (UNLIKELY(engine->doubt_count > 0) && (err == OK || record->type == RECORD_DELETE))
		doubts_settle(engine, record);
	if (err == OK)
		return;
	if (err != ERR_NOTFOUND)
		log_warning(engine->log, "record %llu of type %u was not applied: %s",
		    (unsigned long long)record->lsn, record->type, err_name(err));
	store_release(engine->store, record->place);
	if (record->type == RECORD_IMAGE && !image_is_owned(engine, record))
		past_note_released(engine, record->lsn);
}

void engine_take_record(struct engine *engine, const struct record *record)
{
	CHECK_OBJ(engine, ENGINE_MAGIC);
	ASSERT(!engine->loading);
	enum err err = recover_record(engine, record);
	if (err == OK)
		return;
	if (err != ERR_NOTFOUND || record->type == RECORD_LINK) {
		log_warning(engine->log, "replication: record %llu of type %u was not applied: %s",
		    (unsigned long long)record->lsn, record->type, err_name(err));
		engine->replication->lost_links += record->type == RECORD_LINK;
	}
	store_release(engine->store, record->place);
}

/* Where the entry of the record's own key keeps a record of this type, or NULL. */
static struct place *place_of(struct entry *entry, const struct record *record)
{
	if (entry == NULL)
		return NULL;
	if (entry_large(entry) != NULL)
		return collection_place(entry_large(entry), record->lsn);
	if (entry->type != ENTRY_IMAGE)
		return record->type == RECORD_VALUE ? &entry_value(entry)->place : NULL;
	if (record->type == RECORD_IMAGE)
		return &entry_image(entry)->body;
	if (record->type != RECORD_META && record->type != RECORD_LINK)
		return NULL;
	return entry_meta(entry) != NULL ? &entry_meta(entry)->place : NULL;
}

bool engine_relocated(void *ctx, const struct record *record, struct place from, struct place to)
{
	struct engine *engine = ctx;
	bool entry_too;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	if (record->type == RECORD_SETTING)
		return past_setting_relocated(engine, record, from, to) ||
		    replication_setting_relocated(engine, record, from, to) ||
		    databases_setting_relocated(engine, record, from, to) ||
		    tiers_setting_relocated(engine, record, from, to) ||
		    fields_setting_relocated(engine, from, to) ||
		    users_setting_relocated(engine, from, to);
	flushed_settle(engine, record->db, record->key);
	bool followed = past_relocated(engine, record->lsn, from, to, &entry_too);
	struct place *place = entry_too ? place_of(record_entry(engine, record), record) : NULL;
	if (place == NULL || !place_equal(*place, from))
		return followed;
	engine_touch_place(engine, record->db,
	    directory_hash(&engine->directories[record->db], record->key));
	*place = to;
	return true;
}

/* The deadline of its key comes from this EXPIRE, or might. */
static bool expire_is_needed(const struct entry *entry, const struct record *record)
{
	if (entry == NULL || (int64_t)entry_expire_ms(entry) != record->expire_ms)
		return false;
	if (entry_large(entry) != NULL)
		return record->lsn > entry_large(entry)->full_lsn;
	if (entry->type != ENTRY_IMAGE)
		return entry->lsn == record->lsn;
	struct entry_image *image = entry_image((struct entry *)(uintptr_t)entry);
	return image->body_lsn < record->lsn;
}

enum liveness engine_is_live(void *ctx, const struct record *record)
{
	struct engine *engine = ctx;
	bool owned;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	if (record->type == RECORD_SETTING)
		return past_setting_is_live(engine, record) ||
		        replication_setting_is_live(engine, record) ||
		        databases_setting_is_live(engine, record) ||
		        tiers_setting_is_live(engine, record) || fields_setting_is_live(engine, record) ||
		        users_setting_is_live(engine, record)
		    ? RECORD_LIVES : RECORD_DEAD;
	flushed_settle(engine, record->db, record->key);
	struct entry *entry = record_entry(engine, record);
	if (record->type == RECORD_EXPIRE)
		return expire_is_needed(entry, record) ? RECORD_LIVES : RECORD_DEAD;
	if (past_holds(engine, record->lsn, record->place, &owned) && owned)
		return RECORD_SHARED;
	const struct place *place = place_of(entry, record);
	return place != NULL && place_equal(*place, record->place) ? RECORD_LIVES : RECORD_DEAD;
}

bool engine_whereabouts(void *ctx, const struct record *record, struct place *now)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	if (record->type == RECORD_SETTING)
		return false;
	flushed_settle(engine, record->db, record->key);
	if (record->type == RECORD_IMAGE && past_held_place(engine, record->lsn, now))
		return true;
	const struct place *place = place_of(record_entry(engine, record), record);
	if (place != NULL)
		*now = *place;
	return place != NULL && now->segment != 0;
}

/* Recovery has come to a record whose body cannot be read. What its key was before must not be
 * served in its stead: an image stays, and answers -CORRUPT; a value is gone, as from a cache. */
static void recover_corrupt(struct engine *engine, struct place place, const struct record *record)
{
	struct record copy = *record;
	struct target target;
	ASSERT(engine->loading);
	if (record->db >= DATABASE_COUNT ||
	    (record->type != RECORD_IMAGE && record->type != RECORD_VALUE && record->type != RECORD_CHANGE))
		return;
	target = recover_target(engine, record);
	bool older = target.entry != NULL && (record->lsn & LSN_MASK) <= target.entry->lsn;
	if (engine->replay_lsn != 0 && (older || record->lsn < engine->replay_lsn))
		return;
	copy.place = place;
	if (record->type == RECORD_IMAGE && record->meta.len > 0 && place.bytes > 0) {
		store_retain(engine->store, place);
		if (recover_image(engine, &target, &copy) == OK)
			return;
		store_release(engine->store, place);
	}
	if (record->type == RECORD_IMAGE)
		past_note_released(engine, record->lsn);
	const struct ending ending = {record->lsn, record->time_ms, VERSION_SUPERSEDED};
	if (target.entry != NULL)
		engine_forget(engine, target.db, target.entry, target.hash, &ending);
}

void engine_say_corrupt(struct engine *engine, struct place place, uint64_t lsn, struct span key)
{
	log_warning(engine->log, "corrupt record in segment %u at %llu: lsn %llu, key '%.*s'",
	    place.segment, (unsigned long long)place.offset * RECORD_ALIGN, (unsigned long long)lsn,
	    (int)min_u64(key.len, 200), (const char *)key.ptr);
}

void engine_record_corrupt(void *ctx, struct place place, const struct record *record)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	if (engine->loading && record != NULL && !past_recovering(engine, record)) {
		recover_corrupt(engine, place, record);
		doubt_add(engine, place, record);
		return;
	}
	engine->lost_some |= engine->loading || engine->partly;
	if (record == NULL) {
		log_warning(engine->log,
		    "corrupt record in segment %u at %llu: its key cannot be read", place.segment,
		    (unsigned long long)place.offset * RECORD_ALIGN);
		return;
	}
	repair_note(engine, record, place);
	engine_say_corrupt(engine, place, record->lsn, record->key);
}
