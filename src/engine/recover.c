/* engine/recover.c: the log's records become memory again, and follow a record that moves. */
#include "base/arith.h"
#include "engine/apply.h"

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

static enum err recover_link(
    struct engine *engine, const struct target *target, const struct record *record)
{
	struct place body;
	enum err err = store_recovered_place(engine->store, record->refers, &body);
	if (err != OK)
		return err;
	return apply_link(engine, target, record, body);
}

/* Applies one record. Anything but OK: nobody needs the record. */
static enum err recover_record(struct engine *engine, const struct record *record)
{
	if (record->type == RECORD_SETTING) {
		if (!past_setting(engine, record))
			tiers_setting(engine, record);
		return OK;
	}
	if (record->type == RECORD_FLUSH) {
		apply_flush(engine, record);
		return OK;
	}
	if (record->db >= DATABASE_COUNT)
		return ERR_CORRUPT;
	struct target target = recover_target(engine, record);
	switch (record->type) {
	case RECORD_VALUE:
		if (record->meta.len != 1 || record->meta.ptr[0] != 's')
			return ERR_VERSION;
		(void)apply_string(engine, &target, record);
		return OK;
	case RECORD_IMAGE:
		return apply_image(engine, &target, record);
	case RECORD_META:
		return apply_meta(engine, &target, record);
	case RECORD_LINK:
		return recover_link(engine, &target, record);
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
	if (err == OK)
		return;
	if (err != ERR_NOTFOUND)
		log_warning(engine->log, "record %llu of type %u was not applied: %s",
		    (unsigned long long)record->lsn, record->type, err_name(err));
	store_release(engine->store, record->place);
	if (record->type == RECORD_IMAGE)
		past_note_released(engine, record->lsn);
}

/* Where the entry of the record's own key keeps a record of this type, or NULL. */
static struct place *place_of(struct entry *entry, const struct record *record)
{
	if (entry == NULL)
		return NULL;
	if (entry->type == ENTRY_STRING)
		return record->type == RECORD_VALUE ? &entry_value(entry)->place : NULL;
	if (record->type == RECORD_IMAGE)
		return &entry_image(entry)->body;
	if (record->type != RECORD_META && record->type != RECORD_LINK)
		return NULL;
	return entry_meta(entry) != NULL ? &entry_meta(entry)->place : NULL;
}

static struct entry *record_entry(struct engine *engine, const struct record *record)
{
	if (record->db >= DATABASE_COUNT)
		return NULL;
	struct directory *directory = &engine->directories[record->db];
	return directory_find(directory, record->key, directory_hash(directory, record->key));
}

bool engine_relocated(void *ctx, const struct record *record, struct place from, struct place to)
{
	struct engine *engine = ctx;
	bool entry_too;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	if (record->type == RECORD_SETTING)
		return past_setting_relocated(engine, record, from, to) ||
		    tiers_setting_relocated(engine, record, from, to);
	bool followed = past_relocated(engine, record->lsn, from, to, &entry_too);
	struct place *place = entry_too ? place_of(record_entry(engine, record), record) : NULL;
	if (place == NULL || !place_equal(*place, from))
		return followed;
	*place = to;
	return true;
}

/* The deadline of its key comes from this EXPIRE, or might. */
static bool expire_is_needed(const struct entry *entry, const struct record *record)
{
	if (entry == NULL || (int64_t)entry_expire_ms(entry) != record->expire_ms)
		return false;
	if (entry->type == ENTRY_STRING)
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
		return past_setting_is_live(engine, record) || tiers_setting_is_live(engine, record)
		    ? RECORD_LIVES : RECORD_DEAD;
	struct entry *entry = record_entry(engine, record);
	if (record->type == RECORD_EXPIRE)
		return expire_is_needed(entry, record) ? RECORD_LIVES : RECORD_DEAD;
	if (past_holds(engine, record->lsn, record->place, &owned) && owned)
		return RECORD_SHARED;
	const struct place *place = place_of(entry, record);
	return place != NULL && place_equal(*place, record->place) ? RECORD_LIVES : RECORD_DEAD;
}

/* Recovery has come to a record whose body cannot be read. What its key was before must not be
 * served in its stead: an image stays, and answers -CORRUPT; a string is gone, as from a cache. */
static void recover_corrupt(struct engine *engine, struct place place, const struct record *record)
{
	struct record copy = *record;
	struct target target;
	ASSERT(engine->loading);
	if (record->db >= DATABASE_COUNT || (record->type != RECORD_IMAGE && record->type != RECORD_VALUE))
		return;
	target = recover_target(engine, record);
	copy.place = place;
	if (record->type == RECORD_IMAGE && record->meta.len > 0 && place.bytes > 0) {
		store_retain(engine->store, place);
		if (apply_image(engine, &target, &copy) == OK)
			return;
		store_release(engine->store, place);
	}
	if (record->type == RECORD_IMAGE)
		past_note_released(engine, record->lsn);
	const struct ending ending = {record->lsn, record->time_ms, VERSION_SUPERSEDED};
	if (target.entry != NULL)
		engine_forget(engine, target.db, target.entry, target.hash, &ending);
}

void engine_record_corrupt(void *ctx, struct place place, const struct record *record)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	engine->corrupt_seen = true;
	if (engine->loading && record != NULL && !past_recovering(engine, record))
		recover_corrupt(engine, place, record);
	if (record == NULL) {
		log_warning(engine->log,
		    "corrupt record in segment %u at %llu: its key cannot be read", place.segment,
		    (unsigned long long)place.offset * RECORD_ALIGN);
		return;
	}
	log_warning(engine->log, "corrupt record in segment %u at %llu: lsn %llu, key '%.*s'",
	    place.segment, (unsigned long long)place.offset * RECORD_ALIGN,
	    (unsigned long long)record->lsn, (int)min_u64(record->key.len, 200),
	    (const char *)record->key.ptr);
}
