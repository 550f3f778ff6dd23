/* store/walk_window.c: which records come next, and where they lie. See walk.h. */
#include "store/clean.h"
#include "store/walk.h"

#include <stdlib.h>

enum source_step { SOURCE_BEGIN, SOURCE_BLOCKS, SOURCE_SCAN };

/* ---- The heap of the smallest ---- */

static bool entry_less(const struct walk_entry *x, const struct walk_entry *y)
{
	return x->lsn < y->lsn;
}

static void entry_swap(struct walk_entry *x, struct walk_entry *y)
{
	struct walk_entry kept = *x;
	*x = *y;
	*y = kept;
}

static void heap_sink(struct walk_entry *entries, uint32_t count)
{
	uint32_t at = 0;
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= count)
			return;
		if (child + 1 < count && entry_less(&entries[child], &entries[child + 1]))
			child++;
		if (!entry_less(&entries[at], &entries[child]))
			return;
		entry_swap(&entries[at], &entries[child]);
		at = child;
	}
}

static void heap_rise(struct walk_entry *entries, uint32_t at)
{
	while (at > 0 && entry_less(&entries[(at - 1) / 2], &entries[at])) {
		entry_swap(&entries[(at - 1) / 2], &entries[at]);
		at = (at - 1) / 2;
	}
}

static void walk_offer(struct store_walk *walk, const struct walk_entry *entry)
{
	if (entry->lsn <= walk->after || entry->lsn > walk->upto)
		return;
	if (entry->type == RECORD_PART || void_covers(walk->store, entry->lsn))
		return;
	if (walk->count < WALK_ENTRIES) {
		walk->entries[walk->count] = *entry;
		heap_rise(walk->entries, walk->count++);
		return;
	}
	walk->overflowed = true;
	if (entry->lsn >= walk->entries[0].lsn)
		return;
	walk->entries[0] = *entry;
	heap_sink(walk->entries, walk->count);
}

/* ---- Sources ---- */

static int source_compare(const void *a, const void *b)
{
	const struct walk_source *x = a, *y = b;
	if (x->lsn_min != y->lsn_min)
		return x->lsn_min < y->lsn_min ? -1 : 1;
	return x->segment < y->segment ? -1 : x->segment > y->segment;
}

static void walk_choose(struct store_walk *walk)
{
	struct store *store = walk->store;
	walk->upto = store->durable_lsn;
	walk->count = walk->sorted = walk->at = 0;
	walk->overflowed = false;
	walk->source_count = walk->source = 0;
	walk->source_step = SOURCE_BEGIN;
	for (uint32_t i = 0; i < store->segment_count; i++) {
		const struct segment *segment = store->segments[i];
		if (segment->state != SEGMENT_ACTIVE && segment->state != SEGMENT_SEALED)
			continue;
		if (segment->lsn_min > walk->upto || segment->lsn_max <= walk->after)
			continue;
		if (walk->source_count == walk->source_cap) {
			uint32_t cap = walk->source_cap == 0 ? 16 : 2 * walk->source_cap;
			walk->sources = memory_resize(store->memory, walk->sources,
			    walk->source_cap * sizeof(*walk->sources), cap * sizeof(*walk->sources));
			walk->source_cap = cap;
		}
		walk->sources[walk->source_count++] =
		    (struct walk_source){segment->lsn_min, segment->id};
		store->segments[i]->pins++;
	}
	if (walk->source_count > 0)
		qsort(walk->sources, walk->source_count, sizeof(*walk->sources), source_compare);
}

/* All items of one raw block. False: they make no sense. */
static bool block_offer(struct store_walk *walk, const struct segment *segment, struct span raw)
{
	struct footer_base base = {0};
	struct footer_item item;
	while (raw.len > 0) {
		if (footer_item_take(&raw, &base, &item) != OK)
			return false;
		const struct walk_entry entry = {
		    .lsn = item.lsn,
		    .segment = segment->id,
		    .offset = item.offset,
		    .bytes = item.bytes,
		    .type = item.type,
		    .flags = item.flags,
		};
		walk_offer(walk, &entry);
	}
	return true;
}

/* What lives when a window is begun lies in these segments, wherever it is copied meanwhile: until
 * they were looked at none of them goes. */
