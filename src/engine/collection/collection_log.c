/* engine/collection/collection_log.c: see collection_log.h. Recovery is in collection_recover.c. */
#include "engine/collection/collection_log.h"

#include "base/arith.h"
#include "base/varint.h"
#include "engine/checkpoint.h"
#include "engine/collection/collection_state.h"
#include "engine/replica/replica.h"
#include "store/extend.h"

enum {
	SLICES_AT_ONCE = 8,               /* a value of more is dumped in slices */
	CHANGES_MIN = 1 << 9,             /* fewer bytes of changes are not worth a dump */
	RECORDS_FEW = 3,                  /* room for so many is not given back */
	SHRINK_STEP = 512,                /* elements freed between two looks at the clock */
	RELEASE_STEP = 256,
	SLICE_US = 200,
	RETRY_US = 100000,
	ABORTS_MAX = 3,
	OPS_KEPT = 64 << 10,
	OUT_KEPT = 256 << 10,
};

static const uint8_t letters[ENTRY_TYPE_COUNT][2] = {
    [ENTRY_STRING] = {'s', 0}, [ENTRY_HASH] = {'h', 'H'}, [ENTRY_LIST] = {'l', 'L'},
    [ENTRY_SET] = {'t', 'T'}, [ENTRY_ZSET] = {'z', 'Z'}};

uint8_t value_letter(enum entry_type type, bool is_large)
{
	ASSERT(type < ENTRY_TYPE_COUNT);
	return letters[type][is_large];
}

enum err value_type_of(struct span meta, enum entry_type *type, bool *is_large)
{
	if (meta.len < 1 || meta.len > 2 || meta.ptr[0] == 0)
		return ERR_VERSION;
	for (unsigned i = ENTRY_STRING; i < ENTRY_TYPE_COUNT; i++) {
		*is_large = meta.ptr[0] == letters[i][1];
		*type = i;
		if (meta.ptr[0] == letters[i][*is_large])
			return meta.len == 1U + *is_large ? OK : ERR_VERSION;
	}
	return ERR_VERSION;
}

/* ---- All of them ---- */

void collections_new(struct engine *engine)
{
	struct collections *all = memory_zalloc(&engine->memory.engine, sizeof(*all));
	engine->collections = all;
	all->engine = engine;
	all->seed = random_next(&engine->random);
	list_init(&all->due);
	list_init(&all->graves);
	buf_init(&all->out, &engine->memory.engine);
	buf_init(&all->assembling.queue, &engine->memory.engine);
	buf_init(&all->assembling.key, &engine->memory.engine);
	collections_configure(engine);
}

void collections_configure(struct engine *engine)
{
	const struct settings *settings = engine->settings;
	engine->collections->limits = (struct value_limits){
	    .hash_entries = (uint32_t)settings->hash_listpack_entries,
	    .hash_bytes = (uint32_t)settings->hash_listpack_value,
	    .set_entries = (uint32_t)settings->set_listpack_entries,
	    .set_bytes = (uint32_t)settings->set_listpack_value,
	    .intset_entries = (uint32_t)settings->set_intset_entries,
	    .zset_entries = (uint32_t)settings->zset_listpack_entries,
	    .zset_bytes = (uint32_t)settings->zset_listpack_value,
	    .list_size = (int32_t)settings->list_listpack_size,
	    .seed = engine->collections->seed,
	};
}

struct value_limits *collections_limits(struct engine *engine)
{
	return &engine->collections->limits;
}

void collections_take_ops(const struct engine *engine, struct buf *ops)
{
	struct collections *all = engine->collections;
	buf_init(ops, &all->engine->memory.engine);
	if (all->spare_count > 0)
		*ops = all->spare[--all->spare_count];
	buf_clear(ops);
}

void collections_give_ops(const struct engine *engine, struct buf *ops)
{
	struct collections *all = engine->collections;
	if (ops->cap > 0 && ops->cap <= OPS_KEPT && all->spare_count < ARRAY_COUNT(all->spare))
		all->spare[all->spare_count++] = *ops;
	else
		buf_fini(ops);
	buf_init(ops, &all->engine->memory.engine);
}

/* ---- One collection ---- */

