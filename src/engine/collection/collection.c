/* engine/collection/collection.c: see collection.h. */
#include "engine/collection/collection_log.h"

#include "base/arith.h"
#include "engine/block.h"

struct memory *call_value_memory(struct call *call)
{
	return &call->engine->memory.values;
}

const struct value_limits *call_value_limits(const struct call *call)
{
	return collections_limits(call->engine);
}

/* ---- Reading ---- */

const struct value *entry_collection(const struct entry *entry, struct value *small)
{
	const struct collection *collection = entry_large(entry);
	ASSERT(entry->type != ENTRY_IMAGE && entry->type != ENTRY_STRING);
	if (collection != NULL)
		return &collection->value;
	struct span bytes = entry_string(entry);
	ASSERT(bytes.len > 0);
	value_borrow(small, entry->type, bytes.ptr[0], span_slice(bytes, 1, bytes.len));
	return small;
}

void collections_prefetch(const struct directory *directory, const struct request *requests, uint32_t count)
{
	enum { AHEAD_MAX = 64 };
	struct value_ahead ahead[AHEAD_MAX];
	uint32_t found = 0;
	for (uint32_t i = 0; i < count && found < AHEAD_MAX; i++) {
		const struct request *request = &requests[i];
		if (!request->has_hash || request->argc < 3)
			continue;
		const struct entry *entry = directory_find(directory, request->argv[1], request->hash);
		const struct collection *large = entry == NULL ? NULL : entry_object(entry);
		if (large == NULL || entry->type == ENTRY_LIST)
			continue;
		uint32_t member = entry->type == ENTRY_ZSET ? request->argc - 1 : 2;
		ahead[found++] =
		    (struct value_ahead){.value = &large->value, .member = request->argv[member]};
	}
	for (unsigned step = 0; found > 0 && step < VALUE_AHEAD_STEPS; step++)
		value_prefetch(ahead, found, step);
}

static bool is_of_type(struct call *call, const struct entry *entry, enum entry_type type)
{
	if (entry == NULL || entry->type == type)
		return true;
	call_error(call, "WRONGTYPE Operation against a key holding the wrong kind of value");
	return false;
}

const struct value *call_read_value(
    struct call *call, struct span key, enum entry_type type, struct value *small)
{
	struct entry *entry = call_lookup_read(call, key);
	if (entry == NULL || !is_of_type(call, entry, type))
		return NULL;
	return entry_collection(entry, small);
}

/* ---- Edits ---- */

bool edit_begin(struct call *call, struct edit *edit, struct span key, enum entry_type type)
{
	if (key.len > KEY_BYTES_MAX) {
		call_fail(call, ERR_TOOLARGE, key);
		return false;
	}
	struct entry *entry = call_lookup_write(call, key);
	if (!is_of_type(call, entry, type))
		return false;
	edit->call = call;
	edit->key = key;
	edit->hash = call_hash(call, key);
	edit->type = (uint8_t)type;
	edit->entry = entry;
	edit->added = edit->removed = 0;
	edit->is_gone = edit->is_idle = false;
	edit->reply_bytes = call->reply->bytes.len;
	edit->reply_refs = call->reply->ref_count;
	edit->value = &edit->small;
	if (entry == NULL)
		value_init(&edit->small, type, &call->engine->memory.values);
	else
		edit->value = entry_collection(entry, &edit->small);
	collections_take_ops(call->engine, &edit->ops);
	return true;
}

void edit_drop(struct edit *edit)
{
	if (edit->value == &edit->small)
		value_fini(&edit->small);
	collections_give_ops(edit->call->engine, &edit->ops);
	edit->value = NULL;
}

static struct target edit_target(const struct edit *edit)
{
	return (struct target){
	    .db = edit->call->session->db, .key = edit->key, .hash = edit->hash, .entry = edit->entry};
}

