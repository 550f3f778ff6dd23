/* engine/replica/rejoin_export.c: what a follower alone has becomes a store of its own in dir/quarantine, so
 * that `tintype-server --readonly --dir` shows it. See rejoin.h.
 *
 * Records that stand for themselves are copied as they are, with their LSNs. Those that only say what
 * became of a key (metadata, links, deadlines, changes of a collection) name keys, which follow as
 * they are now, whole. Directories are made by blocking calls: nothing is served anew meanwhile.
 */
#include "engine/collection/collection_log.h"
#include "engine/replica/rejoin.h"
#include "engine/replica/replica.h"
#include "store/follow.h"

enum { EXPORT_MAGIC = 0x4578706f, RETRY_US = 2000, STEPS = 256 };
enum export_phase { EXPORT_SYNCING, EXPORT_OPENING, EXPORT_WALK, EXPORT_KEYS, EXPORT_CLOSING };

struct export_key {
	struct list link;
	uint8_t     db;
	uint32_t    len;
	uint8_t     key[];
};

struct rejoin_export {
	uint32_t       magic;
	struct engine *engine;
	struct store  *store;             /* the copy */
	struct store_walk *walk;
	struct io_timer timer;
	uint8_t        phase;
	bool           failed, opened, given_up;      /* given_up: nothing follows */
	uint64_t       base, records;
	/* The record at hand: to be appended, when its body is whole. */
	bool           has_record;
	struct record  record;
	struct buf     bytes;             /* its key and metadata */
	struct body   *body;
	struct list    keys;
	struct store_read read;
	bool           reading, has_meta;
	char           path[SETTING_TEXT_MAX + 64];
};

static void export_go(struct rejoin_export *export);

/* ---- The copy's store: it is only written ---- */

static void copy_recovered(void *ctx, const struct record *record)
{
	UNUSED(ctx);
	UNUSED(record);
}

static void copy_opened(void *ctx, enum err err)
{
	struct rejoin_export *export = ctx;
	CHECK_OBJ(export, EXPORT_MAGIC);
	export->failed |= err != OK;
	export->opened = err == OK;
	export->phase = EXPORT_WALK;
	io_timer_set(export->engine->io, &export->timer, 0);
}

static void copy_durable(void *ctx, uint64_t lsn)
{
	UNUSED(ctx);
	UNUSED(lsn);
}

static bool copy_relocated(void *ctx, const struct record *record, struct place from, struct place to)
{
	UNUSED(ctx);
	UNUSED(record);
	UNUSED(from);
	UNUSED(to);
	return true;                          /* after a write that failed: nobody asks where it lies */
}

static void copy_corrupt(void *ctx, struct place place, const struct record *record)
{
	UNUSED(ctx);
	UNUSED(place);
	UNUSED(record);
}

static void copy_state(void *ctx, enum err state)
{
	struct rejoin_export *export = ctx;
	export->failed |= state != OK;
}

static const struct store_events copy_events = {
    .recovered = copy_recovered,
    .opened = copy_opened,
    .durable = copy_durable,
    .relocated = copy_relocated,
    .corrupt = copy_corrupt,
    .state = copy_state,
};

static enum err copy_new(struct rejoin_export *export)
{
	struct engine *engine = export->engine;
	const struct settings *settings = engine->settings;
	const struct store_options options = {
	    .dir = {export->path, NULL},
	    .segment_bytes = (uint32_t)settings->segment_bytes,
	    .spare_segments = (uint32_t)settings->spare_segments,
	    .batches_in_flight = 1,
	    .pool = engine->pool,
	    .memory = &engine->memory.store,
	    .log = engine->log,
	};
	snprintf(export->path, sizeof(export->path), "%s/quarantine", settings->dir);
	enum err err = io_make_directory(engine->io, export->path);
	snprintf(export->path, sizeof(export->path), "%s/quarantine/%lld", settings->dir,
	    (long long)io_wall_ms(engine->io));
	if (err == OK)
		err = io_make_directory(engine->io, export->path);
	if (err == OK)
		err = store_new(engine->io, &options, &copy_events, export, &export->store);
	if (err == OK)
		err = store_open(export->store);
	return err;
}

/* ---- The end ---- */

