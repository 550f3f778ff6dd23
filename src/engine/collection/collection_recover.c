/* engine/collection/collection_recover.c: large collections from the log, and from the chunks of a
 * checkpoint. See collection_log.h. */
#include "engine/collection/collection_state.h"

#include "base/arith.h"
#include "engine/chunk.h"
#include "store/chunks.h"

enum { FILL_SOME = 1024, CHUNK_PART_MAX = 1 << 30, AT_ONCE_BYTES = 256 << 10, PREPARE_BYTES = 64 << 10 };

static struct span record_bytes(const struct record *record)
{
	return record->body != NULL ? body_span(record->body) : record->value;
}

/* ---- VALUE ---- */

void collections_drop_preparing(struct engine *engine)
{
	struct preparing *preparing = &engine->collections->preparing;
	struct value *value = &preparing->value;
	if (preparing->body == NULL)
		return;
	body_unref(preparing->body);
	preparing->body = NULL;
	if (value->count > 0)                 /* it may be long, too */
		collection_retire(engine, collection_new(engine, value, NULL));
	else
		value_fini(value);
}

enum err collection_prepare(struct engine *engine, const struct record *record)
{
	struct preparing *preparing = &engine->collections->preparing;
	enum entry_type type;
	bool is_large;
	if (record->type != RECORD_VALUE || record->body == NULL || record->body->len <= AT_ONCE_BYTES ||
	    value_type_of(record->meta, &type, &is_large) != OK || !is_large ||
	    record->meta.ptr[1] <= VALUE_INTSET)
		return OK;
	if (preparing->body != record->body) {
		collections_drop_preparing(engine);
		value_init(&preparing->value, type, &engine->memory.values);
		preparing->body = body_ref(record->body);
		preparing->rest = body_span(record->body);
		preparing->err = ERR_AGAIN;
	}
	if (preparing->err != ERR_AGAIN)
		return preparing->err;
	enum err err = value_load_some(
	    &preparing->value, &preparing->rest, PREPARE_BYTES, collections_limits(engine));
	preparing->err = err == OK && preparing->rest.len > 0 ? ERR_AGAIN : err;
	return preparing->err;
}

/* False: it was not. */
static bool take_prepared(struct engine *engine, const struct record *record, struct value *value)
{
	struct preparing *preparing = &engine->collections->preparing;
	if (preparing->body == NULL || preparing->body != record->body || preparing->err != OK)
		return false;
	*value = preparing->value;
	value_init(&preparing->value, value->type, &engine->memory.values);
	collections_drop_preparing(engine);
	return true;
}

static enum err load_value(struct engine *engine, const struct record *record, struct value *value)
{
	enum entry_type type;
	bool is_large;
	enum err err = value_type_of(record->meta, &type, &is_large);
	if (err != OK)
		return err;
	if (!is_large)
		return ERR_VERSION;
	if (take_prepared(engine, record, value))
		return OK;
	value_init(value, type, &engine->memory.values);
	err = value_load(value, record->meta.ptr[1], record_bytes(record), collections_limits(engine));
	if (err != OK)
		value_fini(value);
	return err;
}

enum err collection_recover_value(
    struct engine *engine, const struct target *target, const struct record *record)
{
	struct value value;
	enum err err = load_value(engine, record, &value);
	if (err != OK)
		return err;
	if (target->entry != NULL)
		target->entry->flags &= 0xfffU & ~(unsigned)ENTRY_AWAITED;
	(void)apply_collection(engine, target, record, collection_new(engine, &value, record));
	return OK;
}

/* ---- Dumps in slices ---- */

/* It is not to be, or is not needed any more. */
void collections_drop_assembling(struct engine *engine)
{
	struct assembling *assembling = &engine->collections->assembling;
	struct collection *made = assembling->made;
	if (made == NULL)
		return;
	assembling->made = NULL;
	if (assembling->beside == NULL && engine->loading)
		collection_forget_before(engine, made, UINT64_MAX);
	assembling->beside = NULL;
	buf_fini(&assembling->queue);
	collection_free(engine, made);
}

