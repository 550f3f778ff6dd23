/* store/walk.c: reads what survives of the log behind an LSN, in the order of LSNs. See walk.h. */
#include "store/walk.h"

enum { WALK_RAW_BYTES = 2 * FOOTER_BLOCK_RAW + FOOTER_BLOCK_HEADER };

static void walk_read_done(struct io_op *op, int32_t result);
static void walk_fired(struct io_timer *timer);

static uint8_t *walk_buffer(struct store *store, size_t bytes)
{
	uint8_t *buffer = memory_try_alloc_aligned(store->memory, SECTOR, bytes);
	ASSERT(buffer != NULL);
	return buffer;
}

struct store_walk *store_walk_new(struct store *store, void (*ready)(void *ctx), void *ctx)
{
	CHECK_OBJ(store, STORE_MAGIC);
	struct store_walk *walk = memory_zalloc(store->memory, sizeof(*walk));
	ASSERT(ready != NULL);
	walk->magic = WALK_MAGIC;
	walk->store = store;
	walk->ready = ready;
	walk->ctx = ctx;
	io_timer_init(&walk->timer, walk_fired, walk);
	for (unsigned i = 0; i < WALK_SLOTS; i++)
		walk->slots[i].bytes = walk_buffer(store, WALK_SLOT_BYTES);
	walk->body = walk_buffer(store, WALK_BODY_BYTES);
	walk->raw = walk_buffer(store, WALK_RAW_BYTES);
	walk->entries = memory_alloc(store->memory, WALK_ENTRIES * sizeof(*walk->entries));
	return walk;
}

static void walk_drop_extent(struct store_walk *walk)
{
	struct memory *memory = walk->store->memory;
	memory_free(memory, walk->crcs, walk->crc_count * sizeof(*walk->crcs));
	walk->crcs = NULL;
	walk->crc_count = 0;
	walk->body_from = walk->body_have = 0;
}

static void walk_drop_body(struct store_walk *walk)
{
	walk_drop_extent(walk);
	memory_free(walk->store->memory, (void *)(uintptr_t)walk->table.ptr, walk->table.len);
	walk->table = (struct span){0};
}

static void walk_destroy(struct store_walk *walk)
{
	struct memory *memory = walk->store->memory;
	ASSERT(!walk->reading);
	for (unsigned i = 0; i < WALK_SLOTS; i++)
		memory_free(memory, walk->slots[i].bytes, WALK_SLOT_BYTES);
	memory_free(memory, walk->body, WALK_BODY_BYTES);
	memory_free(memory, walk->raw, WALK_RAW_BYTES);
	memory_free(memory, walk->entries, WALK_ENTRIES * sizeof(*walk->entries));
	memory_free(memory, walk->sources, walk->source_cap * sizeof(*walk->sources));
	DROP_OBJ(walk, WALK_MAGIC);
	memory_free(memory, walk, sizeof(*walk));
}

void store_walk_free(struct store_walk *walk)
{
	CHECK_OBJ(walk, WALK_MAGIC);
	io_timer_cancel(walk->store->io, &walk->timer);
	walk_drop_body(walk);
	walk_unpin(walk);
	walk->closing = true;
	if (!walk->reading)
		walk_destroy(walk);
}

void store_walk_seek(struct store_walk *walk, uint64_t lsn)
{
	CHECK_OBJ(walk, WALK_MAGIC);
	walk_drop_body(walk);
	walk_unpin(walk);
	walk->phase = WALK_CHOOSE;
	walk->after = lsn;
	walk->resume_lsn = 0;
}

uint64_t store_walk_memory(const struct store_walk *walk)
{
	return sizeof(*walk) + WALK_SLOTS * (uint64_t)WALK_SLOT_BYTES + WALK_BODY_BYTES +
	    WALK_RAW_BYTES + WALK_ENTRIES * sizeof(struct walk_entry) +
	    walk->source_cap * sizeof(struct walk_source);
}

void walk_yield(struct store_walk *walk)
{
	if (!walk->reading && !io_timer_is_set(&walk->timer))
		io_timer_set(walk->store->io, &walk->timer, 0);
}

static void walk_fired(struct io_timer *timer)
{
	struct store_walk *walk = timer->ctx;
	CHECK_OBJ(walk, WALK_MAGIC);
	walk->ready(walk->ctx);
}

/* ---- Reading ---- */

