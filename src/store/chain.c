/* store/chain.c: bodies that lie in several records.
 *
 * The parts come first and mean nothing by themselves; the head, appended last, names them
 * by LSN. Parts keep their LSN when they move, so a head never has to be written again.
 * This file keeps, for each living head, where its parts are.
 */
#include "store/state.h"

#include "base/endian.h"

enum { CHAIN_SLOTS = 4096, CHAIN_PART_MAX = 32 << 20 };

struct chain_table {
	struct chain *slots[CHAIN_SLOTS];
	uint32_t      count;
};

void chain_init(struct store *store)
{
	store->chains = memory_zalloc(store->memory, sizeof(*store->chains));
	ASSERT(store->chains->count == 0);
}

static size_t chain_bytes(uint32_t count)
{
	return sizeof(struct chain) + count * sizeof(struct place);
}

static struct chain **chain_slot(const struct store *store, struct place head)
{
	uint64_t key = (uint64_t)head.segment << 32 | head.offset;
	return &store->chains->slots[XXH3_64bits(&key, sizeof(key)) % CHAIN_SLOTS];
}

static struct chain **chain_at(const struct store *store, struct place head)
{
	struct chain **at = chain_slot(store, head);
	while (*at != NULL && !place_equal((*at)->head, head))
		at = &(*at)->next;
	return at;
}

void chain_fini(struct store *store)
{
	for (uint32_t i = 0; i < CHAIN_SLOTS; i++) {
		while (store->chains->slots[i] != NULL) {
			struct chain *chain = store->chains->slots[i];
			store->chains->slots[i] = chain->next;
			memory_free(store->memory, chain, chain_bytes(chain->count));
		}
	}
	memory_free(store->memory, store->chains, sizeof(*store->chains));
}

struct chain *chain_find(const struct store *store, struct place head)
{
	ASSERT(head.segment > 0);
	return store->chains->count == 0 ? NULL : *chain_at(store, head);
}

struct chain *chain_add(struct store *store, struct place head, uint32_t count)
{
	ASSERT(count > 0 && count <= CHAIN_PARTS_MAX);
	ASSERT(*chain_at(store, head) == NULL);
	struct chain *chain = memory_zalloc(store->memory, chain_bytes(count));
	struct chain **slot = chain_slot(store, head);
	chain->next = *slot;
	chain->head = head;
	chain->refs = 1;
	chain->settled = true;
	chain->count = count;
	*slot = chain;
	store->chains->count++;
	return chain;
}

void chain_retain(struct store *store, struct place head)
{
	struct chain *chain = chain_find(store, head);
	if (chain == NULL)
		return;
	ASSERT(chain->refs > 0);
	chain->refs++;
}

void chain_drop(struct store *store, struct place head)
{
	if (store->chains->count == 0)
		return;
	struct chain **at = chain_at(store, head);
	struct chain *chain = *at;
	if (chain == NULL)
		return;
	ASSERT(chain->refs > 0);
	if (--chain->refs > 0)
		return;
	*at = chain->next;
	store->chains->count--;
	for (uint32_t i = 0; i < chain->count; i++) {
		struct segment *segment = segment_find(store, chain->parts[i].segment);
		ASSERT(segment != NULL);
		segment_release(store, segment, chain->parts[i].bytes);
	}
	memory_free(store->memory, chain, chain_bytes(chain->count));
}

void chain_rehead(struct store *store, struct place from, struct place to)
{
	struct chain **at = chain_at(store, from);
	struct chain *chain = *at;
	if (chain == NULL)
		return;
	ASSERT(to.segment > 0);
	*at = chain->next;
	chain->head = to;
	struct chain **slot = chain_slot(store, to);
	chain->next = *slot;
	*slot = chain;
}

bool chain_has_part(const struct store *store, struct place part)
{
	for (uint32_t i = 0; i < CHAIN_SLOTS && store->chains->count > 0; i++) {
		const struct chain *chain = store->chains->slots[i];
		for (; chain != NULL; chain = chain->next) {
			for (uint32_t at = 0; at < chain->count; at++) {
				if (place_equal(chain->parts[at], part))
					return true;
			}
		}
	}
	return false;
}