/* A value, all of it, as the VALUE record of this key; `bytes` is room for it. */
static enum err log_whole(struct engine *engine, const struct target *target, struct value *value,
    struct record *record)
{
	uint8_t meta[2];
	struct buf bytes;
	bool plain = value->encoding == VALUE_PACKED || value->encoding == VALUE_INTSET;
	bool is_large = !plain || value->packed.len + 1U > COLLECTION_SMALL;
	collections_take_ops(engine, &bytes);
	meta[0] = value_letter(value->type, is_large);
	meta[1] = value->encoding;
	if (!is_large)
		buf_append_u8(&bytes, value->encoding);
	value_dump(value, &bytes);
	*record = (struct record){
	    .type = RECORD_VALUE,
	    .db = target->db,
	    .key = target->key,
	    .meta = span_of(meta, 1U + is_large),
	    .sync = (uint8_t)engine_sync_level(engine, value->type),
	    .expire_ms = record->expire_ms,
	    .value = buf_span(&bytes),
	};
	enum err err = engine_append(engine, record);
	if (err == OK && is_large)
		(void)apply_collection(engine, target, record, collection_new(engine, value, record));
	else if (err == OK)
		(void)apply_value(engine, target, record);
	collections_give_ops(engine, &bytes);
	return err;
}

/* The small one, or none, as it will be. */
static enum err commit_small(struct edit *edit, const struct target *target, uint64_t *lsn)
{
	struct engine *engine = edit->call->engine;
	struct value next = edit->small;
	struct record record = {0};
	value_init(&edit->small, edit->type, &engine->memory.values);
	if (edit->entry != NULL) {
		value_own(&next, &engine->memory.values);
		record.expire_ms = (int64_t)entry_expire_ms(edit->entry);
	}
	enum err err = value_apply(&next, buf_span(&edit->ops), collections_limits(engine), &edit->added,
	    &edit->removed);
	ASSERT(err == OK);
	edit->is_gone = next.count == 0 && edit->entry != NULL;
	if (next.count > 0)           /* a large one is taken over: nothing is left in `next` */
		err = log_whole(engine, target, &next, &record);
	else if (edit->entry != NULL)
		err = engine_delete(engine, target->db, edit->entry, edit->hash, &record.lsn);
	*lsn = record.lsn;
	value_fini(&next);
	return err;
}

static enum err commit_large(
    struct edit *edit, const struct target *target, bool grouped, uint64_t *lsn)
{
	struct engine *engine = edit->call->engine;
	struct collection *collection = entry_large(edit->entry);
	if (!grouped && collection_join_change(engine, collection, buf_span(&edit->ops), lsn)) {
		engine_change(engine, target->db, target->key, target->hash);
		collection_changed(engine, target, NULL, edit);
		edit->call->session->write_lsn = *lsn;
		ASSERT(collection->value.count > 0);
		return OK;
	}
	struct record record = {
	    .db = target->db,
	    .key = target->key,
	    .sync = (uint8_t)engine_sync_level(engine, edit->type),
	    .value = buf_span(&edit->ops),
	};
	collection_fill_change(collection, &record);
	enum err err = engine_append(engine, &record);
	if (err != OK)
		return err;
	*lsn = record.lsn;
	apply_change(engine, target, &record);
	collection_changed(engine, target, &record, edit);
	if (collection->value.count > 0)
		return OK;
	edit->is_gone = true;
	return engine_delete(engine, target->db, edit->entry, edit->hash, lsn);
}

/* `grouped`: in a group of records. */
static enum err commit_one(struct edit *edit, bool grouped)
{
	uint64_t lsn = 0;
	struct target target = edit_target(edit);
	edit->is_idle = edit->ops.len == 0;
	if (edit->is_idle)
		return OK;
	enum err err = edit->value == &edit->small ? commit_small(edit, &target, &lsn)
	                                           : commit_large(edit, &target, grouped, &lsn);
	if (err == OK && lsn != 0)
		call_gate(edit->call, edit->type, lsn);
	if (err == OK && edit->added > 0)
		blocked_key_has_more(
		    edit->call->engine, target.db, target.key, target.hash, edit->type);
	return err;
}