void collection_note(struct engine *engine, struct collection *collection, const struct record *record)
{
	if (collection->count == collection->cap) {
		size_t size = sizeof(*collection->records);
		size_t least = (size_t)collection->cap + 1 + collection->cap / 8;
		uint32_t cap = (uint32_t)(packed_class(least * size) / size);
		collection->records = memory_resize(&engine->memory.values, collection->records,
		    collection->cap * size, cap * size);
		collection->cap = cap;
	}
	ASSERT(collection->count == 0 || record->lsn > collection_last_lsn(collection));
	collection->records[collection->count++] = (struct collection_record){
	    .lsn_low = (uint32_t)record->lsn,
	    .lsn_high = (uint16_t)(record->lsn >> 32),
	    .place = record->place,
	};
}

struct collection *collection_new(
    struct engine *engine, struct value *value, const struct record *record)
{
	struct collection *collection = memory_zalloc(&engine->memory.values, sizeof(*collection));
	collection->magic = COLLECTION_MAGIC;
	collection->value = *value;
	value_init(value, value->type, &engine->memory.values);
	if (record == NULL)
		return collection;
	collection->full_lsn = record->lsn;
	collection->full_bytes = record->place.bytes;
	collection_note(engine, collection, record);
	return collection;
}

void collection_free(struct engine *engine, struct collection *collection)
{
	CHECK_OBJ(collection, COLLECTION_MAGIC);
	value_fini(&collection->value);
	memory_free(&engine->memory.values, collection->records,
	    collection->cap * sizeof(*collection->records));
	DROP_OBJ(collection, COLLECTION_MAGIC);
	memory_free(&engine->memory.values, collection, sizeof(*collection));
}

static void collection_release_some(struct engine *engine, struct collection *collection, uint32_t most)
{
	for (; most > 0 && collection->count > 0; most--)
		store_release(engine->store, collection->records[--collection->count].place);
}

/* Its records died now, whenever they are released: the mark that says so must outlive them. */
static void collection_note_deaths(struct engine *engine, const struct collection *collection)
{
	enum { ONE_BY_ONE = 4096 };
	if (engine->loading)
		return;
	if (collection->count > ONE_BY_ONE) {
		store_note_deaths(engine->store);
		return;
	}
	for (uint32_t i = 0; i < collection->count; i++)
		store_note_death(engine->store, collection->records[i].place);
}

void collection_retire(struct engine *engine, struct collection *collection)
{
	struct collections *all = engine->collections;
	CHECK_OBJ(collection, COLLECTION_MAGIC);
	if (all->assembling.beside == collection)
		collections_drop_assembling(engine);
	if (collection->count <= RELEASE_STEP && collection->value.count <= SHRINK_STEP) {
		collection_release_some(engine, collection, RELEASE_STEP);
		collection_free(engine, collection);
		return;
	}
	collection_note_deaths(engine, collection);
	struct grave *grave = memory_alloc(&engine->memory.engine, sizeof(*grave));
	grave->collection = collection;
	list_append(&all->graves, &grave->link);
}

static void grave_drop(struct engine *engine, struct grave *grave)
{
	collection_free(engine, grave->collection);
	list_remove(&grave->link);
	memory_free(&engine->memory.engine, grave, sizeof(*grave));
}

static void drop_each(void *ctx, struct entry *entry)
{
	struct collection *collection = entry_large(entry);
	if (collection != NULL)
		collection_free(ctx, collection);
}

static void collections_drop(struct engine *engine, struct directory *directory)
{
	uint64_t cursor = 0;
	directory_step(directory, 0xffffffff);
	do
		cursor = directory_scan(directory, cursor, drop_each, engine);
	while (cursor != 0);
}

uint64_t collection_bytes(const struct collection *collection)
{
	return sizeof(*collection) + value_bytes(&collection->value) +
	    collection->cap * sizeof(*collection->records);
}

struct place *collection_place(struct collection *collection, uint64_t lsn)
{
	uint32_t low = 0, high = collection->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (collection_record_lsn(&collection->records[middle]) < lsn)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == collection->count || collection_record_lsn(&collection->records[low]) != lsn)
		return NULL;
	return &collection->records[low].place;
}

void collection_forget_before(struct engine *engine, struct collection *collection, uint64_t lsn)
{
	uint32_t gone = 0;
	while (gone < collection->count && collection_record_lsn(&collection->records[gone]) < lsn)
		store_release(engine->store, collection->records[gone++].place);
	collection->count -= gone;
	memmove(collection->records, collection->records + gone,
	    collection->count * sizeof(*collection->records));
	if (collection->cap <= RECORDS_FEW || collection->count > collection->cap / 4)
		return;
	uint32_t cap = collection->count > 0 ? collection->count : 1;
	collection->records = memory_resize(&engine->memory.values, collection->records,
	    collection->cap * sizeof(*collection->records), cap * sizeof(*collection->records));
	collection->cap = cap;
}