/* Rare, after a write error: whoever has this part finds it. */
bool chain_part_moved(struct store *store, struct place from, struct place to)
{
	for (uint32_t i = 0; i < CHAIN_SLOTS; i++) {
		for (struct chain *chain = store->chains->slots[i]; chain; chain = chain->next) {
			for (uint32_t part = 0; part < chain->count; part++) {
				if (!place_equal(chain->parts[part], from))
					continue;
				chain->parts[part] = to;
				return true;
			}
		}
	}
	return false;
}

struct chain *chain_next(const struct store *store, const struct chain *chain)
{
	uint32_t slot = 0;
	if (chain != NULL) {
		if (chain->next != NULL)
			return chain->next;
		slot = (uint32_t)(chain_slot(store, chain->head) - store->chains->slots) + 1;
	}
	for (; slot < CHAIN_SLOTS; slot++)
		if (store->chains->slots[slot] != NULL)
			return store->chains->slots[slot];
	return NULL;
}

void chain_forget(struct store *store, struct chain *chain)
{
	struct chain **at = chain_at(store, chain->head);
	ASSERT(*at == chain);
	*at = chain->next;
	store->chains->count--;
	memory_free(store->memory, chain, chain_bytes(chain->count));
}

void chain_clear(struct store *store)
{
	struct chain *chain;
	while ((chain = chain_next(store, NULL)) != NULL)
		chain_forget(store, chain);
}

/* ---- Appending ---- */

uint32_t chain_parts_given(const struct store *store, const struct record *record)
{
	uint64_t max = min_u64(CHAIN_PART_MAX, store->options.segment_bytes / 2);
	if (record->body == NULL || record->body->len <= store->options.segment_bytes / 2)
		return 0;
	return (uint32_t)((record->body->len + max - 1) / max);
}

/* How much of `left` bytes goes into the next part: what fits into the active segment, or, if
 * that is hardly anything, what a fresh one shall take. */
static uint32_t chain_next_part(const struct store *store, uint64_t left)
{
	uint64_t max = min_u64(CHAIN_PART_MAX, store->options.segment_bytes / 2);
	uint64_t part = min_u64(left, max);
	if (store->is_given)
		return (uint32_t)part;        /* as few as can be: their LSNs are numbered */
	uint64_t room = stream_room(&store->streams[TIER_HOT]);
	const struct record bare = {0};
	uint64_t overhead = batch_bytes_alone(&bare, (uint32_t)part) - round_up(part, SECTOR);
	ASSERT(max % CHUNK_BYTES == 0);
	if (part + overhead + SECTOR <= room)
		return (uint32_t)part;
	uint64_t fits = room > overhead + SECTOR ? room - overhead - SECTOR : 0;
	fits = fits / CHUNK_BYTES * CHUNK_BYTES;
	return (uint32_t)(fits >= CHAIN_PART_MIN ? fits : part);
}

static enum err chain_append_part(struct store *store, const struct record *whole,
    uint64_t from, uint32_t len, struct place *place)
{
	struct stream *stream = &store->streams[TIER_HOT];
	const struct record record = {
		.type = RECORD_PART,
		.flags = RECORD_CONTINUES,
		.sync = SYNC_NO,
		.lsn = store->next_lsn,
		.time_ms = whole->time_ms,
		.epoch = whole->epoch,
	};
	const struct payload payload = {
		.body = whole->body,
		.from = (size_t)from,
		.len = len,
		.crcs = whole->body->chunk_crcs + from / CHUNK_BYTES,
	};
	ASSERT(from % CHUNK_BYTES == 0);
	enum err err = stream_append(stream, &record, &payload, place);
	if (err != OK)
		return err;
	store->next_lsn++;
	return OK;
}

static enum err chain_append_head(struct store *store, struct record *record,
    struct span table)
{
	struct stream *stream = &store->streams[TIER_HOT];
	struct record head = *record;
	const struct payload payload = {.value = table, .len = (uint32_t)table.len};
	head.flags |= RECORD_CHAINED;
	head.lsn = store->next_lsn;
	head.body = NULL;
	enum err err = stream_append(stream, &head, &payload, &record->place);
	if (err != OK)
		return err;
	record->lsn = head.lsn;
	return OK;
}

