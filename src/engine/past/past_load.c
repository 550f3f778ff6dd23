/* engine/past/past_load.c: see past_load.h. */
#include "engine/internal.h"

#include "base/arith.h"

#include "engine/chunk.h"
#include "engine/past/past_load.h"
#include "engine/past/past_state.h"

enum { VERSIONS_PER_PIECE = 64 };
enum { ITEM_HELD = 'H', ITEM_VERSION = 'V' };

/* ---- LSNs ---- */

void past_lsns_push(struct past *past, struct past_lsns *lsns, uint64_t lsn)
{
	ASSERT(lsns->count <= lsns->cap);
	if (lsns->count == lsns->cap) {
		uint32_t cap = lsns->cap == 0 ? 64 : 2 * lsns->cap;
		ASSERT(cap > lsns->cap);
		lsns->at = memory_resize(&past->engine->memory.history, lsns->at,
		    lsns->cap * sizeof(*lsns->at), cap * sizeof(*lsns->at));
		lsns->cap = cap;
	}
	lsns->at[lsns->count++] = lsn;
}

void past_lsns_fini(struct past *past, struct past_lsns *lsns)
{
	memory_free(&past->engine->memory.history, lsns->at, lsns->cap * sizeof(*lsns->at));
	*lsns = (struct past_lsns){0};
}

/* ---- Writing ---- */

void past_dump_begin(struct engine *engine)
{
	struct past *past = engine->past;
	past_lsns_fini(past, &past->dump.links);
	past->dump = (struct past_dump){.is_on = true};
}

void past_dump_end(struct engine *engine)
{
	struct past *past = engine->past;
	past_lsns_fini(past, &past->dump.links);
	past->dump = (struct past_dump){0};
}

void past_dump_forget(struct past *past, const struct version *version)
{
	if (past->dump.next == &version->line)
		past->dump.next = version->line.next;
}

static void put_held(struct buf *out, const struct held *held)
{
	uint8_t bytes[1 + 4 * VARINT64_MAX] = {ITEM_HELD};
	uint8_t *end = put_place(varint64_put(bytes + 1, held->lsn), held->place);
	buf_append(out, span_of(bytes, (size_t)(end - bytes)));
}

static void put_version(const struct past *past, struct buf *out, const struct version *version)
{
	uint8_t head[2 + VARINT64_MAX] = {ITEM_VERSION, version->key->db};
	uint8_t rest[12 * VARINT64_MAX], *at = rest;
	const struct held *body = held_find(&past->held, version->body_lsn);
	const struct held *meta = held_find(&past->held, version->lsn);
	ASSERT(body != NULL && meta != NULL);
	uint8_t *end = varint64_put(head + 2, version->key->key_len);
	at = varint64_put(at, version->state);
	at = varint64_put(at, version->lsn);
	at = varint64_put(at, version->body_lsn);
	at = varint64_put(at, version->end_lsn);
	at = varint64_put(at, (uint64_t)version->since_ms);
	at = varint64_put(at, (uint64_t)version->until_ms);
	at = put_place(at, body->place);
	if (version->lsn != version->body_lsn)
		at = put_place(at, meta->place);
	ASSERT((size_t)(at - rest) <= sizeof(rest));
	buf_append(out, span_of(head, (size_t)(end - head)));
	buf_append(out, span_of(version->key->key, version->key->key_len));
	buf_append(out, span_of(rest, (size_t)(at - rest)));
}

static void dump_shard(struct past *past, struct buf *out, uint32_t *count)
{
	const struct held_shard *shard = &past->held.shards[past->dump.shard++];
	for (uint32_t i = 0; i < shard->cap; i++) {
		if (shard->slots[i].lsn == 0 || shard->slots[i].today == 0)
			continue;
		put_held(out, &shard->slots[i]);
		++*count;
	}
}

/* What was shared since the checkpoint began, if anybody still needs it. */
static void dump_links(struct engine *engine, struct buf *out, uint32_t *count)
{
	struct past *past = engine->past;
	for (uint32_t i = 0; i < past->dump.links.count; i++) {
		const struct held *held = held_find(&past->held, past->dump.links.at[i]);
		if (held == NULL)
			continue;
		put_held(out, held);
		++*count;
	}
	past_lsns_fini(past, &past->dump.links);
	past->dump.is_on = false;
	past->dump.known_lsn = store_last_lsn(engine->store);
}

