/* engine/chunk.c: entries of the directories as bytes of a checkpoint, and back.
 *
 *   u8 type and what follows | key | lsn | access_s | [expiry]
 *      image:  place of the body, body_lsn, created_s, since_ms, heat,
 *              [place of the metadata, its lsn, since_s, since_ms]
 *      value:  place, bytes; over BODY_INLINE_MAX they are read from its record instead. Of a large
 *              collection: what collection_write writes
 *
 * The place of a shared body may be an old one: past_load.c knows better. The document in the
 * search index is not named: reindex.c finds it (kept_index.h), or makes it again.
 */
#include "engine/apply.h"
#include "engine/index/analysis.h"
#include "engine/checkpoint.h"

#include "engine/chunk.h"
#include "engine/collection/collection_log.h"
#include "engine/databases.h"
#include "engine/index/fields.h"
#include "engine/index/kept_index.h"
#include "engine/past/past_load.h"
#include "engine/tier.h"
#include "engine/users.h"
#include "engine/replica/replica.h"

enum {
	CHUNK_TYPE = 15, CHUNK_EXPIRY = 16, CHUNK_META = 32, CHUNK_SHARED = 128,
	CHUNK_FETCH = 64,                 /* value: it is read from its record */
	CHUNK_LARGE = 32,                 /* value: a large collection */
	CHUNK_QUIET = 64,                 /* image: ENTRY_QUIET_META */
};
enum {
	ITEMS_AHEAD = 16, SETTING_NAME_MAX = 600, CHUNK_VALUE_MAX = 1 << 30,
	SETTING_BYTES_MAX = USER_TEXT_MAX,
};
_Static_assert((int)FIELD_TEXT_MAX + 64 < (int)USER_TEXT_MAX, "the longest text of a setting");

/* ---- Out ---- */

static uint8_t *put_image(uint8_t *at, const struct engine *engine, struct entry *entry)
{
	const struct entry_image *image = entry_image(entry);
	const struct entry_meta *meta = entry_meta(entry);
	at = put_place(at, past_body(engine, entry));
	at = varint64_put(at, image->body_lsn);
	at = varint64_put(at, image->created_s);
	at = varint64_put(at, image->since_ms);
	at = varint64_put(at, image->heat);
	if (meta == NULL)
		return at;
	at = put_place(at, meta->place);
	at = varint64_put(at, meta->lsn);
	at = varint64_put(at, meta->since_s);
	return varint64_put(at, meta->since_ms);
}

bool chunk_fetches(const struct entry *entry)
{
	const struct collection *collection = entry_large(entry);
	return collection != NULL ? collection_needs_fetch(collection) : entry_body(entry) != NULL;
}

void chunk_write_entry(const struct engine *engine, struct buf *out, struct entry *entry)
{
	uint8_t head[8 + VARINT64_MAX], rest[16 * VARINT64_MAX], *at = rest;
	struct span key = entry_key(entry), value = {0};
	const struct collection *collection = entry_large(entry);
	struct buf large;
	bool image = entry->type == ENTRY_IMAGE, fetch = chunk_fetches(entry);
	uint64_t expire_ms = entry_expire_ms(entry);
	head[0] = (uint8_t)(entry->type | (expire_ms != 0 ? CHUNK_EXPIRY : 0) |
	    (fetch ? CHUNK_FETCH : 0) | (collection != NULL ? CHUNK_LARGE : 0));
	collections_take_ops(engine, &large);
	if (image && entry_meta(entry) != NULL)
		head[0] |= CHUNK_META;
	if (image && (entry->flags & ENTRY_QUIET_META) != 0)
		head[0] |= CHUNK_QUIET;
	if (image && (entry->flags & ENTRY_SHARED) != 0)
		head[0] |= CHUNK_SHARED;
	uint8_t *end = varint64_put(head + 1, key.len);
	at = varint64_put(at, entry->lsn);
	at = varint64_put(at, entry->access_s);
	if (expire_ms != 0)
		at = varint64_put(at, expire_ms);
	if (image) {
		at = put_image(at, engine, entry);
	} else {
		at = put_place(at, entry_value(entry)->place);
		if (collection != NULL) {     /* its LSN says what there is from now on */
			collections_end_pass(engine);
			collection_write(collection, &large);
		}
		if (collection != NULL)
			value = buf_span(&large);
		else if (!fetch)
			value = entry_string(entry);
		at = varint64_put(at, value.len);
	}
	ASSERT((size_t)(at - rest) <= sizeof(rest));
	buf_append(out, span_of(head, (size_t)(end - head)));
	buf_append(out, key);
	buf_append(out, span_of(rest, (size_t)(at - rest)));
	buf_append(out, value);
	collections_give_ops(engine, &large);
}