static void export_free(struct rejoin_export *export)
{
	struct engine *engine = export->engine;
	struct memory *memory = &engine->memory.engine;
	io_timer_cancel(engine->io, &export->timer);
	if (export->walk != NULL)
		store_walk_free(export->walk);
	if (export->read.state != NULL)
		store_read_fini(&export->read);
	body_unref(export->body);
	while (!list_is_empty(&export->keys)) {
		struct export_key *key = LIST_OF(export->keys.next, struct export_key, link);
		list_remove(&key->link);
		memory_free(memory, key, sizeof(*key) + key->len);
	}
	if (export->store != NULL)
		store_free(export->store);
	buf_fini(&export->bytes);
	engine->rejoin->exporting = NULL;
	DROP_OBJ(export, EXPORT_MAGIC);
	memory_free(memory, export, sizeof(*export));
}

static void export_end(struct rejoin_export *export)
{
	struct engine *engine = export->engine;
	bool good = !export->failed, given_up = export->given_up || engine->closing;
	uint64_t base = export->base;
	if (good && !given_up)
		log_warning(engine->log,
		    "replication: %llu records that the leader does not have are in %s; they are cut off here",
		    (unsigned long long)export->records, export->path);
	else if (!given_up)
		log_warning(engine->log, "replication: %s cannot be written", export->path);
	export_free(export);
	if (given_up)
		return;
	if (good && rejoin_begin_cut(engine, base))
		engine->events->restart(engine->events_ctx);
	else
		engine->events->put_aside(engine->events_ctx);
}

static void copy_closed(void *ctx)
{
	export_end(ctx);
}

static void export_close(struct rejoin_export *export)
{
	struct store *store = export->store;
	if (export->phase == EXPORT_OPENING && store != NULL)
		return;                       /* copy_opened will see to it */
	export->phase = EXPORT_CLOSING;
	if (export->walk != NULL)
		store_walk_free(export->walk);
	export->walk = NULL;
	if (export->read.state != NULL)
		store_read_fini(&export->read);
	if (!export->opened)
		export_end(export);
	else
		store_close(store, copy_closed);
}

/* ---- Records ---- */

/* Of what cannot stand alone the key is noted. */
static void note_key(struct rejoin_export *export, const struct record *record)
{
	struct export_key *key =
	    memory_alloc(&export->engine->memory.engine, sizeof(*key) + record->key.len);
	key->db = record->db;
	key->len = (uint32_t)record->key.len;
	if (key->len > 0)
		memcpy(key->key, record->key.ptr, key->len);
	list_append(&export->keys, &key->link);
}

static bool stands_alone(const struct record *record)
{
	switch (record->type) {
	case RECORD_IMAGE:
	case RECORD_VALUE:
	case RECORD_DELETE:
	case RECORD_FLUSH:
		return true;
	case RECORD_SETTING:
		return !span_is(record->key, LOCAL_SETTING);
	default:
		return false;
	}
}

static bool names_a_key(const struct record *record)
{
	return (record->type == RECORD_META || record->type == RECORD_LINK || record->type == RECORD_EXPIRE ||
	        record->type == RECORD_CHANGE) && record->db < DATABASE_COUNT;
}

/* Keeps the record, whose spans are borrowed, until it is appended. */
static void keep(struct rejoin_export *export, const struct record *record)
{
	buf_clear(&export->bytes);
	buf_append(&export->bytes, record->key);
	buf_append(&export->bytes, record->meta);
	buf_append(&export->bytes, record->value);
	export->record = *record;
	export->record.key = span_of(export->bytes.ptr, record->key.len);
	export->record.meta = span_of(export->bytes.ptr + record->key.len, record->meta.len);
	export->record.value =
	    span_of(export->bytes.ptr + record->key.len + record->meta.len, record->value.len);
	export->record.flags = 0;
	export->record.sync = SYNC_NO;
	export->has_record = true;
}

/* OK, or ERR_AGAIN. */
static enum err append(struct rejoin_export *export, bool is_given)
{
	struct record *record = &export->record;
	struct body *body = export->body;
	if (body != NULL && body->len <= BODY_INLINE_MAX)
		record->value = body_span(body);
	else
		record->body = body;
	enum err err = is_given ? store_append_given(export->store, record)
	                        : store_append(export->store, record);
	record->body = NULL;
	if (err == ERR_OVERLOADED)
		return ERR_AGAIN;
	export->failed |= err != OK;
	export->records += err == OK;
	export->has_record = false;
	body_unref(body);
	export->body = NULL;
	return OK;
}

