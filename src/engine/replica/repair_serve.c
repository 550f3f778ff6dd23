/* engine/replica/repair_serve.c: records for peers that cannot read theirs. See repair.h. */
#include "engine/replica/repair_parts.h"

#include "base/arith.h"
#include "base/endian.h"
#include "engine/collection/collection_log.h"
#include "engine/replica/renew.h"

enum {
	DUMP_SLICE = 64 << 10, AGAIN_US = 200000, LATER_US = 2000000, SERVINGS_MAX = 64, FETCHED_HEAD = 28,
	OUT_MAX = 1 << 20,
};

/* ---- Bytes ---- */

bool fetched_read(struct span payload, struct fetched *out)
{
	if (payload.len < FETCHED_HEAD)
		return false;
	uint64_t head = load_le32(payload.ptr + 24);
	if (head > payload.len - FETCHED_HEAD)
		return false;
	*out = (struct fetched){
	    .lsn = load_le64(payload.ptr),
	    .body_bytes = load_le64(payload.ptr + 8),
	    .at = load_le64(payload.ptr + 16),
	    .head = span_slice(payload, FETCHED_HEAD, (size_t)head),
	    .bytes = span_slice(payload, FETCHED_HEAD + (size_t)head, payload.len),
	};
	return out->at != FETCHED_LATER || payload.len == FETCHED_HEAD;
}

void fetched_write(struct buf *out, const struct fetched *fetched)
{
	uint8_t head[FETCHED_HEAD];
	store_le64(head, fetched->lsn);
	store_le64(head + 8, fetched->body_bytes);
	store_le64(head + 16, fetched->at);
	store_le32(head + 24, (uint32_t)fetched->head.len);
	buf_append(out, span_of(head, sizeof(head)));
	buf_append(out, fetched->head);
	buf_append(out, fetched->bytes);
}

void repair_ask_leader(struct engine *engine, const struct repair_ask *ask)
{
	char lsn[24], db[24], type[24], from[24];
	const struct span words[] = {SPAN_LIT("REPLCONF"), SPAN_LIT("FETCH"), frame_word(lsn, ask->lsn),
	    frame_word(db, ask->db), frame_word(type, ask->type), frame_word(from, ask->from), ask->key};
	follower_command(&engine->replication->follower, words, ARRAY_COUNT(words));
}

void repair_ask_follower(struct replica_link *link, const struct repair_ask *ask)
{
	uint8_t head[REPAIR_ASK_HEAD];
	struct buf payload;
	store_le64(head, ask->lsn);
	store_le64(head + 8, ask->behind);
	store_le64(head + 16, ask->from);
	head[24] = ask->db;
	head[25] = ask->type;
	buf_init(&payload, &link->session->engine->memory.replies);
	buf_append(&payload, span_of(head, sizeof(head)));
	buf_append(&payload, ask->key);
	frame_write(renew_frames_for(link), FRAME_FETCH, buf_span(&payload), false);
	buf_fini(&payload);
}

/* ---- Where it lies here ---- */

static bool value_place(struct entry *entry, uint64_t lsn, struct place *out)
{
	struct collection *collection = entry_large(entry);
	const struct place *found = collection == NULL ? NULL : collection_place(collection, lsn);
	if (collection == NULL)
		found = &entry_value(entry)->place;
	if (found != NULL)
		*out = *found;
	return found != NULL;
}

static bool find_place(struct engine *engine, const struct repair_ask *ask, struct place *out)
{
	struct directory *directory = &engine->directories[ask->db];
	struct entry *entry = directory_lookup(directory, ask->key);
	struct image_ref ref;
	if (entry != NULL && entry->type != ENTRY_IMAGE)
		return value_place(entry, ask->lsn, out);
	if (entry != NULL) {
		image_ref_of(engine, entry, &ref);
		if (ask->type == RECORD_IMAGE && ref.body_lsn == ask->lsn) {
			*out = ref.body;
			return true;
		}
		if (ref.meta_lsn == ask->lsn) {
			*out = ref.meta;
			return true;
		}
	}
	return past_held_place(engine, ask->lsn, out);
}

/* ---- Servings ---- */