static bool is_assembled(const struct assembling *assembling, const struct target *target,
    const struct record *record)
{
	return assembling->made != NULL && assembling->db == target->db &&
	    span_equal(buf_span(&assembling->key), target->key) &&
	    collection_last_lsn(assembling->made) == record->refers;
}

/* A list of as many elements as it had, to be filled. */
static enum err fill_list(struct engine *engine, struct value *value, uint64_t count)
{
	struct buf ops;
	enum err err = OK;
	buf_init(&ops, &engine->memory.engine);
	for (uint64_t done = 0; done < count && err == OK;) {
		buf_clear(&ops);
		uint64_t some = min_u64(count - done, FILL_SOME);
		for (uint64_t i = 0; i < some; i++)
			ops_member(&ops, OP_PUSH_TAIL, (struct span){0});
		done += some;
		err = value_apply(value, buf_span(&ops), &engine->collections->limits, NULL, NULL);
	}
	buf_fini(&ops);
	return err;
}

/* What a 'b' says; the value is empty, but for a list's places. */
static enum err begin_value(struct engine *engine, const struct record *record, struct value *value)
{
	uint64_t head, count;
	enum entry_type type;
	bool is_large;
	struct span meta = span_slice(record->meta, 1, 1);
	struct span rest = span_slice(record->meta, 2, record->meta.len);
	const uint8_t letter[2] = {meta.len == 1 ? meta.ptr[0] : 0, 0};
	enum err err = value_type_of(span_of(letter, 2), &type, &is_large);
	if (err != OK || !is_large || !varint64_take(&rest, &head) || !varint64_take(&rest, &count))
		return ERR_VERSION;
	value_init(value, type, &engine->memory.values);
	if (type == ENTRY_LIST)
		err = fill_list(engine, value, count);
	if (err != OK)
		value_fini(value);
	return err;
}

static enum err recover_begin(struct engine *engine, const struct target *target,
    const struct record *record, struct collection *beside)
{
	struct assembling *assembling = &engine->collections->assembling;
	struct value value;
	collections_drop_assembling(engine);
	enum err err = begin_value(engine, record, &value);
	if (err != OK)
		return err;
	assembling->made = collection_new(engine, &value, NULL);
	assembling->made->begin_lsn = record->lsn;
	assembling->beside = beside;
	assembling->db = target->db;
	buf_clear(&assembling->key);
	buf_append(&assembling->key, target->key);
	collection_note(engine, assembling->made, record);
	return OK;
}

/* A change, or a part, of what is being assembled. False: it comes to nothing. */
static bool assemble(struct engine *engine, const struct record *record)
{
	struct assembling *assembling = &engine->collections->assembling;
	struct collection *made = assembling->made;
	struct span ops = record_bytes(record);
	bool is_change = record->meta.ptr[0] == 'c';
	if (is_change && ops_have_places(ops))
		return false;
	collection_note(engine, made, record);
	if (is_change && made->value.type == ENTRY_LIST) {
		buf_append(&assembling->queue, ops);
		return true;
	}
	return value_apply(&made->value, ops, &engine->collections->limits, NULL, NULL) == OK;
}

/* The dump is whole: it is the key's value from now on. */
static enum err assembled(
    struct engine *engine, const struct target *target, const struct record *record)
{
	struct assembling *assembling = &engine->collections->assembling;
	struct collection *made = assembling->made, *old = assembling->beside;
	enum err err = value_apply(&made->value, buf_span(&assembling->queue),
	    &engine->collections->limits, NULL, NULL);
	if (err != OK) {
		collections_drop_assembling(engine);
		return old != NULL ? OK : err;
	}
	collection_note(engine, made, record);
	made->full_lsn = record->lsn;
	for (uint32_t i = 0; i < made->count; i++)
		made->full_bytes += made->records[i].place.bytes;
	uint64_t begin_lsn = made->begin_lsn;
	made->begin_lsn = 0;
	assembling->made = assembling->beside = NULL;
	buf_fini(&assembling->queue);
	if (old != NULL) {
		collection_forget_before(engine, old, begin_lsn);
		old->count = 0;               /* the rest is made's, too */
	}
	(void)apply_collection(engine, target, record, made);
	return OK;
}