static enum err begin_body(struct rejoin_export *export, const struct walk_item *item)
{
	bool is_image = item->record.type == RECORD_IMAGE;
	size_t bytes = (size_t)item->body_bytes;
	enum err err = is_image ? body_new(export->engine->pool, bytes, &export->body)
	                        : body_new_heap(&export->engine->memory.values, bytes, &export->body);
	if (err != OK)
		export->body = NULL;
	return err;
}

static enum err on_walk_record(struct rejoin_export *export, const struct walk_item *item)
{
	if (names_a_key(&item->record))
		note_key(export, &item->record);
	if (!stands_alone(&item->record)) {
		if (item->body_bytes > 0)
			store_walk_skip(export->walk, item->body_bytes);
		return OK;
	}
	keep(export, &item->record);
	if (item->body_bytes == 0)
		return append(export, true);
	enum err err = begin_body(export, item);
	if (err != OK)                        /* the walk begins again there */
		store_walk_seek(export->walk, item->lsn - 1);
	export->has_record = err == OK;
	return err == OK ? OK : ERR_AGAIN;
}

/* ERR_AGAIN: later. ERR_NOTFOUND: that was all. */
static enum err walk_step(struct rejoin_export *export)
{
	struct walk_item item;
	if (export->has_record && (export->body == NULL || body_is_full(export->body)))
		return append(export, true);
	switch (store_walk_next(export->walk, &item)) {
	case WALK_RECORD:
		body_unref(export->body);     /* of one that cannot be read to its end */
		export->body = NULL;
		export->has_record = false;
		return on_walk_record(export, &item);
	case WALK_BODY:
		if (export->body == NULL)
			return OK;
		memcpy(export->body->ptr + item.offset, item.bytes.ptr, item.bytes.len);
		body_advance(export->body, item.bytes.len);
		return OK;
	case WALK_CORRUPT:
		return OK;
	case WALK_POSITION:
		return item.lsn >= store_last_lsn(export->engine->store) ? ERR_NOTFOUND : ERR_AGAIN;
	case WALK_WAIT:
	default:
		return ERR_AGAIN;
	}
}

/* ---- Keys ---- */

static void on_read(struct store_read *read, enum err err)
{
	struct rejoin_export *export = read->ctx;
	CHECK_OBJ(export, EXPORT_MAGIC);
	export->reading = false;
	struct record *record = &export->record;
	if (err == OK && !export->has_meta) {
		size_t key = record->key.len;
		export->bytes.len = key;
		buf_append(&export->bytes, read->record.meta);
		record->key = span_of(export->bytes.ptr, key);
		record->meta = span_of(export->bytes.ptr + key, export->bytes.len - key);
		export->has_meta = true;
	} else if (err == OK) {
		export->body = read->record.body;
		read->record.body = NULL;
	} else {
		export->has_record = false;
	}
	store_read_fini(read);
	io_timer_set(export->engine->io, &export->timer, 0);
}

static void read_start(struct rejoin_export *export, struct place place, uint64_t lsn, bool meta_only)
{
	export->read = (struct store_read){
	    .done = on_read, .ctx = export, .place = place, .lsn = lsn, .meta_only = meta_only};
	export->reading = true;
	store_read_start(export->engine->store, &export->read);
}

static void keep_value(struct rejoin_export *export, struct record *record, struct entry *entry)
{
	const struct collection *collection = entry_large(entry);
	uint8_t meta[2] = {value_letter(entry->type, collection != NULL), 0};
	struct buf dump;
	record->type = RECORD_VALUE;
	record->meta = span_of(meta, 1);
	buf_init(&dump, &export->engine->memory.engine);
	if (collection != NULL) {
		meta[1] = collection->value.encoding;
		record->meta = span_of(meta, 2);
		value_dump(&collection->value, &dump);
		record->value = buf_span(&dump);
	} else {
		record->value = entry_string(entry);
	}
	struct body *body = NULL;
	if (record->value.len > BODY_INLINE_MAX) {
		if (body_copy(&export->engine->memory.values, record->value, &body) != OK)
			export->failed = true;
		record->value = (struct span){0};
	}
	keep(export, record);
	export->body = body;
	buf_fini(&dump);
}

