/* search/block.c: writing sealed blocks, and re-packing a list without its dead; see
 * postings.h for the layout. */
#include "search/block.h"
#include "search/dense.h"

#include "search/varint.h"

void posting_batch_add(
    struct posting_batch *batch, const struct posting_run *run, const struct docs *live)
{
	ASSERT(batch->count + run->count <= BATCH_MAX);
	ASSERT(run->part == PART_POSITIONS);
	for (uint32_t i = 0; i < run->count; i++) {
		if (live != NULL && !docs_is_live(live, run->docids[i]))
			continue;
		uint32_t at = batch->count++;
		batch->docids[at] = run->docids[i];
		batch->tfs[at] = run->tfs[i];
		batch->positions[at] = run->positions[i];
		batch->rests[at] = (struct span){0};
		if (run->tfs[i] > 1 && !batch->plain) {
			const uint8_t *from = run->bytes + run->rests[i];
			batch->rests[at] = span_of(
			    from, (size_t)(varint_skip(from, run->tfs[i] - 1u) - from));
		}
	}
}

static void skip_bounds(const struct posting_batch *batch, const struct docs *docs,
    struct posting_skip *skip)
{
	skip->last = batch->docids[batch->count - 1];
	posting_best_init(&skip->best);
	for (uint32_t i = 0; i < batch->count; i++)
		posting_best_add(
		    &skip->best, batch->tfs[i], docs_length(docs, batch->docids[i]));
}

struct block_plan {
	uint32_t gaps[PACK_COUNT], tfs[PACK_COUNT], fields[PACK_COUNT], positions[PACK_COUNT];
	uint8_t  delta_bits, tf_bits, position_bits, field;
	size_t   bytes;
};

static void block_plan(const struct posting_batch *batch, struct block_plan *plan)
{
	size_t rest_bytes = 0;
	memset(plan, 0, sizeof(*plan));
	plan->field = batch->plain ? 0 : (uint8_t)position_field(batch->positions[0]);
	for (uint32_t i = 0; i < batch->count; i++) {
		ASSERT(i == 0 || batch->docids[i] > batch->docids[i - 1]);
		plan->gaps[i] = i == 0 ? 0 : batch->docids[i] - batch->docids[i - 1] - 1;
		if (batch->plain)
			continue;
		plan->tfs[i] = batch->tfs[i] - 1u;
		plan->fields[i] = position_field(batch->positions[i]);
		plan->positions[i] = batch->positions[i] - position_base(plan->fields[i]);
		if (plan->fields[i] != plan->field)
			plan->field = BLOCK_FIELDS;
		rest_bytes += batch->rests[i].len;
	}
	plan->delta_bits = (uint8_t)pack_width(plan->gaps);
	plan->tf_bits = (uint8_t)pack_width(plan->tfs);
	plan->position_bits = (uint8_t)pack_width(plan->positions);
	size_t words = 4 * ((size_t)plan->delta_bits + plan->tf_bits + plan->position_bits);
	if (plan->field == BLOCK_FIELDS)
		words += 4 * BLOCK_FIELD_BITS;
	plan->bytes = sizeof(struct posting_block) + 4 * words + rest_bytes;
}

static uint32_t *block_pack(uint32_t *words, const uint32_t values[PACK_COUNT], unsigned bits)
{
	pack_encode(values, bits, words);
	return words + 4 * (size_t)bits;
}

struct posting_skip block_encode(const struct posting_batch *batch, struct memory *memory,
    const struct docs *docs)
{
	struct block_plan plan;
	struct posting_skip skip;
	ASSERT(batch->count > 0);
	ASSERT(batch->count <= PACK_COUNT);
	block_plan(batch, &plan);
	struct posting_block *block = memory_alloc(memory, plan.bytes);
	block->first = batch->docids[0];
	block->bytes = (uint32_t)plan.bytes;
	block->count = (uint8_t)batch->count;
	block->delta_bits = plan.delta_bits;
	block->shape = (uint8_t)(plan.tf_bits << 4 | plan.field);
	block->position_bits = plan.position_bits;
	uint32_t *words = block_pack(block->words, plan.gaps, plan.delta_bits);
	words = block_pack(words, plan.tfs, plan.tf_bits);
	if (plan.field == BLOCK_FIELDS)
		words = block_pack(words, plan.fields, BLOCK_FIELD_BITS);
	words = block_pack(words, plan.positions, plan.position_bits);
	uint8_t *out = (uint8_t *)words;
	for (uint32_t i = 0; i < batch->count; i++) {
		if (batch->rests[i].len == 0)
			continue;
		memcpy(out, batch->rests[i].ptr, batch->rests[i].len);
		out += batch->rests[i].len;
	}
	ASSERT(out == (uint8_t *)block + plan.bytes);
	skip_bounds(batch, docs, &skip);
	skip.block = block;
	return skip;
}

