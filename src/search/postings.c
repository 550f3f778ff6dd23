/* search/postings.c: appending, finding and decoding; see postings.h. */
#include "search/postings.h"

#include "search/block.h"
#include "search/dense.h"
#include "search/varint.h"

void postings_init(struct postings *list, bool plain)
{
	*list = (struct postings){.plain = plain};
	posting_best_init(&list->best);
}

void posting_best_init(struct posting_best *best)
{
	*best = (struct posting_best){1, UINT8_MAX, UINT8_MAX, UINT8_MAX};
}

void posting_best_add(struct posting_best *best, uint8_t tf, uint32_t length)
{
	uint8_t least = length < UINT8_MAX ? (uint8_t)length : UINT8_MAX;
	uint8_t *of = &best->length_between;
	if (tf > best->tf_max) {          /* what was highest is now between */
		if (best->tf_max > 1 && best->length_top < best->length_between)
			best->length_between = best->length_top;
		best->tf_max = tf;
		best->length_top = least;
	}
	if (tf == 1)
		of = &best->length_single;
	else if (tf == best->tf_max)
		of = &best->length_top;
	*of = least < *of ? least : *of;
}

void postings_fini(struct postings *list, struct memory *memory)
{
	for (uint32_t i = 0; i < list->block_count; i++)
		memory_free(memory, list->skips[i].block, list->skips[i].block->bytes);
	if (list->skips != NULL)
		memory_free(memory, list->skips, list->skip_cap * sizeof(*list->skips));
	if (list->tail != NULL)
		memory_free(memory, list->tail, list->tail_cap);
	dense_free(list, memory);
	postings_init(list, list->plain);
}

/* ---- Appending ---------------------------------------------------------------------- */

static void tail_reserve(struct postings *list, struct memory *memory, uint32_t extra)
{
	uint32_t need = list->tail_len + extra;
	if (need <= list->tail_cap)
		return;
	uint32_t cap = need <= 32 ? (need + 7) & ~7u : (need + need / 8 + 15) & ~15u;
	list->tail = memory_resize(memory, list->tail, list->tail_cap, cap);
	list->tail_cap = cap;
}

uint8_t *tail_put(const struct postings *list, uint8_t *out, const struct posting *posting)
{
	out = varint_put(out, list->tail_count == 0 ? 0 : posting->docid - list->tail_last);
	if (list->plain)
		return out;
	uint32_t field = position_field(posting->positions[0]);
	uint32_t position = posting->positions[0] - position_base(field);
	if (posting->tf == 1 && position <= TAIL_POSITION_MAX) {
		*out++ = (uint8_t)(field << 5 | position);
		return out;
	}
	*out++ = (uint8_t)(0x80 | field << 5);
	out = varint_put(out, posting->tf);
	return varint_put(out, position);
}

static void tail_append(struct postings *list, struct memory *memory,
    const struct posting *posting)
{
	uint8_t bytes[TAIL_HEAD_MAX + POSTING_TF_MAX * VARINT_MAX];
	uint8_t *out = tail_put(list, bytes, posting);
	for (uint32_t i = 1; i < posting->tf && !list->plain; i++) {
		ASSERT(posting->positions[i] >= posting->positions[i - 1]);
		out = varint_put(out, posting->positions[i] - posting->positions[i - 1]);
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
		uint32_t cap = list->skip_cap < 8 ? list->skip_cap + 1 : list->skip_cap * 9 / 8;
		list->skips = memory_resize(memory, list->skips,
		    list->skip_cap * sizeof(*list->skips), cap * sizeof(*list->skips));
		list->skip_cap = cap;
	}
	list->skips[list->block_count++] = skip;
}

void postings_reserve(struct postings *list, struct memory *memory, uint32_t blocks)
{
	uint32_t cap = list->block_count + blocks;
	if (cap <= list->skip_cap)
		return;
	list->skips = memory_resize(memory, list->skips, list->skip_cap * sizeof(*list->skips),
	    cap * sizeof(*list->skips));
	list->skip_cap = cap;
}

void postings_push(struct postings *list, struct memory *memory, struct posting_skip skip)
{
	ASSERT(list->tail_count == 0);
	skip_push(list, memory, skip);
	list->count += skip.block->count;
	list->version++;
}