/* ---- In ---- */

struct chunk_item {
	uint8_t      head;
	struct span  key, value;
	uint64_t     lsn, access_s, expire_ms, body_lsn, created_s, since_ms, heat;
	uint64_t     meta_lsn, meta_s, meta_ms, hash;
	struct place place, meta;
};

static bool take_item(struct span *in, struct chunk_item *out)
{
	*out = (struct chunk_item){0};
	if (in->len == 0)
		return false;
	out->head = in->ptr[0];
	*in = span_slice(*in, 1, in->len);
	unsigned type = out->head & CHUNK_TYPE;
	if (!take_bytes(in, KEY_BYTES_MAX, &out->key) || !varint64_take(in, &out->lsn) ||
	    !varint64_take(in, &out->access_s))
		return false;
	if ((out->head & CHUNK_EXPIRY) != 0 && !varint64_take(in, &out->expire_ms))
		return false;
	if (!take_place(in, &out->place))
		return false;
	if (type > ENTRY_IMAGE && type < ENTRY_TYPE_COUNT)
		return take_bytes(in, CHUNK_VALUE_MAX, &out->value);
	if (type != ENTRY_IMAGE || !varint64_take(in, &out->body_lsn) ||
	    !varint64_take(in, &out->created_s) || !varint64_take(in, &out->since_ms) ||
	    !varint64_take(in, &out->heat) || out->body_lsn == 0 || out->place.segment == 0)
		return false;
	return (out->head & CHUNK_META) == 0 ||
	    (take_place(in, &out->meta) && varint64_take(in, &out->meta_lsn) &&
	    varint64_take(in, &out->meta_s) && varint64_take(in, &out->meta_ms));
}

void engine_adopt(struct engine *engine, struct place *place, uint64_t lsn)
{
	const struct place written = *place;
	(void)store_adopt(engine->store, place, lsn);
	engine->adopted_elsewhere += !place_equal(written, *place);
}

static void load_own(struct engine *engine, struct place *place, uint64_t lsn)
{
	engine_adopt(engine, place, lsn);
	past_take(engine, lsn, *place);
}

static struct entry *load_image(struct engine *engine, uint8_t db, struct chunk_item *item)
{
	bool shared = (item->head & CHUNK_SHARED) != 0;
	unsigned flags = (item->head & CHUNK_META) != 0 ? ENTRY_HAS_META : 0;
	flags |= item->expire_ms != 0 ? ENTRY_HAS_EXPIRY : 0;
	if (shared)
		past_load_shared(engine, item->body_lsn, item->place);
	else
		load_own(engine, &item->place, item->body_lsn);
	if ((flags & ENTRY_HAS_META) != 0)
		load_own(engine, &item->meta, item->meta_lsn);
	struct entry *entry = entry_new_image(&engine->memory.values, item->key, flags);
	if ((item->head & CHUNK_QUIET) != 0)
		entry->flags |= ENTRY_QUIET_META;
	if (shared) {
		entry->flags |= ENTRY_SHARED;
		item->place = (struct place){.bytes = item->place.bytes};
	}
	struct entry_image *image = entry_image(entry);
	*image = (struct entry_image){
		.body = item->place,
		.docid = DOCID_NONE,
		.created_s = (uint32_t)item->created_s,
		.heat = (uint32_t)item->heat,
	};
	image->body_lsn = item->body_lsn & LSN_MASK;
	image->since_ms = item->since_ms & 0xffff;
	if ((flags & ENTRY_HAS_META) != 0) {
		struct entry_meta *meta = entry_meta(entry);
		*meta = (struct entry_meta){.place = item->meta, .since_s = (uint32_t)item->meta_s};
		meta->lsn = item->meta_lsn & LSN_MASK;
		meta->since_ms = item->meta_ms & 0xffff;
	}
	engine->images[db]++;
	engine->unindexed[db]++;
	return entry;
}

