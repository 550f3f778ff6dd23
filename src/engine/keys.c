/* engine/keys.c: looking keys up and changing them: the record first, then its effect. */
#include "engine/apply.h"

#include "engine/block.h"
#include "engine/checkpoint.h"
#include "engine/collection/collection_log.h"
#include "engine/flush.h"
#include "engine/replica/replica.h"

uint64_t engine_value_bytes(const struct entry *entry)
{
	const struct collection *collection = entry_large(entry);
	return collection != NULL ? value_dump_bytes(&collection->value) + COLLECTION_SMALL
	                          : entry_string(entry).len;
}

uint64_t engine_entry_bytes(const struct entry *entry)
{
	const struct collection *collection = entry_large(entry);
	return entry_bytes(entry) + (collection == NULL ? 0 : collection_bytes(collection));
}

enum sync_level engine_sync_level(const struct engine *engine, enum entry_type type)
{
	const struct settings *settings = engine->settings;
	int64_t level = type == ENTRY_IMAGE ? settings->appendfsync : settings->cache_appendfsync;
	return (enum sync_level)level;
}

bool engine_is_expired(struct engine *engine, const struct entry *entry)
{
	uint64_t at_ms = entry_expire_ms(entry);
	return at_ms != 0 && at_ms <= engine_now_ms(engine);
}

uint64_t call_hash(struct call *call, struct span key)
{
	if (call->has_hash && call->argc > 1 && key.ptr == call->argv[1].ptr)
		return call->hash;
	return directory_hash(call_directory(call), key);
}

void call_gate(struct call *call, enum entry_type type, uint64_t lsn)
{
	bool waits = engine_sync_level(call->engine, type) == SYNC_ALWAYS ||
	    call->engine->settings->min_replicas_to_ack > 0;
	if (waits && lsn > call->gate)
		call->gate = lsn;
}

enum err engine_delete(
    struct engine *engine, uint8_t db, struct entry *entry, uint64_t hash, uint64_t *lsn)
{
	struct record record = {
		.type = RECORD_DELETE, .db = db, .key = entry_key(entry),
		.sync = (uint8_t)engine_sync_level(engine, entry->type),
	};
	enum err err = store_append(engine->store, &record);
	if (err != OK)
		return err;
	*lsn = record.lsn;
	const struct ending ending = {record.lsn, record.time_ms, VERSION_DELETED};
	engine_forget(engine, db, entry, hash, &ending);
	return OK;
}

enum err engine_delete_by_itself(
    struct engine *engine, uint8_t db, struct entry *entry, uint64_t hash, uint64_t *lsn)
{
	engine->by_itself = true;
	enum err err = engine_delete(engine, db, entry, hash, lsn);
	engine->by_itself = false;
	return err;
}

void call_touch(struct call *call, struct span key)
{
	engine_change(call->engine, call->session->db, key, call_hash(call, key));
}

enum lookup { LOOKUP_READ, LOOKUP_WRITE, LOOKUP_QUIET };

static struct entry *call_lookup(struct call *call, struct span key, enum lookup kind)
{
	struct engine *engine = call->engine;
	uint64_t hash = call_hash(call, key);
	struct entry *entry = directory_find(call_directory(call), key, hash);
	if (entry != NULL &&
	    UNLIKELY((entry->flags & ENTRY_HAS_EXPIRY) && engine_is_expired(engine, entry))) {
		uint64_t lsn;
		/* A tombstone that the log refuses is written by the expiry timer later. */
		if (!engine->pause.is_on &&
		    engine_delete_by_itself(engine, call->session->db, entry, hash, &lsn) == OK) {
			engine->counters.expired_keys++;
			call_notify(call, NOTIFY_EXPIRED, "expired", key);
		}
		entry = NULL;
	}
	if (kind == LOOKUP_READ) {
		if (entry != NULL) {
			engine->counters.hits++;
		} else {
			engine->counters.misses++;
			call_notify(call, NOTIFY_MISS, "keymiss", key);
		}
	}
	if (entry == NULL)
		return NULL;
	if (kind != LOOKUP_QUIET && !call->session->no_touch) {
		if (UNLIKELY(evict_counts_use(engine)) && entry->type != ENTRY_IMAGE)
			evict_note_use(engine, entry);
		else
			entry->access_s = (uint32_t)(io_wall_ms(engine->io) / 1000);
	}
	if (entry->lsn > replication_written_lsn(engine))
		call_gate(call, entry->type, entry->lsn);
	return entry;
}

struct entry *call_lookup_read(struct call *call, struct span key)
{
	return call_lookup(call, key, LOOKUP_READ);
}