static void serving_drop(struct repair_serving *serving)
{
	struct repairs *repairs = serving->repairs;
	if (serving->read.state != NULL)
		store_read_fini(&serving->read);
	list_remove(&serving->link);
	repairs->serving_count--;
	buf_fini(&serving->meta);
	buf_fini(&serving->copy);
	memory_free(&repairs->engine->memory.engine, serving, sizeof(*serving) + serving->ask.key.len);
}

void servings_drop(struct repairs *repairs, const struct replica_link *to, bool all)
{
	struct list *at = repairs->servings.next;
	while (at != &repairs->servings) {
		struct repair_serving *serving = LIST_OF(at, struct repair_serving, link);
		at = at->next;
		if (all || serving->to == to)
			serving_drop(serving);
	}
}

/* It takes long, and is asked for again: it goes on. */
static bool is_being_served(
    const struct repairs *repairs, const struct replica_link *link, const struct repair_ask *ask)
{
	for (struct list *at = repairs->servings.next; at != &repairs->servings; at = at->next) {
		const struct repair_serving *serving = LIST_OF(at, struct repair_serving, link);
		if (serving->to == link && serving->dumping && serving->ask.lsn == ask->lsn &&
		    serving->ask.db == ask->db && serving->ask.behind == ask->behind &&
		    span_equal(serving->ask.key, ask->key))
			return true;
	}
	return false;
}

bool repair_asked(struct engine *engine, struct replica_link *link, const struct repair_ask *ask)
{
	struct repairs *repairs = engine->repairs;
	if (ask->db >= DATABASE_COUNT || ask->key.len > KEY_BYTES_MAX || (ask->lsn == 0 && link != NULL))
		return false;
	if (is_being_served(repairs, link, ask))
		return true;
	servings_drop(repairs, link, false);  /* who asks anew waits for that only */
	if (repairs->serving_count >= SERVINGS_MAX)
		return false;
	struct repair_serving *serving =
	    memory_zalloc(&engine->memory.engine, sizeof(*serving) + ask->key.len);
	serving->repairs = repairs;
	serving->to = link;
	serving->ask = *ask;
	buf_init(&serving->meta, &engine->memory.engine);
	buf_init(&serving->copy, &engine->memory.values);
	if (ask->key.len > 0)
		memcpy(serving + 1, ask->key.ptr, ask->key.len);
	serving->ask.key = span_of((uint8_t *)(serving + 1), ask->key.len);
	list_append(&repairs->servings, &serving->link);
	repairs->serving_count++;
	return true;
}

/* True: what is wrong is not the record. */
static bool is_short_of_memory(struct repair_serving *serving, enum err err)
{
	if (err != ERR_OVERLOADED && err != ERR_MEMORY)
		return false;
	serving->again_us = io_now_us(serving->repairs->engine->io) + AGAIN_US;
	return true;
}

static void on_image_read(struct store_read *read, enum err err)
{
	struct repair_serving *serving = read->ctx;
	serving->reading = false;
	serving->err = err;
	(void)is_short_of_memory(serving, err);
}

static void on_read(struct store_read *read, enum err err)
{
	struct repair_serving *serving = read->ctx;
	serving->reading = false;
	if (is_short_of_memory(serving, err))
		return;
	serving->is_read = true;
	serving->err = err;
	bool is_it = err == OK && read->record.lsn == serving->ask.lsn &&
	    read->record.type == serving->ask.type && span_equal(read->record.key, serving->ask.key);
	if (!is_it && serving->err == OK)
		serving->err = ERR_NOTFOUND;
	serving->record = read->record;
	if (serving->err == OK && read->record.body != NULL)
		serving->bytes = body_span(read->record.body);
}

static void serving_read(struct repair_serving *serving, struct place place, uint64_t lsn, bool meta_only)
{
	serving->read = (struct store_read){
	    .done = serving->ask.lsn != 0 ? on_read : on_image_read,
	    .ctx = serving,
	    .place = place,
	    .lsn = lsn,
	    .meta_only = meta_only,
	};
	serving->reading = true;
	store_read_start(serving->repairs->engine->store, &serving->read);
}

/* ---- What a key is now ---- */

/* Everything up to there has come, and was done. */
static bool is_applied(const struct engine *engine, uint64_t lsn)
{
	const struct replication *replication = engine->replication;
	return list_is_empty(&replication->pending) &&
	    max_u64(replication->applied, replication->position) >= lsn;
}