static void tail_seal(struct postings *list, struct memory *memory, const struct docs *docs)
{
	struct posting_run run;
	struct posting_batch batch;
	ASSERT(list->tail_count == PACK_COUNT);
	batch.count = 0;
	batch.plain = list->plain;
	run.part = PART_NONE;
	postings_load(list, list->block_count, PART_POSITIONS, &run);
	posting_batch_add(&batch, &run, NULL);
	skip_push(list, memory, block_encode(&batch, memory, docs));
	memory_free(memory, list->tail, list->tail_cap);
	list->tail = NULL;
	list->tail_len = list->tail_cap = 0;
	list->tail_count = 0;
	dense_decide(list, memory, docs->next);
}

void postings_append(struct postings *list, struct memory *memory, const struct docs *docs,
    const struct posting *posting)
{
	ASSERT(posting->tf > 0);
	ASSERT(list->plain || posting->positions != NULL);
	ASSERT(list->tail_count == 0 || posting->docid > list->tail_last);
	tail_append(list, memory, posting);
	posting_best_add(&list->best, posting->tf, docs_length(docs, posting->docid));
	if (list->bits != NULL)
		dense_add(list, memory, &posting->docid, &posting->tf, 1);
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

/* The rest of posting i is at `in`: its fields into the mask. Returns its end. */
static const uint8_t *rest_load(struct posting_run *run, uint32_t i, const uint8_t *in)
{
	uint32_t position = run->positions[i], gap;
	run->rests[i] = (uint32_t)(in - run->bytes);
	for (uint32_t at = 1; at < run->tfs[i]; at++) {
		in = varint_get(in, &gap);
		position += gap;
		run->masks[i] |= (uint8_t)(1 << position_field(position));
	}
	return in;
}

static const uint8_t *tail_load_one(struct posting_run *run, uint32_t i, const uint8_t *in)
{
	uint32_t head = *in++, tf = 1, position = head & TAIL_POSITION_MAX, field = head >> 5 & 3;
	if (head >= 0x80) {
		in = varint_get(in, &tf);
		in = varint_get(in, &position);
	}
	run->tfs[i] = (uint8_t)tf;
	run->masks[i] = (uint8_t)(1 << field);
	run->positions[i] = position_base(field) + position;
	return tf > 1 ? rest_load(run, i, in) : in;
}

/* The field, tf and positions of a posting in a tail. */
static const uint8_t *tail_skip_one(const uint8_t *in)
{
	uint32_t tf;
	if (LIKELY(*in++ < 0x80))
		return in;
	in = varint_get(in, &tf);
	return varint_skip(in, tf);
}

static void tail_load_docids(const struct postings *list, struct posting_run *run)
{
	const uint8_t *in = list->tail, *end = in + list->tail_len;
	uint32_t docid = list->tail_first, gap;
	for (uint32_t i = 0; i < list->tail_count; i++) {
		in = varint_get(in, &gap);
		docid += gap;
		run->docids[i] = docid;
		if (!list->plain)
			in = tail_skip_one(in);
	}
	ASSERT(in == end);
	run->count = list->tail_count;
	run->part = PART_DOCIDS;
}

static void tail_load(const struct postings *list, struct posting_run *run)
{
	const uint8_t *in = list->tail;
	uint32_t docid = list->tail_first, gap;
	run->bytes = in;
	run->count = list->tail_count;
	run->part = PART_POSITIONS;
	if (list->plain) {
		memset(run->tfs, 1, sizeof(run->tfs));
		memset(run->masks, FIELD_TAGS, sizeof(run->masks));
	}
	for (uint32_t i = 0; i < list->tail_count; i++) {
		in = varint_get(in, &gap);
		docid += gap;
		run->docids[i] = docid;
		if (!list->plain)
			in = tail_load_one(run, i, in);
	}
	ASSERT(in == list->tail + list->tail_len);
}

static void block_load_docids(const struct posting_block *block, struct posting_run *run)
{
	pack_decode(block->words, block->delta_bits, run->docids);
	pack_sum(run->docids, block->first);
	run->count = block->count;
	run->part = PART_DOCIDS;
}

static void block_load_tfs(const struct posting_block *block, struct posting_run *run)
{
	uint32_t values[PACK_COUNT];
	if (block_tf_bits(block) == 0) {
		memset(run->tfs, 1, sizeof(run->tfs));
	} else {
		pack_decode(block->words + 4 * block->delta_bits, block_tf_bits(block), values);
		for (int i = 0; i < PACK_COUNT; i++)
			run->tfs[i] = (uint8_t)(values[i] + 1);
	}
	run->part = PART_TFS;
}

static void block_load_positions(const struct posting_block *block, bool plain,
    struct posting_run *run)
{
	const uint32_t *words = block->words + 4 * ((size_t)block->delta_bits + block_tf_bits(block));
	uint32_t fields[PACK_COUNT];
	run->part = PART_POSITIONS;
	if (plain) {
		memset(run->masks, FIELD_TAGS, sizeof(run->masks));
		return;
	}
	if (block_field(block) == BLOCK_FIELDS) {
		pack_decode(words, BLOCK_FIELD_BITS, fields);
		words += 4 * BLOCK_FIELD_BITS;
	}
	pack_decode(words, block->position_bits, run->positions);
	words += 4 * block->position_bits;
	for (uint32_t i = 0; i < block->count; i++) {
		uint32_t field = block_field(block) == BLOCK_FIELDS ? fields[i] : block_field(block);
		run->masks[i] = (uint8_t)(1 << field);
		run->positions[i] += position_base(field);
	}
	const uint8_t *in = run->bytes = (const uint8_t *)words;
	if (block_tf_bits(block) == 0)
		return;
	for (uint32_t i = 0; i < block->count; i++)
		if (run->tfs[i] > 1)
			in = rest_load(run, i, in);
	ASSERT(in == (const uint8_t *)block + block->bytes);
}

void postings_load(const struct postings *list, uint32_t at, enum posting_part part,
    struct posting_run *run)
{
	ASSERT(at < postings_run_count(list));
	if (run->part >= part)
		return;
	if (at == list->block_count && part == PART_DOCIDS) {
		tail_load_docids(list, run);
		return;
	}
	if (at == list->block_count) {
		tail_load(list, run);
		return;
	}
	const struct posting_block *block = list->skips[at].block;
	if (run->part < PART_DOCIDS)
		block_load_docids(block, run);
	if (part >= PART_TFS && run->part < PART_TFS)
		block_load_tfs(block, run);
	if (part >= PART_POSITIONS)
		block_load_positions(block, list->plain, run);
}

uint32_t posting_run_positions(
    const struct posting_run *run, uint32_t i, uint32_t out[POSTING_TF_MAX])
{
	ASSERT(i < run->count);
	ASSERT(run->part == PART_POSITIONS);
	uint32_t position = out[0] = run->positions[i], gap;
	if (run->tfs[i] == 1)
		return 1;
	const uint8_t *in = run->bytes + run->rests[i];
	for (uint32_t at = 1; at < run->tfs[i]; at++) {
		in = varint_get(in, &gap);
		position += gap;
		out[at] = position;
	}
	return run->tfs[i];
}

uint32_t posting_positions(const struct postings *list, uint32_t at, uint32_t place, uint32_t tf,
    uint32_t before, uint32_t out[POSTING_TF_MAX])
{
	const struct posting_block *block = list->skips[at].block;
	const uint32_t *words = block->words + 4 * ((size_t)block->delta_bits + block_tf_bits(block));
	uint32_t field = block_field(block), gap;
	ASSERT(!list->plain && place < block->count);
	if (field == BLOCK_FIELDS) {
		field = pack_get(words, BLOCK_FIELD_BITS, place);
		words += 4 * BLOCK_FIELD_BITS;
	}
	uint32_t position = position_base(field) + pack_get(words, block->position_bits, place);
	out[0] = position;
	if (tf == 1)
		return 1;
	const uint8_t *in = (const uint8_t *)(words + 4 * block->position_bits);
	in = varint_skip(in, before);
	for (uint32_t i = 1; i < tf; i++) {
		in = varint_get(in, &gap);
		position += gap;
		out[i] = position;
	}
	return tf;
}