void walk_unpin(struct store_walk *walk)
{
	for (; walk->source < walk->source_count; walk->source++) {
		struct segment *segment =
		    segment_find(walk->store, walk->sources[walk->source].segment);
		ASSERT(segment != NULL && segment->pins > 0);
		segment->pins--;
		walk->store->reclaim_due = true;
	}
}

static void source_next(struct store_walk *walk)
{
	struct segment *segment = segment_find(walk->store, walk->sources[walk->source].segment);
	ASSERT(segment != NULL && segment->pins > 0);
	segment->pins--;
	walk->store->reclaim_due = true;
	walk->source++;
	walk->source_step = SOURCE_BEGIN;
}

static void source_begin_scan(struct store_walk *walk, const struct segment *segment)
{
	scan_init(&walk->scan, segment->id, segment->nonce, segment->bytes);
	walk->source_step = SOURCE_SCAN;
}

/* One block of the footer that the segment, which is being filled, has in memory. */
static void source_memory(struct store_walk *walk, const struct segment *segment)
{
	struct span piece;
	enum err err = footer_peek_gathered(segment, walk->block, &walk->block_at, walk->raw, &piece);
	if (err == OK && block_offer(walk, segment, piece)) {
		walk->block++;
		return;
	}
	source_next(walk);
}

static enum err source_begin(struct store_walk *walk, struct segment *segment)
{
	struct span bytes;
	walk->block = 0;
	walk->block_at = 0;
	walk->in_memory = segment->footer != NULL;
	if (segment->state == SEGMENT_ACTIVE || segment->footer != NULL) {
		source_begin_scan(walk, segment);
		if (segment->footer != NULL && !segment->footer_lost)
			walk->source_step = SOURCE_BLOCKS;
		return OK;
	}
	enum err err =
	    walk_need(walk, segment->id, footer_tail_at(segment->bytes), SECTOR, &bytes);
	if (err != OK)
		return err;
	struct stamp stamp = segment_stamp(segment, 0);
	if (footer_tail_parse(bytes, &stamp, segment->bytes, &walk->tail) != OK) {
		source_begin_scan(walk, segment);
		return OK;
	}
	walk->block_at = footer_blocks_at(segment->bytes, walk->tail.stored_bytes);
	walk->source_step = SOURCE_BLOCKS;
	return OK;
}

static enum err source_block(struct store_walk *walk, struct segment *segment)
{
	struct footer_block block;
	struct span bytes;
	if (walk->in_memory && segment->footer == NULL) {
		walk->source_step = SOURCE_BEGIN;     /* it is on the disk, or lost: anew */
		return OK;
	}
	if (walk->in_memory) {
		source_memory(walk, segment);
		return OK;
	}
	if (walk->block == walk->tail.block_count) {
		source_next(walk);
		return OK;
	}
	enum err err = walk_need(walk, segment->id, walk->block_at, FOOTER_BLOCK_HEADER, &bytes);
	if (err != OK)
		return err;
	bool good = footer_block_peek(bytes, walk->block, &block) == OK;
	uint64_t len = FOOTER_BLOCK_HEADER + (uint64_t)block.stored_bytes;
	good = good && walk->block_at + len <= footer_tail_at(segment->bytes);
	if (good) {
		err = walk_need(walk, segment->id, walk->block_at, len, &bytes);
		if (err != OK)
			return err;
	}
	struct stamp stamp = segment_stamp(segment, 0);
	good = good && footer_block_parse(bytes, &stamp, &block, walk->raw) == OK;
	if (!good || !block_offer(walk, segment, span_of(walk->raw, block.raw_bytes))) {
		source_begin_scan(walk, segment);
		return OK;
	}
	walk->block++;
	walk->block_at += len;
	return OK;
}

/* Something in this segment cannot be read: told once. */
static void source_failed(struct store_walk *walk, uint32_t segment)
{
	for (unsigned i = 0; i < WALK_DAMAGED; i++)
		if (walk->damaged[i] == segment)
			return;
	walk->damaged[walk->damaged_at++ % WALK_DAMAGED] = segment;
	walk->failed = true;
}

