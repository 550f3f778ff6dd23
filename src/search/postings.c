/* search/postings.c: appending, finding and decoding; see postings.h. */
#include "search/postings.h"

#include "search/block.h"
#include "search/varint.h"

void postings_init(struct postings *list, bool plain)
{
	*list = (struct postings){.plain = plain};
}

void postings_fini(struct postings *list, struct memory *memory)
{
	for (uint32_t i = 0; i < list->block_count; i++)
		memory_free(memory, list->skips[i].block, list->skips[i].block->bytes);
	if (list->skips != NULL)
		memory_free(memory, list->skips, list->skip_cap * sizeof(*list->skips));
	if (list->tail != NULL)
		memory_free(memory, list->tail, list->tail_cap);
	postings_init(list, list->plain);
}

uint32_t position_base(uint8_t mask)
{
	switch (mask & -mask) {
	case FIELD_TITLE: return POSITION_TITLE;
	case FIELD_CAMERA: return POSITION_CAMERA;
	case FIELD_CAPTION: return POSITION_CAPTION;
	default: return POSITION_TAGS;
	}
}

/* ---- Appending ---------------------------------------------------------------------- */

static void tail_reserve(struct postings *list, struct memory *memory, uint32_t extra)
{
	uint32_t need = list->tail_len + extra;
	if (need <= list->tail_cap)
		return;
	uint32_t cap = need <= 32 ? (need + 7) & ~7u : (need + need / 2 + 15) & ~15u;
	list->tail = memory_resize(memory, list->tail, list->tail_cap, cap);
	list->tail_cap = cap;
}

/* Writes gap, tf and mask of one posting; positions follow. */
uint8_t *tail_put(const struct postings *list, uint8_t *out, const struct posting *posting)
{
	uint32_t gap = list->tail_count == 0 ? 0 : posting->docid - list->tail_last;
	out = varint_put(out, gap);
	if (!list->plain)
		out = varint_put(out, (uint32_t)(posting->tf - 1) << 4 | posting->mask);
	return out;
}

static void tail_append(struct postings *list, struct memory *memory,
    const struct posting *posting)
{
	uint8_t bytes[(POSTING_TF_MAX + 2) * VARINT_MAX];
	uint8_t *out = tail_put(list, bytes, posting);
	if (!list->plain) {
		uint32_t before = position_base(posting->mask);
		for (uint32_t i = 0; i < posting->tf; i++) {
			ASSERT(posting->positions[i] >= before);
			out = varint_put(out, posting->positions[i] - before);
			before = posting->positions[i];
		}
	}
	uint32_t len = (uint32_t)(out - bytes);
	tail_reserve(list, memory, len);
	memcpy(list->tail + list->tail_len, bytes, len);
	list->tail_len += len;
	if (list->tail_count == 0)
		list->tail_first = posting->docid;
	list->tail_last = posting->docid;
	list->tail_count++;
}

static void skip_push(struct postings *list, struct memory *memory, struct posting_skip skip)
{
	if (list->block_count == list->skip_cap) {
		uint32_t cap = list->skip_cap < 4 ? list->skip_cap + 1 : list->skip_cap * 3 / 2;
		list->skips = memory_resize(memory, list->skips,
		    list->skip_cap * sizeof(*list->skips), cap * sizeof(*list->skips));
		list->skip_cap = cap;
	}
	list->skips[list->block_count++] = skip;
}

static void tail_seal(struct postings *list, struct memory *memory, const struct docs *docs)
{
	struct posting_run run;
	struct posting_batch batch;
	ASSERT(list->tail_count == PACK_COUNT);
	batch.count = 0;
	postings_load(list, list->block_count, false, &run);
	posting_batch_add(&batch, &run, NULL);
	skip_push(list, memory, block_encode(&batch, memory, docs, list->plain));
	memory_free(memory, list->tail, list->tail_cap);
	list->tail = NULL;
	list->tail_len = list->tail_cap = 0;
	list->tail_count = 0;
}

void postings_append(struct postings *list, struct memory *memory, const struct docs *docs,
    const struct posting *posting)
{
	ASSERT(list->plain || (posting->tf > 0 && posting->mask != 0));
	ASSERT(posting->mask <= FIELD_ANY);
	ASSERT(list->tail_count == 0 || posting->docid > list->tail_last);
	tail_append(list, memory, posting);
	if (list->tail_count == PACK_COUNT)
		tail_seal(list, memory, docs);
	list->count++;
	list->version++;
}

/* ---- Finding ------------------------------------------------------------------------ */