static void walk_read(struct store_walk *walk, struct segment *segment, uint64_t from, void *to,
    size_t len)
{
	ASSERT(!walk->reading && len > 0 && len % SECTOR == 0);
	walk->iov = (struct iovec){to, len};
	walk->pinned = segment;
	walk->reading = true;
	segment->pins++;
	walk->store->reads_active++;
	walk->store->stats.reads++;
	io_op_init(&walk->op, walk_read_done, walk);
	const struct io_transfer transfer = {
	    .fd = segment->fd, .offset = from, .iov = &walk->iov, .iov_count = 1};
	io_read(walk->store->io, &walk->op, &transfer);
}

static void walk_read_done(struct io_op *op, int32_t result)
{
	struct store_walk *walk = op->ctx;
	CHECK_OBJ(walk, WALK_MAGIC);
	struct store *store = walk->store;
	ASSERT(walk->reading && store->reads_active > 0);
	walk->reading = false;
	walk->pinned->pins--;
	walk->pinned = NULL;
	store->reads_active--;
	store->reclaim_due = true;
	uint64_t got = result > 0 ? (uint64_t)result : 0;
	store->stats.read_bytes += got;
	if (result < 0)
		store->stats.read_errors++;
	if (walk->filling != NULL)
		walk->filling->len = got;
	else
		walk->body_have = got;
	walk->filling = NULL;
	if (walk->closing)
		walk_destroy(walk);
	else
		walk->ready(walk->ctx);
	store_check_closed(store);
}

enum err walk_need(struct store_walk *walk, uint32_t id, uint64_t at, uint64_t len, struct span *out)
{
	struct segment *segment = segment_find(walk->store, id);
	if (segment == NULL || segment->fd < 0 || at + len > segment->bytes ||
	    (segment->state != SEGMENT_ACTIVE && segment->state != SEGMENT_SEALED))
		return ERR_NOTFOUND;
	if (len > WALK_SLOT_BYTES - SECTOR)
		return ERR_TOOLARGE;
	if (walk->reading)
		return ERR_AGAIN;
	struct walk_slot *oldest = &walk->slots[0];
	for (unsigned i = 0; i < WALK_SLOTS; i++) {
		struct walk_slot *slot = &walk->slots[i];
		bool same = slot->segment == id && slot->nonce == segment->nonce && slot->segment != 0;
		if (same && at >= slot->from && at + len <= slot->from + slot->len) {
			slot->used = ++walk->uses;
			*out = span_of(slot->bytes + (at - slot->from),
			    (size_t)(slot->from + slot->len - at));
			return OK;
		}
		if (same && at >= slot->from && at < slot->from + slot->len)
			oldest = slot;        /* it goes on from there */
		if (slot->used < oldest->used)
			oldest = slot;
	}
	uint64_t from = at / SECTOR * SECTOR;
	uint64_t most = segment->state == SEGMENT_ACTIVE ? segment->written : segment->bytes;
	uint64_t end = min_u64(from + WALK_SLOT_BYTES, max_u64(round_up(at + len, SECTOR), most));
	oldest->segment = id;
	oldest->nonce = segment->nonce;
	oldest->from = from;
	oldest->len = 0;
	oldest->used = ++walk->uses;
	walk->filling = oldest;
	walk_read(walk, segment, from, oldest->bytes, (size_t)(end - from));
	return ERR_AGAIN;
}

/* ---- Records ---- */

/* The record is not where it was thought to be: it may lie elsewhere by now. */
static enum walk_step walk_again(struct store_walk *walk, uint64_t lsn, struct walk_item *out)
{
	if (walk->tried_lsn != lsn)
		walk->tries = 0;
	walk->tried_lsn = lsn;
	for (unsigned i = 0; i < WALK_SLOTS; i++)
		walk->slots[i].segment = 0;   /* what was read may have been wrong */
	walk_drop_body(walk);
	if (++walk->tries < WALK_TRIES) {
		walk->phase = WALK_CHOOSE;
		walk->after = lsn - 1;
		walk_yield(walk);
		return WALK_WAIT;
	}
	walk->tries = 0;
	walk->resume_lsn = 0;
	walk->phase = WALK_CHOOSE;
	walk->after = lsn;
	if (walk->is_dead) {                  /* nobody misses it: its segment may be another's by now */
		walk_yield(walk);
		return WALK_WAIT;
	}
	*out = (struct walk_item){.lsn = lsn};
	return WALK_CORRUPT;
}