/* ---- Changes ---- */

bool collection_join_change(
    struct engine *engine, struct collection *collection, struct span ops, uint64_t *lsn)
{
	struct collection_record *last = &collection->records[collection->count - 1];
	struct place place;
	*lsn = engine->collections->change_lsn;
	if (*lsn == 0 || engine->in_exec || collection_record_lsn(last) != *lsn ||
	    !store_extend(engine->store, *lsn, ops, &place))
		return false;
	last->place = place;
	collection->change_bytes += (uint32_t)ops.len;
	return true;
}

void collections_end_pass(const struct engine *engine)
{
	engine->collections->change_lsn = 0;
}

void collection_fill_change(const struct collection *collection, struct record *record)
{
	record->type = RECORD_CHANGE;
	record->meta = SPAN_LIT("c");
	record->refers = collection_last_lsn(collection);
}

/* A small value whose records take a sixteenth of its bytes: it is soon written anew. */
static bool is_worth_room(const struct collection *collection)
{
	enum { FEW = 4, SHARE = 16, SMALL = 64 << 10 };
	bool plain = collection->value.encoding == VALUE_PACKED || collection->value.encoding == VALUE_INTSET;
	if (!plain || collection->count <= FEW || collection->change_bytes <= CHANGES_MIN)
		return false;
	uint64_t bytes = value_bytes(&collection->value);
	return bytes <= SMALL && SHARE * collection->count * sizeof(*collection->records) > bytes;
}

void collection_changed(struct engine *engine, const struct target *target,
    const struct record *record, struct edit *edit)
{
	struct collection *collection = entry_large(target->entry);
	struct span ops = buf_span(&edit->ops);
	enum err err = value_apply(&collection->value, ops, &engine->collections->limits,
	    &edit->added, &edit->removed);
	ASSERT(err == OK);
	if (record != NULL) {
		collection_note(engine, collection, record);
		collection->change_bytes += record->place.bytes;
		engine->collections->change_lsn = engine->in_exec ? 0 : record->lsn;
	}
	if (collection->begin_lsn != 0 && ops_have_places(ops)) {
		collection->begin_lsn = 0;
		if (collection->aborts < ABORTS_MAX)
			collection->aborts++;
	}
	if (collection->change_bytes > max_u64(CHANGES_MIN, collection->full_bytes) ||
	    is_worth_room(collection))
		collection_due(engine, target);
}

/* ---- Writing anew ---- */

void collection_due(struct engine *engine, const struct target *target)
{
	struct collections *all = engine->collections;
	struct collection *collection = entry_large(target->entry);
	if (collection->is_due || engine->loading)
		return;
	collection->is_due = true;
	struct due *due = memory_alloc(&engine->memory.engine, sizeof(*due) + target->key.len);
	due->db = target->db;
	due->key_bytes = (uint32_t)target->key.len;
	memcpy(due->key, target->key.ptr, target->key.len);
	list_append(&all->due, &due->link);
}

static void due_drop(struct engine *engine, struct due *due)
{
	list_remove(&due->link);
	memory_free(&engine->memory.engine, due, sizeof(*due) + due->key_bytes);
}

/* A record of the whole: what was before is dead. */
static void collection_is_full(struct engine *engine, const struct target *target,
    const struct record *record, uint64_t from_lsn)
{
	struct collection *collection = entry_large(target->entry);
	collection_note(engine, collection, record);
	collection_forget_before(engine, collection, from_lsn);
	collection->full_lsn = record->lsn;
	collection->full_bytes = collection->change_bytes = 0;
	for (uint32_t i = 0; i < collection->count; i++)
		collection->full_bytes += collection->records[i].place.bytes;
	collection->begin_lsn = 0;
	collection->aborts = 0;
	target->entry->lsn = record->lsn & LSN_MASK;
	engine_touch_place(engine, target->db, target->hash);
}

enum err collection_rewrite(struct engine *engine, const struct target *target)
{
	struct collection *collection = entry_large(target->entry);
	struct buf *out = &engine->collections->out;
	const uint8_t meta[2] = {value_letter(target->entry->type, true), collection->value.encoding};
	struct record record = {
	    .type = RECORD_VALUE,
	    .db = target->db,
	    .key = target->key,
	    .meta = span_of(meta, sizeof(meta)),
	    .sync = (uint8_t)engine_sync_level(engine, target->entry->type),
	    .expire_ms = (int64_t)entry_expire_ms(target->entry),
	    .can_wait = true,
	};
	buf_clear(out);
	value_dump(&collection->value, out);
	record.value = buf_span(out);
	enum err err = engine_append(engine, &record);
	if (out->cap > OUT_KEPT)
		buf_fini(out);
	if (err == OK)
		collection_is_full(engine, target, &record, record.lsn);
	return err;
}