static struct entry *load_large(struct engine *engine, struct chunk_item *item)
{
	bool fetch;
	struct collection *collection =
	    collection_load(engine, item->head & CHUNK_TYPE, &item->value, &fetch);
	if (collection == NULL)
		return NULL;
	struct entry *entry = entry_new_object(&engine->memory.values, item->key,
	    item->expire_ms != 0 ? ENTRY_HAS_EXPIRY : 0, collection);
	if (fetch)
		entry->flags |= ENTRY_AWAITED;
	engine->awaited += fetch;
	return entry;
}

/* NULL: its value should have been read before. */
static struct entry *load_value(struct engine *engine, struct chunk_item *item)
{
	unsigned type = item->head & CHUNK_TYPE;
	bool fetch = (item->head & CHUNK_FETCH) != 0;
	if (fetch && !engine->loading)
		return NULL;
	if ((item->head & CHUNK_LARGE) != 0)
		return load_large(engine, item);
	if (type != ENTRY_STRING && !value_is_sound(type, item->value))
		return NULL;
	(void)store_adopt(engine->store, &item->place, 0);
	struct entry *entry = entry_new_string(&engine->memory.values, item->key,
	    item->expire_ms != 0 ? ENTRY_HAS_EXPIRY : 0, item->value, NULL);
	entry_value(entry)->place = item->place;
	if (!fetch)
		return entry;
	entry->flags |= ENTRY_AWAITED;
	engine->awaited++;
	if (store_fetch(engine->store, item->place))
		return entry;
	entry_free(&engine->memory.values, entry);
	engine->awaited--;
	return NULL;
}

static bool load_item(struct engine *engine, uint8_t db, struct chunk_item *item)
{
	struct directory *directory = &engine->directories[db];
	/* A table that grew while it was read may have shown a key twice. */
	if (directory_find(directory, item->key, item->hash) != NULL)
		return true;
	uint64_t elsewhere = engine->adopted_elsewhere;
	struct entry *entry = (item->head & CHUNK_TYPE) == ENTRY_IMAGE
	    ? load_image(engine, db, item) : load_value(engine, item);
	if (entry == NULL)
		return false;
	entry->type = item->head & CHUNK_TYPE & 15U;
	entry->lsn = item->lsn & LSN_MASK;
	entry->access_s = (uint32_t)item->access_s;
	if (item->expire_ms != 0)
		entry_expiry(entry)->at_ms = item->expire_ms;
	directory_insert(directory, entry, item->hash);
	/* The next checkpoint in this slot covers the copy, and nobody will look for it again. */
	if (engine->adopted_elsewhere != elsewhere)
		engine_touch_place(engine, db, item->hash);
	return true;
}