/* The most that its records can hold, and whether they have a body. */
static uint64_t edit_bytes(const struct edit *edit, uint32_t *bodies)
{
	uint64_t bytes = COLLECTION_SMALL + 2 * edit->ops.len + 2 * edit->key.len;
	*bodies += bytes > BODY_INLINE_MAX;
	return bytes;
}

static bool edit_failed(struct edit *edit, enum err err)
{
	struct call *call = edit->call;
	reply_cut(call->reply, edit->reply_bytes, edit->reply_refs);
	call_fail(call, err, edit->key);
	return false;
}

/* May it take away all that there is? Then a DELETE follows in the same group. */
static bool may_empty(const struct edit *edit)
{
	return edit->value != &edit->small && ops_removes(buf_span(&edit->ops)) >= edit->value->count;
}

static enum err begin_group(struct engine *engine, uint32_t records, uint32_t bodies, uint64_t bytes)
{
	if (engine->in_exec)
		return OK;
	return store_begin_transaction(engine->store, records, bodies, bytes);
}

static void end_group(struct engine *engine)
{
	if (!engine->in_exec)
		store_end_transaction(engine->store);
}

bool edit_commit(struct edit *edit)
{
	struct engine *engine = edit->call->engine;
	uint32_t bodies = 0;
	uint64_t bytes = edit_bytes(edit, &bodies);
	bool grouped = may_empty(edit);
	enum err err = grouped ? begin_group(engine, 2, bodies, bytes) : OK;
	bool begun = grouped && err == OK;
	if (err == OK)
		err = commit_one(edit, grouped);
	if (begun)
		end_group(engine);
	bool done = err == OK || edit_failed(edit, err);
	edit_drop(edit);
	return done;
}

bool edit_commit_both(struct edit *first, struct edit *second)
{
	struct engine *engine = first->call->engine;
	uint32_t bodies = 0;
	uint64_t bytes = edit_bytes(first, &bodies) + edit_bytes(second, &bodies);
	ASSERT(!span_equal(first->key, second->key));
	enum err err = begin_group(engine, 4, bodies, bytes);
	bool begun = err == OK;
	if (err == OK)
		err = commit_one(first, true);
	if (err == OK)
		err = commit_one(second, true);
	if (begun)
		end_group(engine);
	bool done = err == OK || edit_failed(first, err);
	edit_drop(first);
	edit_drop(second);
	return done;
}

/* ---- Whole values ---- */

enum err engine_store_value(
    struct call *call, const struct target *at, struct value *value, int64_t expire_ms)
{
	struct engine *engine = call->engine;
	struct target target = *at;
	struct record record = {.expire_ms = expire_ms};
	uint8_t type = value->type;
	ASSERT(value->count > 0);
	enum err err = call_needs_end(engine, &target) ? call_end_image(call, &target) : OK;
	if (err == OK)
		err = log_whole(engine, &target, value, &record);
	if (err != OK)
		return err;
	call_gate(call, type, record.lsn);
	blocked_key_has_more(engine, target.db, target.key, target.hash, type);
	return OK;
}

static enum err store_grouped(
    struct call *call, const struct target *target, struct value *value, int64_t expire_ms)
{
	uint64_t bytes = 2 * target->key.len + value_dump_bytes(value) + COLLECTION_SMALL;
	enum err err = begin_group(call->engine, 2, 1, bytes);
	if (err != OK)
		return err;
	err = engine_store_value(call, target, value, expire_ms);
	end_group(call->engine);
	return err;
}

bool call_store_value(struct call *call, struct span key, struct value *value, int64_t expire_ms)
{
	if (key.len > KEY_BYTES_MAX) {
		call_fail(call, ERR_TOOLARGE, key);
		return false;
	}
	struct target target = {.db = call->session->db, .key = key, .hash = call_hash(call, key)};
	target.entry = directory_find(call_directory(call), key, target.hash);
	enum err err = value->count > 0 ? store_grouped(call, &target, value, expire_ms)
	    : target.entry != NULL ? call_delete(call, target.entry) : OK;
	if (err != OK) {
		call_fail(call, err, key);
		return false;
	}
	value_fini(value);
	return true;
}