/* Some steps through the batches of a segment that has no footer. What lies behind a bad place is found, and
 * shows that it is one, not the end. */
static enum err source_scan(struct store_walk *walk, struct segment *segment)
{
	for (unsigned steps = 0; steps < WALK_SLICE; steps++) {
		struct scan *scan = &walk->scan;
		struct span bytes = {0};
		uint64_t end = min_u64(min_u64(segment->written, segment->tail), scan->end);
		uint64_t want = max_u64(scan->want, SECTOR);
		if (scan->at >= end) {
			source_next(walk);
			return OK;
		}
		want = min_u64(want, end - scan->at);
		enum err err = walk_need(walk, segment->id, scan->at, want, &bytes);
		if (err != OK)
			return err;
		bool was_broken = scan->broken;
		enum scan_step step = scan_next(scan, bytes);
		if (was_broken && (step == SCAN_RECORD || step == SCAN_COMMIT))
			source_failed(walk, segment->id);
		if (step == SCAN_RECORD) {
			const struct walk_entry entry = {
			    .lsn = scan->view.header.lsn,
			    .segment = segment->id,
			    .offset = (uint32_t)(scan->record_at / RECORD_ALIGN),
			    .bytes = scan->view.layout.bytes,
			    .type = scan->view.header.type,
			    .flags = scan->view.header.flags,
			};
			walk_offer(walk, &entry);
		} else if (step == SCAN_END) {
			source_next(walk);
			return OK;
		} else if (step == SCAN_BAD || (step == SCAN_MORE && scan->want <= bytes.len) ||
		    (step == SCAN_MORE && scan->at + scan->want > end)) {
			scan_skip(scan, bytes);
		}
	}
	return ERR_AGAIN;
}

static enum err source_step(struct store_walk *walk)
{
	struct segment *segment = segment_find(walk->store, walk->sources[walk->source].segment);
	ASSERT(segment != NULL);
	if (segment->fd < 0 || (segment->state != SEGMENT_ACTIVE && segment->state != SEGMENT_SEALED)) {
		source_next(walk);
		return OK;
	}
	enum err err = OK;
	if (walk->source_step == SOURCE_BEGIN)
		err = source_begin(walk, segment);
	else if (walk->source_step == SOURCE_BLOCKS)
		err = source_block(walk, segment);
	else
		err = source_scan(walk, segment);
	if (err == ERR_AGAIN && !walk->reading)
		walk_yield(walk);
	if (err != OK && err != ERR_AGAIN) {      /* it cannot be read: what lies there is lost */
		source_failed(walk, segment->id);
		source_next(walk);
		err = OK;
	}
	return err;
}

/* The rest of the sources begin behind all that is kept. */
static bool walk_has_enough(const struct store_walk *walk)
{
	return walk->source == walk->source_count ||
	    (walk->count == WALK_ENTRIES && walk->source_step == SOURCE_BEGIN &&
	        walk->sources[walk->source].lsn_min > walk->entries[0].lsn);
}

enum err walk_collect(struct store_walk *walk)
{
	enum { BLOCKS = 2 };
	if (walk->phase == WALK_CHOOSE) {
		walk_choose(walk);
		walk->phase = WALK_COLLECT;
	}
	for (unsigned i = 0; walk->phase == WALK_COLLECT; i++) {
		if (walk_has_enough(walk)) {
			walk->overflowed = walk->overflowed || walk->source < walk->source_count;
			walk->bound = walk->overflowed ? walk->entries[0].lsn : walk->upto;
			walk_unpin(walk);
			walk->phase = WALK_SORT;
			walk->sorted = walk->count;
			break;
		}
		if (i == BLOCKS) {
			walk_yield(walk);
			return ERR_AGAIN;
		}
		enum err err = source_step(walk);
		if (err != OK)
			return err;
	}
	for (unsigned i = 0; walk->sorted > 1; i++) {
		if (i == WALK_SLICE) {
			walk_yield(walk);
			return ERR_AGAIN;
		}
		walk->sorted--;
		entry_swap(&walk->entries[0], &walk->entries[walk->sorted]);
		heap_sink(walk->entries, walk->sorted);
	}
	walk->phase = WALK_TELL;
	return OK;
}
