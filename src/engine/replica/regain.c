/* engine/replica/regain.c: what this leader lost is taken back from a follower. See repair.h. */
#include "engine/replica/repair_parts.h"

#include "engine/collection/collection_log.h"
#include "image/meta.h"

void repair_regain(struct engine *engine, struct regain *regain)
{
	struct repair_wish *wish = wish_new(engine->repairs, regain->key);
	wish->db = regain->db;
	wish->type = RECORD_VALUE;
	wish->regain = regain;
	wish->behind = store_last_lsn(engine->store);
	regain->changed = false;
	engine->replication->regains++;
}

void repair_regain_cancel(struct engine *engine, struct regain *regain)
{
	struct repairs *repairs = engine->repairs;
	for (struct list *at = repairs->wishes.next; at != &repairs->wishes; at = at->next) {
		struct repair_wish *wish = LIST_OF(at, struct repair_wish, link);
		if (wish->regain != regain)
			continue;
		wish_drop(repairs, wish);
		return;
	}
}

void repair_appended(struct engine *engine, const struct record *record)
{
	struct repairs *repairs = engine->repairs;
	for (struct list *at = repairs->wishes.next; at != &repairs->wishes; at = at->next) {
		struct regain *regain = LIST_OF(at, struct repair_wish, link)->regain;
		if (regain == NULL)
			continue;
		bool flushed = record->type == RECORD_FLUSH &&
		    (record->db == RECORD_ALL_DBS || record->db == regain->db);
		if (flushed || (record->db == regain->db && span_equal(record->key, regain->key)))
			regain->changed = true;
	}
}

/* The peer may lie: nothing enters the log that recovery would not take. */
static bool is_sound(const struct repairs *repairs, const struct regain *regain, struct span bytes)
{
	const struct record *record = &repairs->record;
	struct image_meta meta;
	enum entry_type type;
	bool is_large;
	if (record->db != regain->db || !span_equal(record->key, regain->key) || record->expire_ms < 0)
		return false;
	if (record->type == RECORD_IMAGE)
		return repairs->body != NULL && repairs->body->has_digest &&
		    image_meta_decode(record->meta, &meta) == OK &&
		    digest_equal(&meta.etag, &repairs->body->digest);
	if (record->type != RECORD_VALUE || value_type_of(record->meta, &type, &is_large) != OK)
		return false;
	if (is_large || type == ENTRY_STRING)
		return true;                  /* a collection is proven when it is made */
	return bytes.len <= BODY_INLINE_MAX && value_is_sound(type, bytes);
}

enum err regain_take(struct repairs *repairs, const struct repair_wish *wish)
{
	struct engine *engine = repairs->engine;
	const struct regain *regain = wish->regain;
	struct span bytes = repairs->body == NULL ? (struct span){0} : body_span(repairs->body);
	if (regain->changed)
		return OK;                    /* what it is now comes in the stream */
	if (!repairs->is_proven && !is_sound(repairs, regain, bytes))
		return ERR_CORRUPT;
	repairs->is_proven = true;
	struct record record = {
	    .type = repairs->record.type,
	    .db = regain->db,
	    .key = regain->key,
	    .meta = repairs->record.meta,
	    .expire_ms = repairs->record.expire_ms,
	    .sync = SYNC_EVERYSEC,
	};
	if (bytes.len > BODY_INLINE_MAX)
		record.body = repairs->body;
	else
		record.value = bytes;
	enum err err = collection_prepare(engine, &record);
	if (err != OK)
		return err == ERR_AGAIN ? ERR_BUSY : err;
	err = store_append(engine->store, &record);
	if (err == ERR_OVERLOADED || err == ERR_DISKFULL || err == ERR_READONLY)
		return ERR_AGAIN;
	if (err != OK)
		return err;
	engine_take_record(engine, &record);
	repairs->regained++;
	log_notice(engine->log, "replication: key '%.*s' was lost here, and is back from a follower",
	    (int)(record.key.len < 200 ? record.key.len : 200), (const char *)record.key.ptr);
	return OK;
}