/* The part of the body that begins at walk->part_from: where it lies, and its checksums. */
static enum err walk_open_extent(struct store_walk *walk, uint32_t segment, uint64_t offset,
    uint64_t lsn, uint8_t type)
{
	struct record_view view;
	struct span bytes;
	walk_drop_extent(walk);
	enum err err = walk_need(walk, segment, offset, RECORD_HEADER, &bytes);
	if (err != OK)
		return err;
	struct segment *in = segment_find(walk->store, segment);
	struct stamp stamp = segment_stamp(in, offset);
	err = record_parse(bytes, &stamp, &view);
	if (err == ERR_AGAIN) {
		err = walk_need(walk, segment, offset, view.layout.head_bytes, &bytes);
		if (err == OK)
			err = record_parse(bytes, &stamp, &view);
	}
	if (err == ERR_AGAIN && walk->reading)
		return ERR_AGAIN;
	if (err != OK || view.header.lsn != lsn || view.header.type != type)
		return ERR_NOTFOUND;
	walk->crc_count = (uint32_t)(view.crcs.len / 4);
	walk->crcs = memory_alloc(walk->store->memory, view.crcs.len);
	memcpy(walk->crcs, view.crcs.ptr, view.crcs.len);
	walk->extent_segment = segment;
	walk->extent_at = offset + view.layout.body_at;
	walk->extent_len = view.header.body_bytes;
	return OK;
}

/* Makes walk->crcs those of the extent in which walk->body_at lies. */
static enum err walk_find_extent(struct store_walk *walk)
{
	struct store *store = walk->store;
	if (walk->table.len == 0) {
		uint64_t offset = (uint64_t)walk->head.offset * RECORD_ALIGN;
		if (walk->crcs != NULL)
			return OK;
		return walk_open_extent(walk, walk->head.segment, offset, walk->item.lsn,
		    walk->item.record.type);
	}
	while (walk->crcs == NULL || walk->body_at >= walk->part_from + walk->extent_len) {
		uint32_t count = (uint32_t)(walk->table.len / CHAIN_ENTRY);
		const struct chain *chain = chain_find(store, walk->head);
		ASSERT(walk->part < count);
		if (chain == NULL || chain->count != count)
			return ERR_NOTFOUND;
		struct chain_part part = chain_table_get(walk->table, walk->part);
		if (walk->body_at >= walk->part_from + part.body_bytes) {
			walk->part_from += part.body_bytes;
			walk->part++;
			walk_drop_extent(walk);
			continue;
		}
		struct place place = chain->parts[walk->part];
		enum err err = walk_open_extent(walk, place.segment,
		    (uint64_t)place.offset * RECORD_ALIGN, part.lsn, RECORD_PART);
		if (err != OK)
			return err;
		if (walk->extent_len != part.body_bytes)
			return ERR_NOTFOUND;
	}
	return OK;
}

/* Its place became wrong half way: the same record, elsewhere, goes on where this one ended. */
static enum walk_step walk_body_lost(struct store_walk *walk, struct walk_item *out)
{
	walk->resume_lsn = walk->item.lsn;
	walk->resume_at = walk->body_at;
	return walk_again(walk, walk->item.lsn, out);
}

/* All of an extent that is short enough for a slot, where what lies behind it comes, too. */
static enum walk_step walk_short_body(struct store_walk *walk, uint64_t from, struct walk_item *out)
{
	struct span bytes;
	uint64_t len = walk->extent_len - from;
	enum err err = walk_need(walk, walk->extent_segment, walk->extent_at + from, len, &bytes);
	if (err == ERR_AGAIN)
		return WALK_WAIT;
	if (err != OK)
		return walk_body_lost(walk, out);
	bytes = span_slice(bytes, 0, (size_t)len);
	struct span crcs = span_of(walk->crcs, walk->crc_count * sizeof(*walk->crcs));
	if (!record_check_chunks(crcs, (uint32_t)(from / CHUNK_BYTES), bytes))
		return walk_body_lost(walk, out);
	*out = walk->item;
	out->offset = walk->body_at;
	out->bytes = bytes;
	walk->body_at += len;
	return WALK_BODY;
}