/* One more CHANGE of the dump; `record` has meta and value. */
static enum err dump_append(struct engine *engine, const struct target *target, struct record *record)
{
	struct collection *collection = entry_large(target->entry);
	record->type = RECORD_CHANGE;
	record->db = target->db;
	record->key = target->key;
	record->refers = collection_last_lsn(collection);
	record->sync = (uint8_t)engine_sync_level(engine, target->entry->type);
	record->can_wait = true;
	enum err err = engine_append(engine, record);
	if (err != OK)
		return err;
	target->entry->lsn = record->lsn & LSN_MASK;
	engine_touch_place(engine, target->db, target->hash);
	return OK;
}

static enum err dump_begin(struct engine *engine, const struct target *target)
{
	struct collections *all = engine->collections;
	struct collection *collection = entry_large(target->entry);
	uint8_t meta[2 + 2 * VARINT64_MAX] = {'b', value_letter(target->entry->type, true)}, *end;
	bool is_list = target->entry->type == ENTRY_LIST;
	all->head = is_list ? list_head_number(&collection->value) : 0;
	all->count = collection->value.count;
	end = varint64_put(meta + 2, varint64_fold(all->head));
	end = varint64_put(end, all->count);
	struct record record = {.meta = span_of(meta, (size_t)(end - meta))};
	enum err err = dump_append(engine, target, &record);
	if (err != OK)
		return err;
	collection_note(engine, collection, &record);
	collection->change_bytes += record.place.bytes;
	collection->begin_lsn = all->begin_lsn = record.lsn;
	all->cursor = 0;
	return OK;
}

static size_t piece_bytes(const struct collections *all)
{
	return (size_t)all->engine->settings->rewrite_slice_bytes;
}

/* Elements of a list from the one that was number `cursor` from the head when the dump began. */
static uint64_t dump_list_some(struct collections *all, const struct value *value)
{
	int64_t shift = list_head_number(value) - all->head;      /* of the head since then */
	uint64_t at = all->cursor;
	if (shift > 0 && at < (uint64_t)shift)
		at = (uint64_t)shift;         /* they are popped again when the changes are done */
	uint64_t place = (uint64_t)((int64_t)at - shift);
	if (at >= all->count || place >= value->count)
		return 0;
	struct walk walk;
	walk_init_at(&walk, value, place, false);
	for (; at < all->count && all->out.len < piece_bytes(all) && walk_next(&walk); at++)
		ops_place(&all->out, OP_PUT, at, walk.name.bytes);
	return at < all->count && (uint64_t)((int64_t)at - shift) < value->count ? at : 0;
}

/* One that is refused is written again, as things are then. */
static enum err dump_piece(struct engine *engine, const struct target *target)
{
	struct collections *all = engine->collections;
	struct collection *collection = entry_large(target->entry);
	buf_clear(&all->out);
	uint64_t next = target->entry->type == ENTRY_LIST
	    ? dump_list_some(all, &collection->value)
	    : value_dump_some(&collection->value, all->cursor, piece_bytes(all), &all->out);
	struct record record = {.meta = SPAN_LIT("p"), .value = buf_span(&all->out)};
	if (all->out.len == 0) {
		all->pieces_over = true;
		return OK;
	}
	enum err err = dump_append(engine, target, &record);
	if (err != OK)
		return err;
	collection_note(engine, collection, &record);
	collection->change_bytes += record.place.bytes;
	all->cursor = next;
	all->pieces_over = next == 0;
	return OK;
}

static enum err dump_end(struct engine *engine, const struct target *target)
{
	struct record record = {
	    .meta = SPAN_LIT("e"), .expire_ms = (int64_t)entry_expire_ms(target->entry)};
	enum err err = dump_append(engine, target, &record);
	if (err == OK)
		collection_is_full(engine, target, &record, engine->collections->begin_lsn);
	return err;
}