/* Begins with what it is. */
static void value_begin(struct repair_serving *serving, struct entry *entry)
{
	struct collection *collection = entry_large(entry);
	buf_clear(&serving->meta);
	buf_clear(&serving->copy);
	serving->entry_lsn = entry->lsn;
	buf_append_u8(&serving->meta, value_letter(entry->type, collection != NULL));
	if (collection == NULL) {
		serving->bytes = entry_string(entry);
		return;
	}
	const struct value *value = &collection->value;
	buf_append_u8(&serving->meta, (uint8_t)value->encoding);
	serving->dumping = value->encoding > VALUE_INTSET;
	if (serving->dumping) {
		buf_reserve(&serving->copy, value_dump_bytes(value));
		walk_init(&serving->walk, value);
	} else {
		value_dump(value, &serving->copy);
		serving->bytes = buf_span(&serving->copy);
	}
}

/* In slices. False: there is more. */
static bool copy_value(struct repair_serving *serving, struct entry *entry)
{
	const struct collection *collection = entry_large(entry);
	bool goes_on = serving->dumping && collection != NULL && serving->entry_lsn == entry->lsn &&
	    serving->walk.value == &collection->value;
	serving->dumping = goes_on;
	if (!goes_on)
		value_begin(serving, entry);
	if (serving->dumping && value_dump_next(&serving->walk, DUMP_SLICE, &serving->copy))
		return false;
	if (serving->dumping)
		serving->bytes = buf_span(&serving->copy);
	serving->dumping = false;
	return true;
}

/* A string is not copied: what is sent of it is that of which the head spoke, or it begins anew. */
static bool string_is_there(struct repair_serving *serving)
{
	const struct repair_ask *ask = &serving->ask;
	bool is_string = ask->lsn == 0 && serving->err == OK && serving->record.type == RECORD_VALUE &&
	    serving->copy.len == 0;
	if (!is_string)
		return true;
	struct entry *entry =
	    directory_lookup(&serving->repairs->engine->directories[ask->db], ask->key);
	if (entry != NULL && entry->type != ENTRY_IMAGE && entry_large(entry) == NULL &&
	    entry->lsn == serving->entry_lsn) {
		serving->bytes = entry_string(entry);
		return true;
	}
	serving->is_read = serving->has_begun = false;
	return false;
}

/* Metadata first, then the body. False: it is being read. */
static bool copy_image(struct repair_serving *serving, struct entry *entry)
{
	struct image_ref ref;
	image_ref_of(serving->repairs->engine, entry, &ref);
	if (serving->read.state == NULL || serving->entry_lsn != entry->lsn) {
		if (serving->read.state != NULL)
			store_read_fini(&serving->read);
		buf_clear(&serving->meta);
		serving->has_meta = false;
		serving->entry_lsn = entry->lsn;
		serving_read(serving, ref.meta, ref.meta_lsn, true);
		return false;
	}
	if (!serving->has_meta) {
		serving->has_meta = true;
		buf_append(&serving->meta, serving->read.record.meta);
		store_read_fini(&serving->read);
		serving_read(serving, ref.body, ref.body_lsn, false);
		return false;
	}
	serving->bytes = body_span(serving->read.record.body);
	return true;
}

/* False: not now. */
static bool serving_copy(struct repair_serving *serving)
{
	struct engine *engine = serving->repairs->engine;
	const struct repair_ask *ask = &serving->ask;
	if (!serving->dumping && !is_applied(engine, ask->behind))
		return false;
	struct entry *entry = directory_lookup(&engine->directories[ask->db], ask->key);
	bool is_image = entry != NULL && entry->type == ENTRY_IMAGE;
	serving->dumping = serving->dumping && entry != NULL && !is_image;
	if (entry == NULL)
		serving->err = ERR_NOTFOUND;
	else if (!is_image && !copy_value(serving, entry))
		return false;
	else if (is_image && serving->err == OK && !copy_image(serving, entry))
		return false;
	serving->is_read = true;
	if (serving->err != OK)
		return true;
	serving->record = (struct record){
	    .type = is_image ? RECORD_IMAGE : RECORD_VALUE,
	    .db = ask->db,
	    .lsn = entry->lsn,
	    .key = ask->key,
	    .meta = buf_span(&serving->meta),
	    .expire_ms = (int64_t)entry_expire_ms(entry),
	};
	return true;
}