uint32_t postings_find(const struct postings *list, uint32_t docid, uint32_t from, uint32_t until)
{
	uint32_t low = from, high = until < list->block_count ? until : list->block_count;
	ASSERT(until <= postings_run_count(list));
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (list->skips[middle].last < docid)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == list->block_count && low < until && list->tail_last < docid)
		low++;
	return low;
}

void postings_bounds(const struct postings *list, uint32_t at, uint32_t *first, uint32_t *last)
{
	ASSERT(at < postings_run_count(list));
	if (at == list->block_count) {
		*first = list->tail_first;
		*last = list->tail_last;
		return;
	}
	*first = at == 0 ? 0 : list->skips[at - 1].last + 1;
	*last = list->skips[at].last;
}

/* ---- Decoding ----------------------------------------------------------------------- */

static void tail_load(const struct postings *list, struct posting_run *run)
{
	const uint8_t *in = list->tail, *end = in + list->tail_len;
	uint32_t docid = list->tail_first, gap, value;
	run->start = run->cursor = in;
	run->end = end;
	run->at = 0;
	run->is_tail = true;
	run->count = list->tail_count;
	for (uint32_t i = 0; i < list->tail_count; i++) {
		in = varint_get(in, &gap);
		docid += gap;
		run->docids[i] = docid;
		run->tfs[i] = 1;
		run->masks[i] = FIELD_TAGS;
		if (list->plain)
			continue;
		in = varint_get(in, &value);
		run->tfs[i] = (uint8_t)((value >> 4) + 1);
		run->masks[i] = value & FIELD_ANY;
		in = varint_skip(in, run->tfs[i]);
	}
	ASSERT(in == end);
}

static void narrow(const uint32_t in[PACK_COUNT], uint8_t add, uint8_t out[PACK_COUNT])
{
	for (int i = 0; i < PACK_COUNT; i++)
		out[i] = (uint8_t)(in[i] + add);
}

static void block_load(const struct posting_block *block, bool docids_only,
    struct posting_run *run)
{
	const uint32_t *words = block->words;
	uint32_t values[PACK_COUNT];
	pack_decode(words, block->delta_bits, run->docids);
	uint32_t docid = block->first - 1;
	for (int i = 0; i < PACK_COUNT; i++) {
		docid += run->docids[i] + 1;
		run->docids[i] = docid;
	}
	run->count = block->count;
	run->is_tail = false;
	run->at = 0;
	run->start = run->cursor = run->end = NULL;
	if (docids_only)
		return;
	words += 4 * block->delta_bits;
	if (block->tf_bits == 0) {
		memset(run->tfs, 1, sizeof(run->tfs));
	} else {
		pack_decode(words, block->tf_bits, values);
		narrow(values, 1, run->tfs);
		words += 4 * block->tf_bits;
	}
	if (block->mask != 0) {
		memset(run->masks, block->mask, sizeof(run->masks));
	} else {
		pack_decode(words, BLOCK_MASK_BITS, values);
		narrow(values, 0, run->masks);
		words += 4 * BLOCK_MASK_BITS;
	}
	run->start = run->cursor = (const uint8_t *)words;
	run->end = (const uint8_t *)block + block->bytes;
}

void postings_load(const struct postings *list, uint32_t at, bool docids_only,
    struct posting_run *run)
{
	ASSERT(at < postings_run_count(list));
	run->plain = list->plain;
	if (at == list->block_count)
		tail_load(list, run);
	else
		block_load(list->skips[at].block, docids_only, run);
}

/* Moves the cursor to the first position of posting i. */
static const uint8_t *run_seek(struct posting_run *run, uint32_t i)
{
	if (i < run->at) {
		run->at = 0;
		run->cursor = run->start;
	}
	for (; run->at < i; run->at++)
		run->cursor =
		    varint_skip(run->cursor, run->tfs[run->at] + (run->is_tail ? 2u : 0u));
	ASSERT(run->cursor <= run->end);
	return run->is_tail ? varint_skip(run->cursor, 2) : run->cursor;
}

struct span posting_run_bytes(struct posting_run *run, uint32_t i)
{
	if (run->plain)
		return (struct span){0};
	const uint8_t *from = run_seek(run, i);
	return span_of(from, (size_t)(varint_skip(from, run->tfs[i]) - from));
}

uint32_t posting_run_positions(struct posting_run *run, uint32_t i, uint32_t out[POSTING_TF_MAX])
{
	ASSERT(!run->plain);
	ASSERT(i < run->count);
	ASSERT(run->start != NULL);
	const uint8_t *in = run_seek(run, i);
	uint32_t position = position_base(run->masks[i]), gap;
	for (uint32_t at = 0; at < run->tfs[i]; at++) {
		in = varint_get(in, &gap);
		position += gap;
		out[at] = position;
	}
	return run->tfs[i];
}