struct entry *call_lookup_write(struct call *call, struct span key)
{
	return call_lookup(call, key, LOOKUP_WRITE);
}

struct entry *call_lookup_quiet(struct call *call, struct span key)
{
	return call_lookup(call, key, LOOKUP_QUIET);
}

static struct target call_target(struct call *call, struct span key)
{
	struct target target = {.db = call->session->db, .key = key, .hash = call_hash(call, key)};
	target.entry = directory_find(call_directory(call), key, target.hash);
	return target;
}

enum err engine_append(struct engine *engine, struct record *record)
{
	const struct span value = record->value;
	if (value.len <= BODY_INLINE_MAX)
		return store_append(engine->store, record);
	enum err err = body_copy(&engine->memory.values, value, &record->body);
	if (err != OK)
		return err;
	record->value = (struct span){0};
	err = store_append(engine->store, record);
	body_unref(record->body);
	record->body = NULL;
	record->value = value;
	return err;
}

bool call_needs_end(const struct engine *engine, const struct target *target)
{
	return engine->settings->history_window_s > 0 && target->entry != NULL &&
	    target->entry->type == ENTRY_IMAGE;
}

enum err call_end_image(struct call *call, struct target *target)
{
	struct engine *engine = call->engine;
	struct record record = {
	    .type = RECORD_DELETE,
	    .flags = RECORD_CONTINUES,
	    .db = target->db,
	    .key = target->key,
	    .sync = (uint8_t)engine_sync_level(engine, ENTRY_IMAGE),
	};
	ASSERT(call_needs_end(engine, target));
	enum err err = store_append(engine->store, &record);
	if (err != OK)
		return err;
	const struct ending ending = {record.lsn, record.time_ms, VERSION_DELETED};
	engine_forget(engine, target->db, target->entry, target->hash, &ending);
	target->entry = NULL;
	return OK;
}

/* Appends a VALUE record and does what it says; `grouped`: room was made by the caller. */
static enum err set_value(
    struct call *call, struct target *target, struct record *record, bool grouped)
{
	struct store *store = call->engine->store;
	bool ends = call_needs_end(call->engine, target), begin = ends && !grouped;
	enum err err = OK;
	if (begin) {
		uint64_t body_bytes = record->body == NULL ? 0 : record->body->len;
		err = store_begin_group(store, 2, record->body != NULL,
		    2 * record->key.len + record->value.len + body_bytes);
		if (err != OK)
			return err;
	}
	if (ends)
		err = call_end_image(call, target);
	if (err == OK)
		err = store_append(store, record);
	if (begin)
		store_end_group(store);
	if (err != OK)
		return err;
	(void)apply_value(call->engine, target, record);
	call_gate(call, ENTRY_STRING, record->lsn);
	return OK;
}

/* Metadata of the VALUE record of a string, or of a small collection. */
static struct span value_meta(const struct entry *entry, uint8_t letter[1])
{
	letter[0] = value_letter(entry->type, false);
	return span_of(letter, 1);
}

enum err engine_rewrite_value(struct engine *engine, uint8_t db, struct entry *entry)
{
	uint8_t letter[1];
	ASSERT(entry->type != ENTRY_IMAGE);
	if (entry_large(entry) != NULL) {
		struct target target = {.db = db, .key = entry_key(entry), .entry = entry};
		target.hash = directory_hash(&engine->directories[db], target.key);
		collection_due(engine, &target);
		return OK;
	}
	struct record record = {
	    .type = RECORD_VALUE,
	    .db = db,
	    .key = entry_key(entry),
	    .meta = value_meta(entry, letter),
	    .sync = (uint8_t)engine_sync_level(engine, entry->type),
	    .expire_ms = (int64_t)entry_expire_ms(entry),
	    .body = entry_body(entry),
	};
	if (record.body == NULL)
		record.value = entry_string(entry);
	enum err err = store_append(engine->store, &record);
	if (err != OK)
		return err;
	store_release(engine->store, entry_value(entry)->place);
	entry_value(entry)->place = record.place;
	entry->lsn = record.lsn & LSN_MASK;
	return OK;
}