static enum walk_step walk_body(struct store_walk *walk, struct walk_item *out)
{
	if (walk->body_at == walk->item.body_bytes) {
		walk_drop_body(walk);
		walk->phase = WALK_TELL;
		return WALK_WAIT;
	}
	enum err err = walk_find_extent(walk);
	if (err == ERR_AGAIN)
		return WALK_WAIT;
	if (err != OK)
		return walk_body_lost(walk, out);
	uint64_t from = walk->body_at - walk->part_from;      /* in the extent */
	ASSERT(from % CHUNK_BYTES == 0 && from < walk->extent_len);
	uint64_t len = min_u64(walk->extent_len - from, WALK_BODY_BYTES - SECTOR);
	if (len < walk->extent_len - from)
		len = len / CHUNK_BYTES * CHUNK_BYTES;
	uint64_t at = walk->extent_at + from, start = at / SECTOR * SECTOR;
	if (walk->extent_len <= WALK_SLOT_BYTES / 4)
		return walk_short_body(walk, from, out);
	if (walk->body_have == 0 || walk->body_from != start) {
		struct segment *segment = segment_find(walk->store, walk->extent_segment);
		if (walk->reading)
			return WALK_WAIT;
		if (segment == NULL || segment->fd < 0 || segment->state < SEGMENT_ACTIVE)
			return walk_body_lost(walk, out);
		walk->body_from = start;
		walk->body_have = 0;
		walk->filling = NULL;
		walk_read(walk, segment, start, walk->body, (size_t)(round_up(at + len, SECTOR) - start));
		return WALK_WAIT;
	}
	struct span bytes = span_of(walk->body + (at - start), (size_t)len);
	struct span crcs = span_of(walk->crcs, walk->crc_count * sizeof(*walk->crcs));
	if (walk->body_have < at - start + len ||
	    !record_check_chunks(crcs, (uint32_t)(from / CHUNK_BYTES), bytes))
		return walk_body_lost(walk, out);
	*out = walk->item;
	out->offset = walk->body_at;
	out->bytes = bytes;
	walk->body_at += len;
	walk->body_have = 0;
	return WALK_BODY;
}

/* A body that is told in steps begins. */
static enum walk_step walk_begin_body(struct store_walk *walk, const struct walk_entry *entry,
    const struct record_view *view, struct span rest, struct walk_item *out)
{
	struct memory *memory = walk->store->memory;
	uint64_t total = view->header.body_bytes;
	walk->head = (struct place){entry->segment, entry->offset, entry->bytes};
	if ((view->header.flags & RECORD_CHAINED) != 0) {
		struct span table = span_slice(rest, view->layout.body_at, view->header.body_bytes);
		if (table.len < view->header.body_bytes || !record_check_chunks(view->crcs, 0, table) ||
		    !chain_table_check(table, &total))
			return walk_again(walk, entry->lsn, out);
		uint8_t *copy = memory_alloc(memory, table.len);
		memcpy(copy, table.ptr, table.len);
		walk->table = span_of(copy, table.len);
	}
	walk->phase = WALK_IN_BODY;
	walk->part = 0;
	walk->part_from = 0;
	walk->body_at = 0;
	out->body_bytes = total;
	walk->item = *out;
	walk->item.record.key = walk->item.record.meta = (struct span){0};
	if (walk->resume_lsn != entry->lsn)
		return WALK_RECORD;
	walk->body_at = walk->resume_at;
	walk->resume_lsn = 0;
	return walk_body(walk, out);
}

/* A record that nobody needs is not told. */
static bool walk_is_wanted(struct store_walk *walk, const struct record *record, uint32_t body_bytes)
{
	struct store *store = walk->store;
	if (record->type == RECORD_END)
		return record->refers == 0;
	if (record->type == RECORD_VOID || record->type == RECORD_SETTING)
		return true;
	if (record_is_mark(record->type, body_bytes))
		return true;
	walk->is_dead = store->events.is_live != NULL &&
	    store->events.is_live(store->ctx, record) == RECORD_DEAD;
	if (!walk->is_dead)
		return true;
	/* Dead, or living elsewhere by now: where its key lies now this LSN may lie, too. A record too
	 * many does no harm. */
	struct place now;
	if (store->events.whereabouts == NULL ||
	    !store->events.whereabouts(store->ctx, record, &now) || place_equal(now, record->place))
		return false;
	const struct segment *segment = segment_find(store, now.segment);
	return segment != NULL && segment->lsn_min <= record->lsn && record->lsn <= segment->lsn_max;
}

