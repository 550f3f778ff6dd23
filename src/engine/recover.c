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
		tiers_setting(engine, record);
		return OK;
	}
	if (record->type == RECORD_FLUSH) {
		apply_flush(engine, record->db);
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
		if (target.entry != NULL)
			engine_forget(engine, target.db, target.entry, target.hash);
		return OK;
	default:
		return ERR_VERSION;
	}
}

void engine_recovered(void *ctx, const struct record *record)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	enum err err = recover_record(engine, record);
	if (err == OK)
		return;
	if (err != ERR_NOTFOUND)
		log_warning(engine->log, "record %llu of type %u was not applied: %s",
		    (unsigned long long)record->lsn, record->type, err_name(err));
	store_release(engine->store, record->place);
}

static bool place_equal(struct place a, struct place b)
{
	return a.segment == b.segment && a.offset == b.offset;
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
	uint32_t owners = 0;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	if (record->type == RECORD_SETTING)
		return tiers_setting_relocated(engine, record, from, to);
	if (record->type == RECORD_IMAGE || record->type == RECORD_LINK)
		owners += shares_follow(engine, record, from, to);
	struct place *place = place_of(record_entry(engine, record), record);
	if (place != NULL && place_equal(*place, from)) {
		*place = to;
		owners++;
	}
	for (uint32_t i = 1; i < owners; i++)
		store_follow(engine->store, from, to);
	return owners > 0;
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
	CHECK_OBJ(engine, ENGINE_MAGIC);
	if (record->type == RECORD_SETTING)
		return tiers_setting_is_live(engine, record) ? RECORD_LIVES : RECORD_DEAD;
	struct entry *entry = record_entry(engine, record);
	if (record->type == RECORD_EXPIRE)
		return expire_is_needed(entry, record) ? RECORD_LIVES : RECORD_DEAD;
	const struct place *place = place_of(entry, record);
	if (place != NULL && place_equal(*place, record->place))
		return RECORD_LIVES;
	if (record->type == RECORD_LINK && shares_name(engine, record))
		return RECORD_LIVES;
	return record->type == RECORD_IMAGE && shares_name(engine, record) ? RECORD_SHARED
	                                                                  : RECORD_DEAD;
}

void engine_record_corrupt(void *ctx, struct place place, const struct record *record)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	engine->corrupt_seen = true;
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