enum err call_set_string(struct call *call, struct span key, struct span value, struct body *body,
    const struct string_options *options)
{
	struct engine *engine = call->engine;
	struct target target = call_target(call, key);
	struct body *made = NULL;
	enum err err = OK;
	if (key.len > KEY_BYTES_MAX)
		return ERR_TOOLARGE;
	if (body == NULL && value.len > BODY_INLINE_MAX) {
		err = body_copy(&engine->memory.values, value, &made);
		if (err != OK)
			return err;
		body = made;
	}
	struct record record = {
		.type = RECORD_VALUE, .db = target.db, .key = key, .meta = SPAN_LIT("s"),
		.flags = options->continues ? RECORD_CONTINUES : 0,
		.sync = (uint8_t)engine_sync_level(engine, ENTRY_STRING),
		.expire_ms = options->expire_ms, .body = body,
	};
	if (body == NULL)
		record.value = value;
	if (options->keep_expiry && target.entry != NULL)
		record.expire_ms = (int64_t)entry_expire_ms(target.entry);
	err = set_value(call, &target, &record, options->grouped);
	body_unref(made);
	return err;
}

enum err call_delete(struct call *call, struct entry *entry)
{
	uint64_t lsn;
	enum entry_type type = entry->type;
	uint64_t hash = call_hash(call, entry_key(entry));
	enum err err = engine_delete(call->engine, call->session->db, entry, hash, &lsn);
	if (err == OK)
		call_gate(call, type, lsn);
	return err;
}

enum err call_expire(struct call *call, struct entry **entry, int64_t at_ms)
{
	struct engine *engine = call->engine;
	struct target target = call_target(call, entry_key(*entry));
	struct record record = {
		.type = RECORD_EXPIRE, .db = target.db, .key = target.key, .expire_ms = at_ms,
		.sync = (uint8_t)engine_sync_level(engine, (*entry)->type),
	};
	ASSERT(target.entry == *entry);
	enum err err = store_append(engine->store, &record);
	if (err != OK)
		return err;
	*entry = apply_expire(engine, &target, &record);
	call_gate(call, (*entry)->type, record.lsn);
	return OK;
}

/* LINK: `to` names the same image. `meta` is its encoded metadata. */
static enum err link_image(struct call *call, struct entry *from, const struct target *to,
    unsigned flags, struct span meta)
{
	struct engine *engine = call->engine;
	struct record record = {
	    .type = RECORD_LINK,
	    .flags = (uint8_t)flags,
	    .db = to->db,
	    .key = to->key,
	    .meta = meta,
	    .refers = entry_image(from)->body_lsn,
	    .expire_ms = (int64_t)entry_expire_ms(from),
	    .sync = (uint8_t)engine_sync_level(engine, ENTRY_IMAGE),
	};
	enum err err = store_append(engine->store, &record);
	if (err != OK)
		return err;
	err = apply_link(engine, to, &record, past_body(engine, from));
	call_gate(call, ENTRY_IMAGE, record.lsn);
	return err;
}

/* A large one: its bytes are logged, and loaded (COPY) or taken over (RENAME). */
static enum err copy_large(
    struct call *call, struct entry *from, struct target *to, bool takes)
{
	struct collection *collection = entry_large(from);
	struct value copy;
	struct buf bytes;
	int64_t expire_ms = (int64_t)entry_expire_ms(from);
	if (takes)
		return engine_store_value(call, to, &collection->value, expire_ms);
	buf_init(&bytes, &call->engine->memory.engine);
	value_init(&copy, from->type, &call->engine->memory.values);
	value_dump(&collection->value, &bytes);
	enum err err = value_load(
	    &copy, collection->value.encoding, buf_span(&bytes), collections_limits(call->engine));
	if (err == OK)
		err = engine_store_value(call, to, &copy, expire_ms);
	value_fini(&copy);
	buf_fini(&bytes);
	return err;
}

static enum err copy_value(
    struct call *call, struct entry *from, struct target *to, unsigned flags)
{
	struct engine *engine = call->engine;
	uint8_t letter[1];
	bool grouped = (flags & RECORD_CONTINUES) != 0;
	if (entry_large(from) != NULL)
		return copy_large(call, from, to, grouped);
	struct record record = {
	    .type = RECORD_VALUE,
	    .flags = (uint8_t)flags,
	    .db = to->db,
	    .key = to->key,
	    .meta = value_meta(from, letter),
	    .expire_ms = (int64_t)entry_expire_ms(from),
	    .body = entry_body(from),
	    .sync = (uint8_t)engine_sync_level(engine, from->type),
	};
	if (record.body == NULL)
		record.value = entry_string(from);
	/* The value is borrowed from `from`, which stays until the caller removes it. */
	enum err err = set_value(call, to, &record, grouped);
	if (err == OK)
		blocked_key_has_more(engine, to->db, to->key, to->hash, from->type);
	return err;
}

static struct target target_in(struct call *call, struct span key, uint8_t db)
{
	struct directory *directory = &call->engine->directories[db];
	struct target target = {.db = db, .key = key, .hash = directory_hash(directory, key)};
	target.entry = directory_find(directory, key, target.hash);
	return target;
}