static enum walk_step walk_tell(struct store_walk *walk, const struct walk_entry *entry,
    struct walk_item *out)
{
	struct record_view view;
	struct span bytes;
	uint64_t offset = (uint64_t)entry->offset * RECORD_ALIGN;
	uint64_t want = min_u64(entry->bytes, RECORD_HEADER + (BODY_INLINE_MAX << 1));
	walk->is_dead = false;
	enum err err = walk_need(walk, entry->segment, offset, want, &bytes);
	if (err == ERR_AGAIN)
		return WALK_WAIT;
	if (err != OK)
		return walk_again(walk, entry->lsn, out);
	struct stamp stamp = segment_stamp(segment_find(walk->store, entry->segment), offset);
	err = record_parse(bytes, &stamp, &view);
	bool is_long = err == ERR_AGAIN || (err == OK && view.layout.bytes > bytes.len);
	if (is_long && (err == ERR_AGAIN || view.header.body_bytes <= BODY_INLINE_MAX)) {
		want = err == ERR_AGAIN ? view.layout.head_bytes : view.layout.bytes;
		err = walk_need(walk, entry->segment, offset, want, &bytes);
		if (err == ERR_AGAIN)
			return WALK_WAIT;
		if (err == OK)
			err = record_parse(bytes, &stamp, &view);
	}
	if (err != OK || view.header.lsn != entry->lsn)
		return walk_again(walk, entry->lsn, out);
	*out = (struct walk_item){.lsn = entry->lsn};
	record_from_view(&view, &out->record);
	out->record.flags &= RECORD_CONTINUES;
	out->record.place = (struct place){entry->segment, entry->offset, entry->bytes};
	if (!walk_is_wanted(walk, &out->record, view.header.body_bytes)) {
		walk->at++;
		return WALK_WAIT;             /* the caller of this goes on */
	}
	bool chained = (view.header.flags & RECORD_CHAINED) != 0;
	if (chained || view.header.body_bytes > BODY_INLINE_MAX) {
		enum walk_step step = walk_begin_body(walk, entry, &view, bytes, out);
		walk->at += walk->phase == WALK_IN_BODY;
		return step;
	}
	struct span body = span_slice(bytes, view.layout.body_at, view.header.body_bytes);
	if (body.len < view.header.body_bytes || !record_check_chunks(view.crcs, 0, body))
		return walk_again(walk, entry->lsn, out);
	out->record.value = body;
	walk->at++;
	return WALK_RECORD;
}

/* Of copies, which follow each other, the last counts; any will do. */
static void walk_skip_copies(struct store_walk *walk)
{
	while (walk->at + 1 < walk->count &&
	    walk->entries[walk->at].lsn == walk->entries[walk->at + 1].lsn)
		walk->at++;
}

enum walk_step store_walk_next(struct store_walk *walk, struct walk_item *out)
{
	enum { RECORDS = 64 };
	CHECK_OBJ(walk, WALK_MAGIC);
	for (unsigned i = 0; i < RECORDS; i++) {
		if (walk->reading)
			return WALK_WAIT;
		if (walk->phase == WALK_IN_BODY) {
			enum walk_step step = walk_body(walk, out);
			if (step != WALK_WAIT || walk->phase != WALK_TELL)
				return step;
		}
		if (walk->phase < WALK_TELL && walk_collect(walk) != OK)
			return WALK_WAIT;
		if (walk->failed) {
			walk->failed = false;
			*out = (struct walk_item){.lsn = walk->after};
			return WALK_CORRUPT;
		}
		walk_skip_copies(walk);
		if (walk->at == walk->count && walk->overflowed) {
			walk->after = walk->bound;
			walk->phase = WALK_CHOOSE;
			continue;
		}
		if (walk->at == walk->count) {
			*out = (struct walk_item){.lsn = max_u64(walk->upto, walk->after)};
			if (walk->store->durable_lsn > walk->upto)
				store_walk_seek(walk, out->lsn);
			return WALK_POSITION;
		}
		uint32_t at = walk->at;
		enum walk_step step = walk_tell(walk, &walk->entries[at], out);
		if (step != WALK_WAIT || walk->at == at)
			return step;
	}
	walk_yield(walk);
	return WALK_WAIT;
}

void store_walk_skip(struct store_walk *walk, uint64_t offset)
{
	CHECK_OBJ(walk, WALK_MAGIC);
	ASSERT(walk->phase == WALK_IN_BODY && offset >= walk->body_at);
	ASSERT(offset == walk->item.body_bytes || offset % CHUNK_BYTES == 0);
	walk->body_at = min_u64(offset, walk->item.body_bytes);
	if (walk->table.len == 0)
		return;
	walk_drop_extent(walk);
}