/* A few are taken at a time, so that their buckets are on the way when it is their turn. */
enum err engine_load_chunk(void *ctx, uint8_t db, uint32_t count, struct span bytes)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	if (db == CHUNK_PAST)
		return past_load_chunk(engine, count, bytes);
	if (db == CHUNK_SET_DERIVED) {
		kept_index_load(engine, count, bytes);
		return OK;
	}
	struct directory *directory = &engine->directories[db];
	while (bytes.len > 0) {
		struct chunk_item items[ITEMS_AHEAD];
		uint32_t taken = 0;
		for (; taken < ITEMS_AHEAD && bytes.len > 0; taken++, count--) {
			struct chunk_item *item = &items[taken];
			if (count == 0 || !take_item(&bytes, item))
				return ERR_CORRUPT;
			item->hash = directory_hash(directory, item->key);
			directory_prefetch(directory, item->hash);
		}
		for (uint32_t i = 0; i < taken; i++)
			if (!load_item(engine, db, &items[i]))
				return ERR_CORRUPT;
	}
	return count == 0 ? OK : ERR_CORRUPT;
}

void engine_load_begin(void *ctx, const struct store_load *load)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	engine->replay_lsn = load->replay_lsn;
	kept_index_load_begin(engine, load->counts[CHUNK_SET_DERIVED]);
	/* What is not marked from here on is as in the slot that is loaded; the other slot is
	 * void, and the store asks for all of it. */
	memset(engine->marks, 0, sizeof(*engine->marks) * DATABASE_COUNT);
	for (unsigned db = 0; db < DATABASE_COUNT; db++) {
		ASSERT(directory_count(&engine->directories[db]) == 0);
		directory_init(&engine->directories[db], &engine->memory.values, load->seed);
		directory_reserve(&engine->directories[db], load->counts[db]);
	}
}

void engine_load_reset(void *ctx)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	engine->replay_lsn = engine->awaited = 0;
	memset(engine->marks, 0xff, sizeof(*engine->marks) * DATABASE_COUNT);
	doubts_clear(engine);
	collections_clear(engine);
	for (unsigned db = 0; db < DATABASE_COUNT; db++) {
		directory_fini(&engine->directories[db]);
		engine->images[db] = engine->unindexed[db] = 0;
		engine_index_drop(engine, (uint8_t)db);
		analysis_forget_db(engine, (uint8_t)db);
	}
	kept_index_load_reset(engine);
	past_load_reset(engine);
	tiers_clear(engine);
	fields_clear(engine);
	users_clear(engine);
	replication_clear(engine);
	databases_clear(engine);
	tiers_set_default(engine);
}

/* ---- Settings: the past's, and policies as {key, place, text} ---- */

void chunk_write_settings(struct engine *engine, struct buf *out)
{
	past_dump_settings(engine, out);
	replication_dump(engine, out);
	databases_dump(engine, out);
	fields_dump(engine, out);
	users_dump(engine, out);
	for (struct list *at = tiers_policies(engine)->next; at != tiers_policies(engine);
	     at = at->next) {
		const struct policy *policy = LIST_OF(at, struct policy, link);
		struct buf text;
		buf_init(&text, &engine->memory.engine);
		policy_format(policy, &text);
		put_setting(out, span_text(policy->name), policy->place, buf_span(&text));
		buf_fini(&text);
	}
}

enum err engine_load_settings(void *ctx, struct span bytes)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	if (past_load_settings(engine, &bytes) != OK)
		return ERR_CORRUPT;
	tiers_clear(engine);
	fields_clear(engine);
	users_clear(engine);
	replication_clear(engine);
	databases_clear(engine);
	while (bytes.len > 0) {
		struct span name, text;
		struct place place;
		if (!take_bytes(&bytes, SETTING_NAME_MAX, &name) || !take_place(&bytes, &place) ||
		    !take_bytes(&bytes, SETTING_BYTES_MAX, &text))
			return ERR_CORRUPT;
		(void)store_adopt(engine->store, &place, 0);
		if (replication_load(engine, name, text, place) ||
		    databases_load(engine, name, text, place) ||
		    users_load(engine, name, text, place) || fields_load(engine, name, text, place))
			continue;
		if (text.len > POLICY_TEXT_MAX)
			return ERR_CORRUPT;
		tiers_load_policy(engine, name, text, place);
	}
	past_load_decide(engine);
	return OK;
}