static enum err copy_to(struct call *call, struct entry *from, struct target *to)
{
	struct body *meta;
	if (from->type != ENTRY_IMAGE)
		return copy_value(call, from, to, 0);
	struct image_ref ref;
	image_ref_of(call->engine, from, &ref);
	enum err err = call_metadata(call, &ref, &meta);
	if (err != OK)
		return err;
	err = link_image(call, from, to, 0, body_span(meta));
	body_unref(meta);
	return err;
}

enum err call_rename(struct call *call, struct entry *from, struct span to, uint8_t to_db)
{
	struct store *store = call->engine->store;
	struct target target = target_in(call, to, to_db);
	struct span key = entry_key(from);
	struct body *meta = NULL;
	if (to.len > KEY_BYTES_MAX)
		return ERR_TOOLARGE;
	ASSERT(target.entry != from);
	struct image_ref ref;
	enum err err = OK;
	if (from->type == ENTRY_IMAGE) {
		image_ref_of(call->engine, from, &ref);
		err = call_metadata(call, &ref, &meta);
	}
	if (err != OK)
		return err;
	uint64_t bytes = meta != NULL ? meta->len : engine_value_bytes(from);
	err = store_begin_group(store, 3, bytes > BODY_INLINE_MAX, bytes + 2 * to.len + key.len);
	if (err == OK) {
		err = meta != NULL
		    ? link_image(call, from, &target, RECORD_CONTINUES, body_span(meta))
		    : copy_value(call, from, &target, RECORD_CONTINUES);
		uint64_t hash = call_hash(call, key);
		if (err == OK)
			err = call_delete(call, directory_find(call_directory(call), key, hash));
		store_end_group(store);
	}
	body_unref(meta);
	return err;
}

enum err call_copy(struct call *call, struct entry *from, struct span to, uint8_t to_db)
{
	struct target target = target_in(call, to, to_db);
	if (to.len > KEY_BYTES_MAX)
		return ERR_TOOLARGE;
	return copy_to(call, from, &target);
}

enum err call_flush(struct call *call, uint8_t db)
{
	struct record record = {.type = RECORD_FLUSH, .db = db, .sync = SYNC_ALWAYS};
	enum err err = store_append(call->engine->store, &record);
	if (err != OK)
		return err;
	apply_flush(call->engine, &record);
	if (call->gate < record.lsn)
		call->gate = record.lsn;
	return OK;
}

static bool expire_one(struct engine *engine, uint8_t db, struct entry *entry)
{
	uint64_t lsn, hash = directory_hash(&engine->directories[db], entry_key(entry));
	bool told = (engine->settings->notify_events & NOTIFY_EXPIRED) != 0;
	struct buf key;
	buf_init(&key, &engine->memory.engine);
	if (told)
		buf_append(&key, entry_key(entry));
	bool done = engine_delete_by_itself(engine, db, entry, hash, &lsn) == OK;
	engine->counters.expired_keys += done;
	if (done && told)
		notify(engine, NOTIFY_EXPIRED, "expired", db, buf_span(&key));
	buf_fini(&key);
	return done;
}

/* Active expiry: a bounded number of keys whose time has come, each pass. */
void engine_expire_some(struct engine *engine)
{
	enum { EXPIRE_PER_PASS = 64 };
	uint64_t now_ms = engine_now_ms(engine);
	if (engine->pause.is_on || engine->no_active_expire)
		return;
	for (unsigned db = 0, done = 0; db < DATABASE_COUNT; db++) {
		struct directory *directory = &engine->directories[db];
		for (; done < EXPIRE_PER_PASS; done++) {
			struct entry *entry = directory_expired(directory, now_ms);
			if (entry == NULL)
				break;
			if (!expire_one(engine, (uint8_t)db, entry))
				return;       /* the log is full: reads hide the key all the same */
		}
	}
}

uint64_t engine_used_memory(const struct engine *engine)
{
	uint64_t used = engine->memory.values.bytes + engine->memory.sessions.bytes +
	    engine->memory.replies.bytes + engine->memory.store.bytes +
	    engine->memory.search.bytes + engine->memory.images.bytes +
	    engine->memory.engine.bytes + engine->memory.history.bytes +
	    body_pool_used(engine->pool);
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		used += engine->directories[i].overhead.bytes;
	if (UNLIKELY(engine->flushed != NULL)) {
		struct flushed_stats stats;
		flushed_get_stats(engine, &stats);
		used += stats.overhead;
	}
	if (engine->server_memory != NULL)
		used += engine->server_memory->bytes;
	return used;
}