/* ---- Sweeping ----------------------------------------------------------------------- */

struct list_sweep {
	struct postings   *list;
	struct memory     *memory;
	const struct docs *docs;
	uint32_t           read, write;
	uint32_t           dead;
};

/* The dead of a run leave the list. */
static void sweep_drop(struct list_sweep *sweep, const struct posting_run *run, uint32_t dead)
{
	sweep->list->count -= dead;
	if (sweep->list->bits == NULL)
		return;
	for (uint32_t i = 0; i < run->count; i++)
		if (!docs_is_live(sweep->docs, run->docids[i]))
			dense_remove(sweep->list, run->docids[i]);
}

static uint32_t run_dead(const struct posting_run *run, const struct docs *docs)
{
	uint32_t dead = 0;
	for (uint32_t i = 0; i < run->count; i++)
		dead += !docs_is_live(docs, run->docids[i]);
	return dead;
}

/* Takes the block before the write position back into the batch, if both fit in one. */
static bool sweep_merge(struct list_sweep *sweep, struct posting_batch *batch, uint32_t live)
{
	struct posting_run before;
	before.part = PART_NONE;
	if (sweep->write == 0)
		return false;
	if (sweep->list->skips[sweep->write - 1].block->count + live > PACK_COUNT)
		return false;
	postings_load(sweep->list, sweep->write - 1, PART_POSITIONS, &before);
	uint32_t dead = run_dead(&before, sweep->docs);
	sweep->dead -= dead < sweep->dead ? dead : sweep->dead;
	sweep_drop(sweep, &before, dead);
	posting_batch_add(batch, &before, sweep->docs);
	return true;
}

static void sweep_free_block(struct list_sweep *sweep, struct posting_block *block)
{
	memory_free(sweep->memory, block, block->bytes);
}

/* Handles sealed block `read`: keeps it, re-packs it, merges it, or drops it. */
static void sweep_block(struct list_sweep *sweep)
{
	struct postings *list = sweep->list;
	struct posting_run run;
	struct posting_batch batch;
	struct posting_skip skip = list->skips[sweep->read];
	batch.count = 0;
	batch.plain = list->plain;
	run.part = PART_NONE;
	postings_load(list, sweep->read, PART_DOCIDS, &run);
	uint32_t dead = run_dead(&run, sweep->docs), live = run.count - dead;
	sweep->read++;
	if (dead == 0 || (live > 0 && dead * 4 < run.count)) {
		list->skips[sweep->write++] = skip;
		sweep->dead += dead;
		return;
	}
	sweep_drop(sweep, &run, dead);
	list->version++;
	if (live > 0) {
		postings_load(list, sweep->read - 1, PART_POSITIONS, &run);
		bool merged = sweep_merge(sweep, &batch, live);
		posting_batch_add(&batch, &run, sweep->docs);
		ASSERT(batch.count > 0);
		struct posting_skip packed =
		    block_encode(&batch, sweep->memory, sweep->docs);
		if (merged)
			sweep_free_block(sweep, list->skips[--sweep->write].block);
		list->skips[sweep->write++] = packed;
	}
	sweep_free_block(sweep, skip.block);
}