/* ---- CHANGE ---- */

/* One that is missing makes all that follows it worthless. */
static void chain_broken(struct engine *engine, struct target *target, const struct record *record)
{
	const struct ending ending = {record->lsn, record->time_ms, VERSION_SUPERSEDED};
	log_verbose(engine->log, "record %llu follows one that is not there: what its key was is dropped",
	    (unsigned long long)record->lsn);
	engine_forget(engine, target->db, target->entry, target->hash, &ending);
	target->entry = NULL;
}

/* What the key has is as new: this record follows. */
static enum err recover_next(struct engine *engine, const struct target *target,
    const struct record *record)
{
	struct collection *collection = entry_large(target->entry);
	uint8_t kind = record->meta.ptr[0];
	enum err err = OK;
	if (kind == 'c')
		err = value_apply(&collection->value, record_bytes(record),
		    &engine->collections->limits, NULL, NULL);
	if (err != OK)
		return err;
	collection_note(engine, collection, record);
	collection->change_bytes += record->place.bytes;
	if (kind == 'b')
		collection->begin_lsn = record->lsn;
	else if (kind == 'c' && ops_have_places(record_bytes(record)))
		collection->begin_lsn = 0;
	target->entry->lsn = record->lsn & LSN_MASK;
	engine_touch(engine, target->db, target->hash);
	return OK;
}

enum err collection_recover_change(
    struct engine *engine, const struct target *at, const struct record *record)
{
	struct target target = *at;
	struct assembling *assembling = &engine->collections->assembling;
	if (record->meta.len == 0)
		return ERR_VERSION;
	uint8_t kind = record->meta.ptr[0];
	bool made = is_assembled(assembling, &target, record);
	struct collection *collection = target.entry == NULL ? NULL : entry_large(target.entry);
	bool next = collection != NULL && !(target.entry->flags & ENTRY_AWAITED) &&
	    collection_last_lsn(collection) == record->refers;
	if (target.entry != NULL && target.entry->type != ENTRY_IMAGE && !next)
		chain_broken(engine, &target, record);
	if (made && kind == 'e') {
		if (next)
			(void)recover_next(engine, &target, record);
		return assembled(engine, &target, record);
	}
	enum err err = next ? recover_next(engine, &target, record) : ERR_NOTFOUND;
	if (next && err != OK) {
		chain_broken(engine, &target, record);
		return err;
	}
	if (kind == 'b')
		return recover_begin(engine, &target, record, next ? collection : NULL);
	if (made && !assemble(engine, record))
		collections_drop_assembling(engine);
	return made ? OK : err;
}

void collections_recovered(struct engine *engine)
{
	collections_drop_assembling(engine);
}

bool value_is_sound(enum entry_type type, struct span bytes)
{
	return bytes.len > 1 && (bytes.ptr[0] == VALUE_PACKED || bytes.ptr[0] == VALUE_INTSET) &&
	    value_check(type, bytes.ptr[0], span_slice(bytes, 1, bytes.len));
}

/* ---- Checkpoints ---- */

bool collection_needs_fetch(const struct collection *collection)
{
	return value_dump_bytes(&collection->value) > BODY_INLINE_MAX;
}

void collection_write(const struct collection *collection, struct buf *out)
{
	uint8_t numbers[5 * VARINT64_MAX], *at = numbers;
	uint64_t before = 0;
	bool inside = !collection_needs_fetch(collection);
	at = varint64_put(at, collection->full_lsn);
	at = varint64_put(at, collection->begin_lsn);
	at = varint64_put(at, collection->full_bytes);
	at = varint64_put(at, collection->change_bytes);
	at = varint64_put(at, collection->count);
	buf_append(out, span_of(numbers, (size_t)(at - numbers)));
	for (uint32_t i = 0; i < collection->count; i++) {
		const struct collection_record *record = &collection->records[i];
		at = varint64_put(numbers, collection_record_lsn(record) - before);
		at = put_place(at, record->place);
		before = collection_record_lsn(record);
		buf_append(out, span_of(numbers, (size_t)(at - numbers)));
	}
	buf_append_u8(out, inside ? (uint8_t)(1 + collection->value.encoding) : 0);
	if (inside)
		value_dump(&collection->value, out);
}