bool past_dump(struct engine *engine, struct buf *out, uint32_t *count)
{
	struct past *past = engine->past;
	struct list *line = &past->history.line;
	ASSERT(past->dump.is_on);
	if (past->dump.shard < HELD_SHARDS) {
		dump_shard(past, out, count);
		return true;
	}
	if (past->dump.next == NULL)
		past->dump.next = line->next;
	for (int i = 0; i < VERSIONS_PER_PIECE && past->dump.next != line; i++) {
		struct list *at = past->dump.next;
		put_version(past, out, LIST_OF(at, struct version, line));
		past->dump.next = at->next;
		++*count;
	}
	if (past->dump.next != line)
		return true;
	dump_links(engine, out, count);
	return false;
}

void past_dump_settings(struct engine *engine, struct buf *out)
{
	const struct past *past = engine->past;
	uint8_t bytes[8 * VARINT64_MAX], *at = bytes;
	ASSERT(!past->dump.is_on && past->logged_window_s >= -1);
	at = varint64_put(at, (uint64_t)(past->logged_window_s + 1));
	at = put_place(at, past->logged_place);
	at = varint64_put(at, past->history.floor_lsn);
	at = varint64_put(at, (uint64_t)past->history.floor_ms);
	at = varint64_put(at, past->dump.known_lsn);
	buf_append(out, span_of(bytes, (size_t)(at - bytes)));
}

/* ---- Reading ---- */

void past_load_reset(struct engine *engine)
{
	struct past *past = engine->past;
	uint64_t seed = past->history.seed;
	history_fini(&past->history);
	history_init(&past->history, &engine->memory.history, seed);
	held_fini(&past->held);
	held_fini(&past->released);
	past_lsns_fini(past, &past->pins);
	past->bytes = past->known_lsn = past->first_lsn = 0;
	past->logged_window_s = -1;
	past->logged_place = (struct place){0};
}

static struct held *load_held(struct past *past, uint64_t lsn, struct place place)
{
	struct held *held = held_find(&past->held, lsn);
	return held != NULL ? held : held_add(&past->held, lsn, place, false);
}

void past_load_shared(struct engine *engine, uint64_t lsn, struct place place)
{
	struct past *past = engine->past;
	struct held *held = held_find(&past->held, lsn);
	/* Nobody shared it any more when the past was written: before the log is replayed, this
	 * entry goes. Until then the first entry, if there still is one, owns it, too. */
	if (held == NULL) {
		(void)store_adopt(engine->store, &place, lsn);
		store_note_death(engine->store, place);
		held = held_add(&past->held, lsn, place, true);
		held->unsure = true;
		past->has_unsure = true;
	}
	past->bytes -= past_bytes_of(held);
	held->refs++;
	held->today++;
	past->bytes += past_bytes_of(held);
}

/* It stays until all is loaded, whoever needs it by then. */
static bool load_pinned(struct past *past, struct span *in)
{
	uint64_t lsn;
	struct place place;
	if (!varint64_take(in, &lsn) || !take_place(in, &place) || lsn == 0 || place.segment == 0)
		return false;
	load_held(past, lsn, place)->refs++;
	past_lsns_push(past, &past->pins, lsn);
	return true;
}

static bool load_fits(const struct past *past, uint8_t db, struct span key, uint64_t lsn,
    uint64_t end_lsn)
{
	const struct version *last = past->history.versions == 0 ? NULL
	    : LIST_OF(past->history.line.prev, struct version, line);
	const struct past_key *owner = history_find(&past->history, db, key);
	if (last != NULL && last->end_lsn > end_lsn)
		return false;
	return lsn > 0 && lsn < end_lsn && (owner == NULL || owner->newest->end_lsn <= lsn);
}