/* A list that has these postings in its tail and nothing else. */
static struct postings tail_build(const struct posting_batch *batch, struct memory *memory)
{
	struct postings list = {.plain = batch->plain};
	uint8_t head[TAIL_HEAD_MAX];
	for (uint32_t i = 0; i < batch->count; i++)
		list.tail_cap += (uint32_t)(TAIL_HEAD_MAX + batch->rests[i].len);
	ASSERT(batch->count < PACK_COUNT);
	if (batch->count == 0)
		return list;
	list.tail = memory_alloc(memory, list.tail_cap);
	for (uint32_t i = 0; i < batch->count; i++) {
		struct posting posting = {batch->docids[i], batch->tfs[i], &batch->positions[i]};
		size_t len = (size_t)(tail_put(&list, head, &posting) - head);
		ASSERT(list.tail_len + len + batch->rests[i].len <= list.tail_cap);
		memcpy(list.tail + list.tail_len, head, len);
		if (batch->rests[i].len > 0)
			memcpy(list.tail + list.tail_len + len, batch->rests[i].ptr,
			    batch->rests[i].len);
		list.tail_len += (uint32_t)(len + batch->rests[i].len);
		list.tail_first = list.tail_count == 0 ? posting.docid : list.tail_first;
		list.tail_last = posting.docid;
		list.tail_count++;
	}
	list.tail = memory_resize(memory, list.tail, list.tail_cap, list.tail_len);
	list.tail_cap = list.tail_len;
	return list;
}

static void sweep_tail(struct list_sweep *sweep)
{
	struct postings *list = sweep->list;
	struct posting_run run;
	struct posting_batch batch;
	batch.count = 0;
	batch.plain = list->plain;
	run.part = PART_NONE;
	postings_load(list, list->block_count, PART_POSITIONS, &run);
	uint32_t dead = run_dead(&run, sweep->docs);
	if (dead == 0)
		return;
	posting_batch_add(&batch, &run, sweep->docs);
	struct postings packed = tail_build(&batch, sweep->memory);
	memory_free(sweep->memory, list->tail, list->tail_cap);
	list->tail = packed.tail;
	list->tail_cap = packed.tail_cap;
	list->tail_len = packed.tail_len;
	list->tail_first = packed.tail_first;
	list->tail_last = packed.tail_last;
	list->tail_count = packed.tail_count;
	sweep_drop(sweep, &run, dead);
	list->version++;
}

struct postings postings_cut(
    const struct postings *list, uint32_t at, uint32_t limit, struct memory *memory)
{
	struct posting_run run;
	struct posting_batch batch;
	batch.count = 0;
	batch.plain = list->plain;
	run.part = PART_NONE;
	postings_load(list, at, PART_POSITIONS, &run);
	posting_batch_add(&batch, &run, NULL);
	while (batch.count > 0 && batch.docids[batch.count - 1] >= limit)
		batch.count--;
	return tail_build(&batch, memory);
}

/* Closes the gap between what was written and what is still to be read. */
static void sweep_close_gap(struct list_sweep *sweep)
{
	struct postings *list = sweep->list;
	uint32_t rest = list->block_count - sweep->read;
	if (sweep->read == sweep->write)
		return;
	memmove(list->skips + sweep->write, list->skips + sweep->read, rest * sizeof(*list->skips));
	list->block_count = sweep->write + rest;
	list->version++;
}

static void skips_shrink(struct postings *list, struct memory *memory)
{
	if (list->skip_cap <= 4 || list->block_count * 2 > list->skip_cap)
		return;
	uint32_t cap = list->block_count == 0 ? 1 : list->block_count;
	list->skips = memory_resize(memory, list->skips, list->skip_cap * sizeof(*list->skips),
	    cap * sizeof(*list->skips));
	list->skip_cap = cap;
}

bool postings_sweep(struct postings *list, struct memory *memory, const struct docs *docs,
    uint32_t runs, uint32_t *at, uint32_t *dead)
{
	struct list_sweep sweep = {list, memory, docs, *at, *at, *dead};
	ASSERT(runs > 0);
	if (*at > list->block_count)
		sweep.read = sweep.write = list->block_count;
	for (; runs > 0 && sweep.read < list->block_count; runs--)
		sweep_block(&sweep);
	sweep_close_gap(&sweep);
	*at = sweep.write;
	*dead = sweep.dead;
	if (sweep.write < list->block_count)
		return true;
	if (list->tail_count > 0)
		sweep_tail(&sweep);
	skips_shrink(list, memory);
	dense_decide(list, memory, docs->next);
	return false;
}