static bool load_records(struct engine *engine, struct collection *collection, struct span *in)
{
	uint64_t count, changes, lsn = 0, step;
	if (!varint64_take(in, &collection->full_lsn) || !varint64_take(in, &collection->begin_lsn) ||
	    !varint64_take(in, &collection->full_bytes) || !varint64_take(in, &changes) ||
	    !varint64_take(in, &count))
		return false;
	if (count == 0 || count > in->len || changes >> 48 != 0)
		return false;
	collection->change_bytes = changes & UINT64_C(0xffffffffffff);
	for (uint64_t i = 0; i < count; i++) {
		struct record record = {0};
		if (!varint64_take(in, &step) || step == 0 || !take_place(in, &record.place))
			return false;
		record.lsn = lsn += step;
		collection_note(engine, collection, &record);
	}
	return true;
}

struct collection *collection_load(
    struct engine *engine, enum entry_type type, struct span *in, bool *fetch)
{
	struct value value;
	value_init(&value, type, &engine->memory.values);
	struct collection *collection = collection_new(engine, &value, NULL);
	bool fine = load_records(engine, collection, in) && in->len > 0;
	*fetch = fine && in->ptr[0] == 0;
	if (fine && !*fetch)
		fine = value_load(&collection->value, in->ptr[0] - 1, span_slice(*in, 1, in->len),
		           &engine->collections->limits) == OK;
	if (!fine) {
		collection_free(engine, collection);
		return NULL;
	}
	for (uint32_t i = 0; i < collection->count; i++) {
		struct collection_record *record = &collection->records[i];
		engine_adopt(engine, &record->place, collection_record_lsn(record));
	}
	for (uint32_t i = 0; *fetch && i < collection->count; i++) {
		if (store_fetch(engine->store, collection->records[i].place))
			continue;
		collection_free(engine, collection);
		return NULL;
	}
	return collection;
}

/* Does what the record says, of those that make the value: parts of a dump that has no end, and the 'b'
 * of that, say nothing new. */
static enum err fetched_apply(
    struct engine *engine, struct collection *collection, const struct record *record)
{
	struct buf *queue = &engine->collections->assembling.queue;
	uint8_t kind = record->meta.len == 0 ? 0 : record->meta.ptr[0];
	bool before = record->lsn < collection->full_lsn;
	const struct value_limits *limits = &engine->collections->limits;
	if (record->type == RECORD_VALUE || (kind == 'b' && collection->told == 0)) {
		value_fini(&collection->value);
		buf_clear(queue);
		enum err err = record->type == RECORD_VALUE
		    ? load_value(engine, record, &collection->value)
		    : begin_value(engine, record, &collection->value);
		if (err != OK)
			value_init(&collection->value, ENTRY_HASH, &engine->memory.values);
		return err;
	}
	if (kind == 'b' || (kind == 'p' && !before))
		return OK;
	if (kind == 'c' && before && collection->value.type == ENTRY_LIST) {
		buf_append(queue, record_bytes(record));
		return OK;
	}
	if (kind != 'e')
		return value_apply(&collection->value, record_bytes(record), limits, NULL, NULL);
	enum err err = value_apply(&collection->value, buf_span(queue), limits, NULL, NULL);
	buf_fini(queue);
	return err;
}

void collection_recover_fetched(
    struct engine *engine, const struct target *target, const struct record *record)
{
	struct collection *collection = entry_large(target->entry);
	if (!(target->entry->flags & ENTRY_AWAITED) ||
	    record->lsn != collection_record_lsn(&collection->records[collection->told]))
		return;
	if (fetched_apply(engine, collection, record) != OK)
		return;                       /* still awaited: the key is dropped at the end */
	if (++collection->told < collection->count)
		return;
	target->entry->flags &= 0xfffU & ~(unsigned)ENTRY_AWAITED;
	ASSERT(engine->awaited > 0);
	engine->awaited--;
}