/* The next step for the first that is due. *over: it is not due any more; *wait: it cannot begin yet. */
static enum err due_step(
    struct engine *engine, const struct target *target, bool *over, bool *wait)
{
	struct collections *all = engine->collections;
	struct collection *collection = entry_large(target->entry);
	bool is_on = all->begin_lsn != 0 && collection->begin_lsn == all->begin_lsn;
	*over = false;
	if (!is_on) {
		all->begin_lsn = 0;
		all->pieces_over = false;
		bool plain = collection->value.encoding == VALUE_PACKED ||
		    collection->value.encoding == VALUE_INTSET;
		if (!plain && collection->aborts < ABORTS_MAX &&
		    value_dump_bytes(&collection->value) > SLICES_AT_ONCE * piece_bytes(all)) {
			*wait = checkpoints_is_running(engine);
			return *wait ? OK : dump_begin(engine, target);
		}
		*over = true;
		return collection_rewrite(engine, target);
	}
	if (!all->pieces_over)
		return dump_piece(engine, target);
	*over = true;
	return dump_end(engine, target);
}

/* Something is due, and the log may be written now, or as soon as it is not pressed. */
static bool dues_can_go_on(const struct engine *engine)
{
	const struct collections *all = engine->collections;
	return !list_is_empty(&all->due) && io_now_us(engine->io) >= all->retry_us &&
	    store_state(engine->store) == OK && !engine->pause.is_on && !engine->closing;
}

bool collections_let_checkpoint(struct engine *engine)
{
	struct collections *all = engine->collections;
	if (all->begin_lsn != 0 && dues_can_go_on(engine))
		return false;
	all->begin_lsn = 0;
	return true;
}

/* True: there is more to do at once. */
static bool dues_step(struct engine *engine)
{
	struct collections *all = engine->collections;
	if (!dues_can_go_on(engine) || engine->is_pressed)
		return false;
	struct due *due = LIST_OF(all->due.next, struct due, link);
	struct directory *directory = &engine->directories[due->db];
	struct target target = {.db = due->db, .key = span_of(due->key, due->key_bytes)};
	target.hash = directory_hash(directory, target.key);
	target.entry = directory_find(directory, target.key, target.hash);
	struct collection *collection = target.entry == NULL ? NULL : entry_large(target.entry);
	bool over = collection == NULL || !collection->is_due, wait = false;
	enum err err = over ? OK : due_step(engine, &target, &over, &wait);
	if (err != OK) {
		all->retry_us = io_now_us(engine->io) + RETRY_US;
		return false;
	}
	if (over) {
		if (collection != NULL)
			collection->is_due = false;
		all->begin_lsn = 0;
		all->pieces_over = false;
		due_drop(engine, due);
	}
	return !wait && !list_is_empty(&all->due);
}

static bool graves_step(struct engine *engine)
{
	struct collections *all = engine->collections;
	uint64_t from_us = io_clock_us(engine->io);
	while (!list_is_empty(&all->graves)) {
		struct grave *grave = LIST_OF(all->graves.next, struct grave, link);
		collection_release_some(engine, grave->collection, RELEASE_STEP);
		bool more = value_shrink(&grave->collection->value, SHRINK_STEP);
		if (!more && grave->collection->count == 0)
			grave_drop(engine, grave);
		if (io_clock_us(engine->io) - from_us > SLICE_US)
			break;
	}
	return !list_is_empty(&all->graves);
}

bool collections_step(struct engine *engine)
{
	bool more = !list_is_empty(&engine->collections->graves) && graves_step(engine);
	return (!engine_follows(engine) && dues_step(engine)) || more;
}

void collections_clear(struct engine *engine)
{
	struct collections *all = engine->collections;
	collections_drop_assembling(engine);
	collections_drop_preparing(engine);
	while (!list_is_empty(&all->due))
		due_drop(engine, LIST_OF(all->due.next, struct due, link));
	while (!list_is_empty(&all->graves))
		grave_drop(engine, LIST_OF(all->graves.next, struct grave, link));
	all->begin_lsn = 0;
	for (unsigned db = 0; db < DATABASE_COUNT; db++)
		collections_drop(engine, &engine->directories[db]);
}

void collections_free(struct engine *engine)
{
	struct collections *all = engine->collections;
	if (all == NULL)
		return;
	collections_clear(engine);
	while (all->spare_count > 0)
		buf_fini(&all->spare[--all->spare_count]);
	buf_fini(&all->out);
	buf_fini(&all->assembling.queue);
	buf_fini(&all->assembling.key);
	memory_free(&engine->memory.engine, all, sizeof(*all));
	engine->collections = NULL;
}
