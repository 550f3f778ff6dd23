/* engine/image.c: storing images and getting their bytes back. */
#include "engine/index/analysis.h"
#include "engine/apply.h"
#include "engine/image.h"

/* Hot bodies by the LSN of their record. */
static void hot_put(struct engine *engine, uint64_t lsn, struct body *body)
{
	struct digest key = body_cache_key(0, lsn);
	body_cache_put(engine->hot, &key, body);
}

/* The record of a PUT: a LINK where the same bytes are stored already (`twin`), else an IMAGE. */
static struct record put_record(
    const struct engine *engine, const struct image_put *put, const struct image_ref *twin)
{
	struct record record = {
	    .type = twin != NULL ? RECORD_LINK : RECORD_IMAGE,
	    .sync = (uint8_t)engine_sync_level(engine, ENTRY_IMAGE),
	    .expire_ms = put->expire_ms,
	};
	if (twin != NULL)
		record.refers = twin->body_lsn;
	else if (put->body->len > BODY_INLINE_MAX)
		record.body = put->body;
	else
		record.value = body_span(put->body);
	return record;
}

static enum err put_apply(struct engine *engine, const struct target *target,
    const struct record *record, const struct image_ref *twin)
{
	return twin != NULL ? apply_link(engine, target, record, twin->body)
	                    : apply_image(engine, target, record);
}

/* The put was logged and done. */
static enum err put_done(struct call *call, const struct image_put *put,
    const struct record *record, const struct image_ref *twin)
{
	struct engine *engine = call->engine;
	hot_put(engine, twin != NULL ? twin->body_lsn : record->lsn, put->body);
	if (record->sync == SYNC_ALWAYS && call->gate < record->lsn)
		call->gate = record->lsn;
	engine->counters.images_put++;
	engine->counters.image_bytes_put += put->body->len;
	if (twin != NULL)
		dedupe_count(engine, put->body->len);
	return metadata_remember(engine, record->lsn, record->meta, NULL);
}

enum err call_put_image(struct call *call, struct span key, const struct image_put *put)
{
	struct engine *engine = call->engine;
	struct target target = {.db = call->session->db, .key = key, .hash = call_hash(call, key)};
	struct image_ref found;
	struct buf encoded;
	enum err err = call_find_twin(call, put->body, &found);
	if (err == ERR_AGAIN)
		return err;
	const struct image_ref *twin = err == OK ? &found : NULL;
	buf_init(&encoded, &engine->memory.images);
	target.entry = directory_find(call_directory(call), key, target.hash);
	err = image_meta_encode(put->meta, &encoded);
	if (err == OK && twin != NULL)
		analysis_copy(engine, twin, &encoded);
	struct record record = put_record(engine, put, twin);
	record.db = target.db;
	record.key = key;
	record.meta = buf_span(&encoded);
	if (err == OK)
		err = store_append(engine->store, &record);
	if (err == OK)
		err = put_apply(engine, &target, &record, twin);
	if (err == OK)
		err = put_done(call, put, &record, twin);
	buf_fini(&encoded);
	return err;
}

/* New metadata of an image whose entry a LINK made is a LINK again: a META says nothing to a
 * recovery that does not find the key, and of two LINKs the older one may go. */
static struct record edit_record(const struct engine *engine, struct entry *entry)
{
	bool linked = (entry->flags & ENTRY_SHARED) != 0;
	return (struct record){
	    .type = linked ? RECORD_LINK : RECORD_META,
	    .refers = entry_image(entry)->body_lsn,
	    .expire_ms = linked ? (int64_t)entry_expire_ms(entry) : 0,
	    .sync = (uint8_t)engine_sync_level(engine, ENTRY_IMAGE),
	};
}

enum err call_edit_image(struct call *call, struct entry *entry, const struct image_meta *meta)
{
	struct engine *engine = call->engine;
	struct span key = call->argv[1];
	struct target target = {
		.db = call->session->db, .key = key, .hash = call_hash(call, key), .entry = entry,
	};
	struct buf encoded;
	ASSERT(span_equal(key, entry_key(entry)));
	buf_init(&encoded, &engine->memory.images);
	enum err err = image_meta_encode(meta, &encoded);
	struct record record = edit_record(engine, entry);
	record.db = target.db;
	record.key = key;
	record.meta = buf_span(&encoded);
	if (err == OK)
		err = store_append(engine->store, &record);
	if (err == OK && record.type == RECORD_LINK)
		err = apply_link(engine, &target, &record, past_body(engine, entry));
	else if (err == OK)
		err = apply_meta(engine, &target, &record);
	if (err == OK) {
		err = metadata_remember(engine, record.lsn, buf_span(&encoded), NULL);
		if (record.sync == SYNC_ALWAYS && call->gate < record.lsn)
			call->gate = record.lsn;
	}
	buf_fini(&encoded);
	return err;
}

enum err call_restore_image(
    struct call *call, struct span key, const struct image_ref *ref, struct span meta)
{
	struct engine *engine = call->engine;
	struct directory *directory = call_directory(call);
	struct target target = {.db = call->session->db, .key = key, .hash = call_hash(call, key)};
	struct record record = {
	    .type = RECORD_LINK,
	    .db = target.db,
	    .key = key,
	    .meta = meta,
	    .refers = ref->body_lsn,
	    .sync = (uint8_t)engine_sync_level(engine, ENTRY_IMAGE),
	};
	target.entry = directory_find(directory, key, target.hash);
	enum err err = store_append(engine->store, &record);
	if (err == OK)
		err = apply_link(engine, &target, &record, ref->body);
	if (err == OK && record.sync == SYNC_ALWAYS && call->gate < record.lsn)
		call->gate = record.lsn;
	return err;
}

struct body *image_cached(struct engine *engine, const struct image_ref *ref)
{
	struct digest key = body_cache_key(0, ref->body_lsn);
	return body_cache_get(engine->hot, &key);
}

static void body_read_done(struct store_read *read, enum err err)
{
	struct body_load *load = read->ctx;
	struct body *body = NULL;
	if (err == OK) {
		body = read->record.body;
		read->record.body = NULL;
		if (body == NULL)
			err = ERR_CORRUPT;
		else if (!load->once)
			hot_put(load->engine, load->lsn, body);
	}
	store_read_fini(read);
	load->done(load, err, body);
}

void body_load(struct engine *engine, const struct image_ref *ref, struct body_load *load)
{
	load->engine = engine;
	load->lsn = ref->body_lsn;
	load->read = (struct store_read){
		.done = body_read_done, .ctx = load, .place = ref->body, .lsn = ref->body_lsn,
	};
	engine->counters.cold_reads++;
	store_read_start(engine->store, &load->read);
}