/* The first key's turn. ERR_NOTFOUND: that was all. */
static enum err keys_step(struct rejoin_export *export)
{
	struct engine *engine = export->engine;
	if (export->reading)
		return ERR_AGAIN;
	if (export->has_record && export->record.type == RECORD_IMAGE && export->body == NULL) {
		struct image_ref ref;
		struct directory *directory = &engine->directories[export->record.db];
		struct entry *entry = directory_lookup(directory, export->record.key);
		export->has_record = entry != NULL && entry->type == ENTRY_IMAGE;
		if (!export->has_record)
			return OK;
		image_ref_of(engine, entry, &ref);
		read_start(export, ref.body, ref.body_lsn, false);
		return ERR_AGAIN;
	}
	if (export->has_record)
		return append(export, false);
	if (list_is_empty(&export->keys))
		return ERR_NOTFOUND;
	struct export_key *key = LIST_OF(export->keys.next, struct export_key, link);
	struct directory *directory = &engine->directories[key->db];
	struct span name = span_of(key->key, key->len);
	struct entry *entry = directory_lookup(directory, name);
	struct record record = {.type = RECORD_IMAGE, .db = key->db, .key = name};
	if (entry != NULL) {
		record.expire_ms = (int64_t)entry_expire_ms(entry);
		if (entry->type == ENTRY_IMAGE) {
			struct image_ref ref;
			image_ref_of(engine, entry, &ref);
			keep(export, &record);
			export->has_meta = false;
			read_start(export, ref.meta, ref.meta_lsn, true);
		} else {
			keep_value(export, &record, entry);
		}
	}
	list_remove(&key->link);
	memory_free(&engine->memory.engine, key, sizeof(*key) + key->len);
	return OK;
}

/* ---- Steps ---- */

static void on_ready(void *ctx)
{
	export_go(ctx);
}

static void walk_begin(struct rejoin_export *export)
{
	export->walk = store_walk_new(export->engine->store, on_ready, export);
	store_walk_seek(export->walk, export->base);
}

static enum err export_step(struct rejoin_export *export)
{
	struct store *store = export->engine->store;
	enum err err = ERR_AGAIN;
	switch ((enum export_phase)export->phase) {
	case EXPORT_SYNCING:
		if (store_durable_lsn(store) < store_last_lsn(store))
			return ERR_AGAIN;
		export->phase = EXPORT_OPENING;
		if (copy_new(export) == OK)
			return ERR_AGAIN;
		export->failed = true;
		return ERR_IO;
	case EXPORT_WALK:
		if (export->walk == NULL)
			walk_begin(export);
		err = walk_step(export);
		if (err == ERR_NOTFOUND)
			export->phase = EXPORT_KEYS;
		return err == ERR_NOTFOUND ? OK : err;
	case EXPORT_KEYS:
		return keys_step(export);
	case EXPORT_OPENING:
	case EXPORT_CLOSING:
	default:
		return ERR_AGAIN;
	}
}

static void export_go(struct rejoin_export *export)
{
	CHECK_OBJ(export, EXPORT_MAGIC);
	enum err err = OK;
	if (export->phase == EXPORT_CLOSING)
		return;
	for (int i = 0; i < STEPS && err == OK && !export->failed && !export->given_up; i++)
		err = export_step(export);
	if (export->phase == EXPORT_OPENING && err == ERR_AGAIN)
		return;                       /* copy_opened goes on */
	if (export->failed || export->given_up || (err != OK && err != ERR_AGAIN)) {
		export_close(export);
		return;
	}
	if (export->store != NULL && export->phase != EXPORT_OPENING)
		store_flush(export->store);
	io_timer_set(export->engine->io, &export->timer, err == OK ? 0 : RETRY_US);
}

static void on_timer(struct io_timer *timer)
{
	export_go(timer->ctx);
}

bool rejoin_export_start(struct engine *engine, uint64_t base)
{
	struct rejoin *rejoin = engine->rejoin;
	if (engine->events->restart == NULL || engine->closing || store_state(engine->store) != OK)
		return false;
	ASSERT(rejoin->exporting == NULL);
	struct rejoin_export *export = memory_zalloc(&engine->memory.engine, sizeof(*export));
	export->magic = EXPORT_MAGIC;
	export->engine = engine;
	export->base = base;
	buf_init(&export->bytes, &engine->memory.engine);
	list_init(&export->keys);
	io_timer_init(&export->timer, on_timer, export);
	rejoin->exporting = export;
	store_sync(engine->store);
	io_timer_set(engine->io, &export->timer, 0);
	return true;
}

void rejoin_export_close(struct engine *engine)
{
	struct rejoin_export *export = engine->rejoin->exporting;
	if (export == NULL)
		return;
	CHECK_OBJ(export, EXPORT_MAGIC);
	export->given_up = true;
	io_timer_cancel(engine->io, &export->timer);
	if (export->phase != EXPORT_CLOSING)
		export_close(export);
}