/* Parts that no head will ever name are dead. */
static void chain_abandon(struct store *store, const struct place *parts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		segment_release(store, segment_find(store, parts[i].segment), parts[i].bytes);
}

static enum err chain_append_all(struct store *store, struct record *record,
    struct place *parts, uint8_t *table)
{
	uint64_t from = 0, total = record->body->len;
	uint32_t count = 0;
	enum err err = OK;
	while (err == OK && from < total) {
		uint32_t len = chain_next_part(store, total - from);
		ASSERT(count < CHAIN_PARTS_MAX);
		err = chain_append_part(store, record, from, len, &parts[count]);
		if (err != OK)
			break;
		store_le64(table + (size_t)count * CHAIN_ENTRY, store->next_lsn - 1);
		store_le64(table + (size_t)count * CHAIN_ENTRY + 8, len);
		from += len;
		count++;
	}
	if (err == OK)
		err = chain_append_head(store, record, span_of(table, (size_t)count * CHAIN_ENTRY));
	if (err != OK) {
		chain_abandon(store, parts, count);
		return err;
	}
	struct chain *chain = chain_add(store, record->place, count);
	memcpy(chain->parts, parts, count * sizeof(*parts));
	return OK;
}

/* Segments that must be spare, the reserve kept, for the parts and the head. */
static uint32_t chain_segments(const struct store *store, const struct record *record)
{
	uint64_t room = stream_room(&store->streams[TIER_HOT]);
	if (store->is_given)
		return chain_parts_given(store, record) + 1;
	uint64_t left = record->body->len > room ? record->body->len - room : 0;
	uint64_t usable = store->options.segment_bytes - 16 * SECTOR - CHUNK_BYTES - CHAIN_PART_MIN;
	ASSERT(store->options.segment_bytes > 32 * SECTOR + CHUNK_BYTES + CHAIN_PART_MIN);
	return (uint32_t)((left + META_BYTES_MAX + KEY_BYTES_MAX + CHUNK_BYTES) / usable + 1);
}

/* At most so many parts: of each segment but the last, one may be shorter than it could be. */
static uint64_t chain_parts_most(const struct store *store, const struct record *record, uint32_t segments)
{
	uint64_t longest = min_u64(CHAIN_PART_MAX, store->options.segment_bytes / 2);
	if (store->is_given)
		return chain_parts_given(store, record);
	return record->body->len / longest + 1 + segments;
}

enum err chain_append(struct store *store, struct record *record)
{
	enum { BATCHES_A_RECORD = 3 };        /* the one before, a seal, its own */
	struct stream *stream = &store->streams[TIER_HOT];
	ASSERT(record->body != NULL && record->body->chunk_crcs != NULL);
	uint32_t limit = stream->batch_limit;         /* higher inside a group */
	if (stream->failed || (limit == STREAM_BATCHES && stream->batch_count > limit / 2))
		return ERR_OVERLOADED;
	uint32_t spares, need = chain_segments(store, record);
	uint64_t most = chain_parts_most(store, record, need);
	if (most > CHAIN_PARTS_MAX)
		return ERR_TOOLARGE;
	segment_spare(store, TIER_HOT, &spares);
	if (spares < need + RESERVE_SEGMENTS) {
		if (!maker_can_offer(store, need + RESERVE_SEGMENTS))
			return ERR_DISKFULL;
		uint64_t segment = store->options.segment_bytes;
		store_expect(store, max_u64(record->body->len, need * segment) + segment);
		return store_no_room(store);
	}
	struct place *parts = memory_alloc(store->memory, CHAIN_PARTS_MAX * sizeof(*parts));
	uint8_t *table = memory_alloc(store->memory, CHAIN_PARTS_MAX * CHAIN_ENTRY);
	/* None is refused half way: it would be tried again, and its parts written again. */
	uint64_t batches = stream->batch_count + BATCHES_A_RECORD * (most + 2);
	stream->batch_limit = (uint32_t)max_u64(limit, batches);
	enum err err = chain_append_all(store, record, parts, table);
	stream->batch_limit = limit;
	store->expect_segments = 0;
	memory_free(store->memory, parts, CHAIN_PARTS_MAX * sizeof(*parts));
	memory_free(store->memory, table, CHAIN_PARTS_MAX * CHAIN_ENTRY);
	return err;
}