static void serving_send(struct repair_serving *serving, const struct fetched *fetched)
{
	struct engine *engine = serving->repairs->engine;
	struct buf payload;
	buf_init(&payload, &engine->memory.replies);
	fetched_write(&payload, fetched);
	const struct span words[] = {SPAN_LIT("REPLCONF"), SPAN_LIT("FETCHED"), buf_span(&payload)};
	if (serving->to != NULL)
		frame_write(renew_frames_for(serving->to), FRAME_FETCHED, buf_span(&payload), false);
	else
		follower_command(&engine->replication->follower, words, ARRAY_COUNT(words));
	buf_fini(&payload);
}

/* A piece of what was read, the head first. True: it was the last. */
static bool serving_piece(struct repair_serving *serving)
{
	struct repairs *repairs = serving->repairs;
	struct fetched fetched = {.lsn = serving->ask.lsn};
	struct buf head;
	if (serving->err != OK) {
		serving_send(serving, &fetched);
		return true;
	}
	buf_init(&head, &repairs->engine->memory.replies);
	if (!serving->has_begun) {
		serving->has_begun = true;
		serving->at = serving->ask.from < serving->bytes.len ? serving->ask.from : 0;
		struct record plain = serving->record;
		plain.body = NULL;
		plain.value = (struct span){0};
		frame_record_write(&head, &plain);
	}
	fetched.body_bytes = serving->bytes.len;
	fetched.at = serving->at;
	fetched.head = buf_span(&head);
	fetched.bytes = span_slice(serving->bytes, (size_t)serving->at, FETCH_PIECE);
	serving_send(serving, &fetched);
	serving->at += fetched.bytes.len;
	buf_fini(&head);
	bool was_last = serving->at == serving->bytes.len;
	repairs->served += was_last;
	return was_last;
}

static bool out_is_full(const struct repair_serving *serving)
{
	const struct follower *follower = &serving->repairs->engine->replication->follower;
	return serving->to != NULL ? renew_frames_for(serving->to)->len > OUT_MAX
	                           : follower->out.len > OUT_MAX;
}

/* It has waited for too long, for memory or for what is to be applied here first. */
static bool is_too_late(struct repair_serving *serving)
{
	uint64_t now_us = io_now_us(serving->repairs->engine->io);
	if (serving->since_us == 0)
		serving->since_us = now_us;
	return !serving->is_read && !serving->dumping && now_us - serving->since_us > LATER_US;
}

/* False: not yet. */
static bool serving_again(struct repair_serving *serving)
{
	if (serving->again_us == 0)
		return true;
	if (io_now_us(serving->repairs->engine->io) < serving->again_us)
		return false;
	if (serving->read.state != NULL)
		store_read_fini(&serving->read);
	buf_clear(&serving->meta);
	serving->again_us = serving->entry_lsn = 0;
	serving->has_meta = false;
	serving->err = OK;
	return true;
}

bool servings_step(struct repairs *repairs)
{
	struct engine *engine = repairs->engine;
	struct place place;
	if (list_is_empty(&repairs->servings) || engine->loading)
		return false;
	struct repair_serving *serving = LIST_OF(repairs->servings.next, struct repair_serving, link);
	if (serving->reading || out_is_full(serving))
		return false;
	if (is_too_late(serving)) {
		const struct fetched later = {.lsn = serving->ask.lsn, .at = FETCHED_LATER};
		serving_send(serving, &later);
		serving_drop(serving);
		return true;
	}
	if (!serving_again(serving))
		return false;
	if (!serving->is_read && serving->ask.lsn == 0) {
		if (!serving_copy(serving))
			return serving->dumping;
	} else if (!serving->is_read) {
		if (find_place(engine, &serving->ask, &place) && place.segment != 0) {
			serving_read(serving, place, serving->ask.lsn, false);
			return false;
		}
		serving->is_read = true;
		serving->err = ERR_NOTFOUND;
	}
	if (string_is_there(serving) && serving_piece(serving))
		serving_drop(serving);
	return true;
}