static bool load_version(struct past *past, struct span *in)
{
	uint64_t state, lsn, body_lsn, end_lsn, since_ms, until_ms;
	struct place body, meta;
	struct span key;
	if (in->len == 0 || in->ptr[0] >= DATABASE_COUNT)
		return false;
	uint8_t db = in->ptr[0];
	*in = span_slice(*in, 1, in->len);
	if (!take_bytes(in, KEY_BYTES_MAX, &key) || !varint64_take(in, &state) ||
	    !varint64_take(in, &lsn) || !varint64_take(in, &body_lsn) ||
	    !varint64_take(in, &end_lsn) || !varint64_take(in, &since_ms) ||
	    !varint64_take(in, &until_ms) || !take_place(in, &body))
		return false;
	if (lsn != body_lsn && (!take_place(in, &meta) || meta.segment == 0))
		return false;
	if (body.segment == 0 || body_lsn == 0 || !load_fits(past, db, key, lsn, end_lsn) ||
	    (state != VERSION_SUPERSEDED && state != VERSION_DELETED))
		return false;
	struct version what = {.body_lsn = body_lsn, .since_ms = (int64_t)since_ms};
	what.lsn = lsn & LSN_MASK;
	const struct ending ending = {end_lsn, (int64_t)until_ms, (enum version_state)state};
	(void)history_add(&past->history, db, key, &what, &ending);
	load_held(past, body_lsn, body)->refs++;
	if (lsn != body_lsn)
		load_held(past, lsn, meta)->refs++;
	return true;
}

enum err past_load_chunk(struct engine *engine, uint32_t count, struct span bytes)
{
	struct past *past = engine->past;
	for (; count > 0 && bytes.len > 0; count--) {
		uint8_t type = bytes.ptr[0];
		bytes = span_slice(bytes, 1, bytes.len);
		bool good = type == ITEM_HELD ? load_pinned(past, &bytes)
		    : type == ITEM_VERSION && load_version(past, &bytes);
		if (!good)
			return ERR_CORRUPT;
	}
	return count == 0 && bytes.len == 0 ? OK : ERR_CORRUPT;
}

enum err past_load_settings(struct engine *engine, struct span *in)
{
	struct past *past = engine->past;
	uint64_t window_s, floor_lsn, floor_ms, known_lsn;
	struct place place;
	if (!varint64_take(in, &window_s) || !take_place(in, &place) ||
	    !varint64_take(in, &floor_lsn) || !varint64_take(in, &floor_ms) ||
	    !varint64_take(in, &known_lsn) || window_s > INT32_MAX)
		return ERR_CORRUPT;
	past->logged_window_s = (int64_t)window_s - 1;
	past->logged_place = place;
	if (place.segment != 0)
		(void)store_adopt(engine->store, &past->logged_place, 0);
	past->history.floor_lsn = floor_lsn;
	past->history.floor_ms = (int64_t)floor_ms;
	past->known_lsn = known_lsn;
	past->first_lsn = 1;          /* nothing is missing but what the floor says */
	return OK;
}

/* Not adopted yet: nothing is released. */
static void load_unref(struct past *past, uint64_t lsn)
{
	struct held *held = held_find(&past->held, lsn);
	ASSERT(held != NULL && held->refs > 0);
	if (--held->refs == 0)
		held_remove(&past->held, held);
}

/* Up to and with this end, versions were forgotten since: their records are gone. */
static uint64_t load_find_gone(struct past *past)
{
	const struct store *store = past->engine->store;
	struct list *line = &past->history.line;
	uint64_t gone_lsn = past->history.floor_lsn;
	for (struct list *at = line->next; at != line; at = at->next) {
		const struct version *version = LIST_OF(at, struct version, line);
		const struct held *body = held_find(&past->held, version->body_lsn);
		const struct held *meta = held_find(&past->held, version->lsn);
		ASSERT(body != NULL && meta != NULL);
		if (!store_can_adopt(store, body->place, body->lsn) ||
		    !store_can_adopt(store, meta->place, meta->lsn))
			gone_lsn = max_u64(gone_lsn, version->end_lsn);
	}
	return gone_lsn;
}

static void load_drop_gone(struct past *past)
{
	uint64_t gone_lsn = load_find_gone(past);
	const struct version *oldest;
	while ((oldest = history_oldest(&past->history)) != NULL) {
		uint64_t lsn = oldest->lsn, body_lsn = oldest->body_lsn;
		if (oldest->end_lsn > gone_lsn &&
		    oldest->until_ms + past_window_ms(past->engine) > past->opened_ms)
			return;
		history_drop_oldest(&past->history);
		load_unref(past, body_lsn);
		if (lsn != body_lsn)
			load_unref(past, lsn);
	}
}

/* A LINK behind the checkpoint names what a version kept alive then; the version may be
 * forgotten by now. */
static void load_pin_linked(struct past *past)
{
	for (uint32_t number = 0; number < HELD_SHARDS; number++) {
		struct held_shard *shard = &past->held.shards[number];
		for (uint32_t i = 0; i < shard->cap; i++) {
			struct held *held = &shard->slots[i];
			if (held->lsn == 0 || !store_is_linked(past->engine->store, held->lsn))
				continue;
			held->refs++;
			past_lsns_push(past, &past->pins, held->lsn);
		}
	}
}

/* What nobody needed any more when the power went, and is gone. */
static void load_drop_pins(struct past *past)
{
	struct past_lsns *pins = &past->pins;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < pins->count; i++) {
		const struct held *held = held_find(&past->held, pins->at[i]);
		ASSERT(held != NULL);
		if (!store_can_adopt(past->engine->store, held->place, held->lsn))
			load_unref(past, pins->at[i]);
		else
			pins->at[kept++] = pins->at[i];
	}
	pins->count = kept;
}

/* Entries are not here yet: all that is needed is kept for the past's sake, until an entry
 * takes what is its own. */
void past_load_decide(struct engine *engine)
{
	struct past *past = engine->past;
	ASSERT(engine->loading);
	load_pin_linked(past);
	load_drop_gone(past);
	load_drop_pins(past);
	for (uint32_t number = 0; number < HELD_SHARDS; number++) {
		struct held_shard *shard = &past->held.shards[number];
		for (uint32_t i = 0; i < shard->cap; i++) {
			struct held *held = &shard->slots[i];
			if (held->lsn == 0)
				continue;
			held->owned = true;
			(void)store_adopt(engine->store, &held->place, held->lsn);
			store_note_death(engine->store, held->place);
			past->bytes += past_bytes_of(held);
		}
	}
}

void past_take(struct engine *engine, uint64_t lsn, struct place place)
{
	struct past *past = engine->past;
	struct held *held = held_find(&past->held, lsn);
	if (held == NULL || !held->owned)
		return;
	past->bytes -= past_bytes_of(held);
	held->owned = held->unsure = false;
	store_release(engine->store, held->place);
	held->place = place;
}

static void settle_one(struct past *past, uint64_t lsn, struct place place)
{
	const struct held *held = held_find(&past->held, lsn);
	if (held != NULL && held->unsure)
		past_take(past->engine, lsn, place);
}

static void settle_each(void *ctx, struct entry *entry)
{
	if (entry->type == ENTRY_IMAGE && !(entry->flags & ENTRY_SHARED))
		settle_one(ctx, entry_image(entry)->body_lsn, entry_image(entry)->body);
}

void past_load_settle(struct engine *engine)
{
	struct past *past = engine->past;
	bool found = false;
	for (uint32_t number = 0; past->has_unsure && number < HELD_SHARDS; number++)
		for (uint32_t i = 0; i < past->held.shards[number].cap; i++)
			found |= past->held.shards[number].slots[i].unsure;
	past->has_unsure = false;
	for (unsigned db = 0; found && db < DATABASE_COUNT; db++) {
		uint64_t cursor = 0;
		do
			cursor = directory_scan(&engine->directories[db], cursor, settle_each, past);
		while (cursor != 0);
	}
}

void past_load_over(struct engine *engine)
{
	struct past *past = engine->past;
	for (uint32_t i = 0; i < past->pins.count; i++)
		past_unref(past, past->pins.at[i], false);
	past_lsns_fini(past, &past->pins);
}
